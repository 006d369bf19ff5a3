//! What is asked of the operator: by the resource alone, as a user does.

use std::time::{Duration, Instant};

use etcdop_api::{EtcdCluster, EtcdClusterStatus, Phase};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Subject, VERSION};
use crate::{failure::Failure, ground::PATIENCE};

/// What the members' containers ask for, in turns: each edit rolls them.
pub(crate) const EDITS: [&str; 2] = ["32Mi", "33Mi"];
/// Between two looks at the status.
const LOOK: Duration = Duration::from_millis(20);

impl Subject {
    pub(super) async fn create_ours(&self, size: usize) -> Result<(), Failure> {
        let images = &self.ground.images;
        let spec = json!({
            "size": size,
            "version": VERSION,
            "image": { "registry": images.registry, "repository": images.repository },
            "storage": { "whenDeleted": "Delete" },
            "resources": { "requests": { "cpu": "10m", "memory": EDITS[0] } },
        });
        self.create::<EtcdCluster>(json!({
            "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster", "metadata": { "name": self.name }, "spec": spec,
        }))
        .await
    }

    fn resources(&self) -> Api<EtcdCluster> {
        self.ground.api()
    }

    /// Edits the spec.
    pub(crate) async fn edit(&self, spec: Value) -> Result<(), Failure> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let edited = self.resources().patch(&self.name, &PatchParams::default(), &patch).await;
        edited.map(drop).map_err(Failure::ours("edit an EtcdCluster"))
    }

    /// Until the status says what etcd says by now: so many members, and nothing left to do. How long that took.
    pub(crate) async fn shows(&self, size: usize) -> Result<Duration, Failure> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let resource = self.resources().get(&self.name).await.map_err(Failure::ours("read an EtcdCluster"))?;
            let status = resource.status.unwrap_or_default();
            if status.observed_generation == resource.metadata.generation && rests(&status, size) {
                return Ok(began.elapsed());
            }
            sleep(LOOK).await;
        }
        Err(Failure::NotInTime { what: format!("a status of {} with {size}", self.name), after: PATIENCE })
    }

    pub(super) async fn delete_ours(&self) -> Result<(), Failure> {
        let deleted = self.resources().delete(&self.name, &DeleteParams::default()).await;
        deleted.map(drop).map_err(Failure::ours("delete an EtcdCluster"))
    }
}

fn rests(status: &EtcdClusterStatus, size: usize) -> bool {
    let whole = [status.ready_members, status.current_size].iter().all(|&n| usize::try_from(n) == Ok(size));
    whole && status.phase == Some(Phase::Running) && status.operation.is_none()
}
