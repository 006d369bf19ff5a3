//! A StatefulSet of etcd with nobody who looks after it, applied by somebody who knows the traps: the disks first, and bound, because a
//! Pod that comes before its disk can cost the kubelet ten seconds.

use std::time::Instant;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Service},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{EDITS, Kind, Subject, VERSION};
use crate::{failure::Failure, ground::PATIENCE, pods::INSTANCE};

/// Between two looks at disks that are being made.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

/// How etcd starts on an empty disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Founds,
    Joins,
}

impl Subject {
    pub(super) async fn apply_plain(&self, size: usize) -> Result<(), Failure> {
        self.create::<Service>(json!({
            "metadata": { "name": self.peer_service(), "labels": self.labels() },
            "spec": {
                "clusterIP": "None", "publishNotReadyAddresses": true, "selector": self.labels(),
                "ports": [{ "name": "peer", "port": 2380 }],
            },
        }))
        .await?;
        self.make_disks(0..size).await?;
        self.create::<StatefulSet>(json!({
            "metadata": { "name": self.name, "labels": self.labels() },
            "spec": {
                "replicas": size,
                "serviceName": self.peer_service(),
                "podManagementPolicy": "Parallel",
                "updateStrategy": { "type": "OnDelete" },
                "selector": { "matchLabels": self.labels() },
                "template": { "metadata": { "labels": self.labels() }, "spec": self.pod(VERSION, First::Founds, size) },
                "volumeClaimTemplates": [{ "metadata": { "name": "data", "labels": self.labels() }, "spec": disk() }],
            },
        }))
        .await
    }

    pub(super) async fn scale_plain(&self, size: usize) -> Result<(), Failure> {
        self.make_disks(self.places().len()..size).await?;
        self.patch_set(json!({ "spec": { "replicas": size } })).await
    }

    /// What the next Pods of three start with.
    pub(crate) async fn switch_plain(&self, version: &str, first: First) -> Result<(), Failure> {
        self.patch_set(json!({ "spec": { "template": { "spec": self.pod(version, first, 3) } } })).await
    }

    /// Where a plain member is reached by its peers.
    pub(crate) fn peer_url(&self, slot: usize) -> String {
        format!("http://{}-{slot}.{}:2380", self.name, self.domain())
    }

    pub(super) async fn delete_plain(&self) -> Result<(), Failure> {
        let gone = DeleteParams::background();
        let (sets, services, claims) = (self.sets(), self.ground.api::<Service>(), self.claims());
        sets.delete(&self.name, &gone).await.map_err(Failure::ours("delete a StatefulSet"))?;
        services.delete(&self.peer_service(), &gone).await.map_err(Failure::ours("delete a Service"))?;
        let selected = ListParams::default().labels(&format!("{INSTANCE}={}", self.name));
        claims.delete_collection(&gone, &selected).await.map_err(Failure::ours("delete claims"))?;
        Ok(())
    }

    fn sets(&self) -> Api<StatefulSet> {
        self.ground.api()
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        self.ground.api()
    }

    async fn patch_set(&self, patch: Value) -> Result<(), Failure> {
        let patched = self.sets().patch(&self.name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        patched.map(drop).map_err(Failure::ours("change a StatefulSet"))
    }

    async fn make_disks(&self, slots: std::ops::Range<usize>) -> Result<(), Failure> {
        let names: Vec<String> = slots.map(|slot| format!("data-{}-{slot}", self.name)).collect();
        let made = names.iter().map(|name| {
            self.create::<PersistentVolumeClaim>(
                json!({ "metadata": { "name": name, "labels": self.labels() }, "spec": disk() }),
            )
        });
        futures::future::try_join_all(made).await?;
        let began = Instant::now();
        let claims = self.claims();
        for name in &names {
            while began.elapsed() < PATIENCE {
                let claim = claims.get(name).await.map_err(Failure::ours("read a claim"))?;
                if claim.status.is_some_and(|status| status.phase.as_deref() == Some("Bound")) {
                    break;
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    fn peer_service(&self) -> String {
        format!("{}-peer", self.name)
    }

    fn domain(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.peer_service(), self.ground.namespace)
    }

    fn labels(&self) -> Value {
        json!({ "app.kubernetes.io/name": "etcd", INSTANCE: self.name })
    }

    fn pod(&self, version: &str, first: First, size: usize) -> Value {
        let images = &self.ground.images;
        let probe = |path: &str, failures: u32| json!({ "httpGet": { "path": path, "port": 2381 }, "periodSeconds": 1, "failureThreshold": failures });
        json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": self.labels() } },
            }] } },
            "containers": [{
                "name": "etcd",
                "image": format!("{}/{}:v{version}", images.registry, images.repository),
                "command": ["etcd"],
                "args": self.arguments(first, size),
                "env": [{ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
                "resources": { "requests": { "cpu": "10m", "memory": EDITS[0] } },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
                "startupProbe": probe("/livez", 600),
                "readinessProbe": probe("/readyz", 3),
                "volumeMounts": [{ "name": "data", "mountPath": "/var/lib/etcd" }],
            }],
        })
    }

    fn arguments(&self, first: First, size: usize) -> Vec<String> {
        let host = format!("$(POD_NAME).{}", self.domain());
        let members = match self.kind {
            Kind::Alone => format!("$(POD_NAME)=http://{host}:2380"),
            Kind::Plain | Kind::Ours => {
                let all = (0..size).map(|slot| format!("{}-{slot}={}", self.name, self.peer_url(slot)));
                all.collect::<Vec<_>>().join(",")
            }
        };
        let state = if first == First::Founds { "new" } else { "existing" };
        vec![
            "--name=$(POD_NAME)".to_owned(),
            "--data-dir=/var/lib/etcd/data".to_owned(),
            "--listen-client-urls=http://0.0.0.0:2379".to_owned(),
            format!("--advertise-client-urls=http://{host}:2379"),
            "--listen-peer-urls=http://0.0.0.0:2380".to_owned(),
            format!("--initial-advertise-peer-urls=http://{host}:2380"),
            "--listen-metrics-urls=http://0.0.0.0:2381".to_owned(),
            format!("--initial-cluster={members}"),
            format!("--initial-cluster-state={state}"),
            format!("--initial-cluster-token={}", self.name),
        ]
    }
}

fn disk() -> Value {
    json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } })
}
