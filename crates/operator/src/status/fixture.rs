//! Looks at a platform that shows always the same, for tests of what is told of them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use etcdop_api::Cluster;
use etcdop_core::{
    id::{ClusterId, Incarnation, RecordRevision},
    observation::SlotPolicy,
    record::{Birth, Record, Versioned},
    step::GroundStep,
    version::Minor,
};
use etcdop_engine::{
    driver::look,
    outcome::{CommitError, Outcome},
    platform::{Ground, Platform},
    publish::Published,
    tuning::Tuning,
};

use crate::resource::Site;

/// A cluster that nobody has looked at yet.
pub(crate) fn declared() -> Cluster {
    let resource = serde_json::json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster",
        "metadata": { "name": "demo", "namespace": "ns", "uid": "u", "generation": 4 },
        "spec": { "size": 3, "version": "3.6.16" },
    });
    serde_json::from_value::<etcdop_api::EtcdCluster>(resource).unwrap().checked().unwrap()
}

/// A platform that shows always the same.
struct Still(Ground);

impl Platform for Still {
    fn slot_policy(&self) -> SlotPolicy {
        SlotPolicy::Prefix
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(1)
    }

    async fn observe(&self) -> Ground {
        self.0.clone()
    }

    async fn commit(&self, _: &RecordRevision, _: &Record) -> Result<RecordRevision, CommitError> {
        Err(CommitError::Conflict)
    }

    async fn apply(&self, _: &GroundStep) -> Outcome {
        Outcome::Done
    }

    fn snapshot_path(&self, _: Minor) -> PathBuf {
        PathBuf::new()
    }

    async fn keep_snapshot(&self, _: Minor) -> Outcome {
        Outcome::Done
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

/// One look at a record, with nothing else there.
pub(crate) async fn look_at(record: Record, cluster: &Cluster) -> Published {
    let record = Versioned { revision: RecordRevision("7".to_owned()), value: record };
    let ground = Ground { record: Ok(record), slots: BTreeMap::new(), safeguards: Vec::new() };
    look(&Still(ground), cluster.desired.clone(), Tuning::default()).await
}

pub(crate) fn unborn() -> Record {
    Record::unborn(Incarnation::first("u"))
}

pub(crate) fn formed() -> Record {
    let mut record = unborn();
    record.birth = Birth::Formed(ClusterId(0x00c0_ffee));
    record
}

pub(crate) fn site() -> Site {
    Site { operator_image: "o".to_owned(), cluster_domain: "cluster.local".to_owned(), namespace: None }
}
