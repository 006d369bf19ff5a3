//! A node that is none: it is ready, and its Pods run as soon as they are bound to it.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node as NodeObject, Pod},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;

use super::world::World;
use crate::{failure::Failure, ground::object};

/// The node's name.
pub(crate) const NAME: &str = "bench-doubles";
/// Label and taint of the node: nobody else's Pods come here.
pub(crate) const LABEL: &str = "etcd.etcd.io/bench-doubles";
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Where nodes give signs of life.
const LEASES: &str = "kube-node-lease";
const SEAT: &str = "etcd.etcd.io/seat";
const PERMIT: &str = "etcd.etcd.io/permit";

/// The node, for as long as it is held.
pub(crate) struct Node {
    nodes: Api<NodeObject>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Node {
    pub(super) async fn join(client: &Client, namespace: &str, world: Arc<World>) -> Result<Self, Failure> {
        let nodes: Api<NodeObject> = Api::all(client.clone());
        // One of a run before that was killed.
        let _ = nodes.delete(NAME, &DeleteParams::default()).await;
        let node: NodeObject = object(json!({
            "metadata": { "name": NAME, "labels": { "kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux", LABEL: "true" } },
            "spec": { "taints": [{ "key": LABEL, "value": "true", "effect": "NoSchedule" }] },
        }))?;
        nodes.create(&PostParams::default(), &node).await.map_err(Failure::ours("make a node"))?;
        let room = json!({ "cpu": "1000", "memory": "1000Gi", "pods": "1000" });
        let ready = json!({ "status": {
            "capacity": room, "allocatable": room,
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Double", "message": "it is a double", "lastHeartbeatTime": now(), "lastTransitionTime": now() }],
        } });
        let patched = nodes.patch_status(NAME, &PatchParams::default(), &Patch::Merge(ready)).await;
        patched.map_err(Failure::ours("make a node ready"))?;
        let leases: Api<Lease> = Api::namespaced(client.clone(), LEASES);
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let tasks = [tokio::spawn(live(leases)), tokio::spawn(run(pods, world))];
        Ok(Self { nodes, _tasks: tasks.map(AbortOnDropHandle::new) })
    }

    pub(super) async fn leave(self) {
        // Without its kubelet it is soon taken for dead, and says so itself.
        let _ = self.nodes.delete(NAME, &DeleteParams::default()).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a sign of life carries the time of day; nothing is decided by it here")]
fn now() -> Timestamp {
    Timestamp::now()
}

async fn live(leases: Api<Lease>) {
    let mut beats = interval(HEARTBEAT);
    loop {
        beats.tick().await;
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": NAME },
            "spec": { "holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": MicroTime(now()) },
        });
        // The next one may come through.
        let _ = leases.patch(NAME, &PatchParams::apply("etcdop-bench").force(), &Patch::Apply(lease)).await;
    }
}

/// Does what a kubelet would say that it did.
async fn run(pods: Api<Pod>, world: Arc<World>) {
    let config = watcher::Config::default().fields(&format!("spec.nodeName={NAME}"));
    let mut events: BoxStream<'_, _> = watcher(pods.clone(), config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        if let Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) = event {
            let (pods, world) = (pods.clone(), Arc::clone(&world));
            // The API server refuses what does not fit any more; then there is a newer event.
            tokio::spawn(async move { settle(&pods, &world, &pod).await.ok() });
        }
    }
}

async fn settle(pods: &Api<Pod>, world: &World, pod: &Pod) -> Result<(), kube::Error> {
    let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
    if pod.metadata.deletion_timestamp.is_some() {
        return pods.delete(&name, &DeleteParams::default().grace_period(0)).await.map(drop);
    }
    let told = |key: &str| pod.annotations().get(key).map(String::as_str);
    let address = world.learn(&name, &uid, told(SEAT), told(PERMIT)).to_string();
    if pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some()) {
        return Ok(());
    }
    let status = json!({ "metadata": { "uid": uid }, "status": running(&uid, &address) });
    pods.patch_status(&name, &PatchParams::default(), &Patch::Strategic(status)).await.map(drop)
}

fn running(uid: &str, address: &str) -> Value {
    let since = Time(now());
    let conditions = ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"];
    let conditions = conditions.map(|kind| json!({ "type": kind, "status": "True", "lastTransitionTime": since }));
    json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "startTime": since,
        "conditions": conditions,
        "containerStatuses": [{
            "name": "etcd", "image": "double", "imageID": "double", "containerID": format!("double://{uid}"),
            "ready": true, "started": true, "restartCount": 0, "state": { "running": { "startedAt": since } },
        }],
    })
}
