//! Item 12: the scaling report's user guide, step by step, with its names and its file.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdop_etcd::{Consistency, Role};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    commands::{exec, ready},
    ground::Ground,
    stage::{Stage, addresses, etcd, selector},
};

const NAMESPACE: &str = "test-scaling";
const CLUSTER: &str = "test-scaling-cluster";
const NODE_PORT: u16 = 30379;

/// For how long READY may lag behind.
const LAG: Duration = Duration::from_secs(2);
/// Between two looks at READY.
const TICK: Duration = Duration::from_millis(100);
/// For a member's answer.
const ANSWER: Duration = Duration::from_millis(300);

/// The file, with this size; as somebody would edit it.
fn edited(size: i64) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/testdata/test-scaling-scenarios.yaml");
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("  size: 1\n"), "{text}");
    let text = text.replace("  size: 1\n", &format!("  size: {size}\n"));
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// `kubectl apply -f`.
async fn apply(ground: &Ground, objects: &[Value]) {
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (version, kind) = (text("/apiVersion").unwrap(), text("/kind").unwrap());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = match text("/metadata/namespace") {
            Some(namespace) => Api::namespaced_with(ground.client.clone(), namespace, &resource),
            None => Api::all_with(ground.client.clone(), &resource),
        };
        let name = text("/metadata/name").unwrap();
        api.patch(name, &PatchParams::apply("kubectl"), &Patch::Apply(object)).await.unwrap();
    }
}

/// What was so between two instants.
#[derive(Debug)]
struct Truth {
    from: Instant,
    to: Instant,
    serving: i32,
}

/// What the column READY said at an instant.
#[derive(Debug)]
struct Said {
    at: Instant,
    ready: i32,
}

/// Asks all members all the time; also notes the most restarts that it sees.
async fn follow_members(stage: &Stage, stop: &AtomicBool) -> (Vec<Truth>, i32) {
    let (mut truths, mut restarts) = (Vec::new(), 0);
    while !stop.load(Ordering::Acquire) {
        let from = Instant::now();
        let asked = addresses(&stage.ground.client, &stage.namespace, &stage.name).await.into_iter().map(
            async |(_, endpoint)| {
                let status = etcd(endpoint).deadline(ANSWER).status().await;
                status.is_ok_and(|status| status.value.role == Role::Voter && status.value.leader.is_some())
            },
        );
        let serving = join_all(asked).await.into_iter().filter(|serves| *serves).count();
        truths.push(Truth { from, to: Instant::now(), serving: i32::try_from(serving).unwrap() });
        restarts = restarts.max(stage.restarts().await);
        sleep(TICK / 2).await;
    }
    (truths, restarts)
}

/// Reads the column ten times a second.
async fn follow_column(stage: &Stage, stop: &AtomicBool) -> Vec<Said> {
    let mut said = Vec::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !stop.load(Ordering::Acquire) {
        ticks.tick().await;
        let resource = stage.resources().get_opt(&stage.name).await.unwrap();
        let ready = resource.and_then(|resource| resource.status).map_or(0, |status| status.ready_members);
        said.push(Said { at: Instant::now(), ready });
    }
    said
}

/// What was said and was not so at any instant of the two seconds before. Between two answers every number in between was so.
fn lies(said: &[Said], truths: &[Truth]) -> Vec<String> {
    let lie = |said: &Said| {
        let window = truths.iter().filter(|truth| truth.to + LAG >= said.at && truth.from <= said.at);
        let serving: Vec<i32> = window.map(|truth| truth.serving).collect();
        let (least, most) = (*serving.iter().min()?, *serving.iter().max()?);
        let so = (least..=most).contains(&said.ready);
        (!so).then(|| format!("READY {} while {least} to {most} served", said.ready))
    };
    said.iter().filter_map(lie).collect()
}

/// What the guide looks at after each step.
async fn is_as_the_guide_says(stage: &Stage, size: usize) {
    let pods = || async { stage.pods().list(&selector(CLUSTER)).await.unwrap().items };
    let complete = || async {
        let pods = pods().await;
        pods.len() == size && pods.iter().all(|pod| ready(pod) == (2, 2))
    };
    stage.until("2/2 Running each", complete).await;
    for pod in pods().await {
        let (name, address) = (pod.name_any(), pod.status.as_ref().unwrap().pod_ip.clone().unwrap());
        let full = format!("{name}.{CLUSTER}-peer.{NAMESPACE}.svc.cluster.local");
        let found = exec(stage, &stage.pod(0), "netshoot", &["nslookup", "-type=a", &full]).await;
        assert!(found.as_ref().is_ok_and(|found| found.contains(&address)), "{full}, not {address}: {found:?}");
        let claim = stage.claims().get(&format!("data-{name}")).await.unwrap();
        let asked = claim.spec.unwrap().resources.unwrap().requests.unwrap()["storage"].0.clone();
        assert_eq!(asked, "1Gi");
    }
    let list = exec(stage, &stage.pod(0), "etcd", &["etcdctl", "member", "list"]).await.unwrap();
    assert_eq!(list.lines().filter(|line| line.contains("started")).count(), size, "{list}");
    let health = exec(stage, &stage.pod(0), "etcd", &["etcdctl", "endpoint", "health"]).await.unwrap();
    assert!(health.contains("is healthy"), "{health}");
    let nodes: Api<Node> = Api::all(stage.ground.client.clone());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items;
    let addresses =
        nodes.iter().flat_map(|node| node.status.iter().flat_map(|status| status.addresses.iter().flatten()));
    let internal: Vec<&str> =
        addresses.filter(|address| address.type_ == "InternalIP").map(|address| address.address.as_str()).collect();
    assert!(!internal.is_empty(), "no node has an address");
    for address in internal {
        let outside = etcd(format!("http://{address}:{NODE_PORT}").parse().unwrap());
        // kube-proxy follows a moment after the Pods.
        let answers = || async {
            outside.member_list(Consistency::Linearizable).await.is_ok_and(|list| list.value.len() == size)
        };
        stage.until(&format!("{size} members through {address}:{NODE_PORT}"), answers).await;
    }
}

/// Removes what a run before has left.
async fn clear(ground: &Ground) {
    let namespaces: Api<Namespace> = Api::all(ground.client.clone());
    let begin = Instant::now();
    while namespaces.get_opt(NAMESPACE).await.unwrap().is_some() {
        assert!(begin.elapsed() < crate::stage::DEADLINE, "namespace {NAMESPACE} does not go");
        // Another time changes nothing, and says so.
        let _ = namespaces.delete(NAMESPACE, &DeleteParams::default()).await;
        sleep(TICK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_step_by_step_and_the_ready_column_is_true_all_along() {
    let Some(ground) = Ground::find().await else { return };
    clear(&ground).await;
    apply(&ground, &edited(1)).await;
    let mut stage = Stage::at(ground, NAMESPACE, CLUSTER);
    stage.run_operator(&[]);
    let stage = stage;
    let stop = Arc::new(AtomicBool::new(false));
    let ((truths, restarts), said, ()) =
        tokio::join!(follow_members(&stage, &stop), follow_column(&stage, &stop), async {
            stage.converged().await;
            is_as_the_guide_says(&stage, 1).await;
            let witness = stage.witness().await;
            // The reports' own times are to be beaten by far more than this (S11).
            for (size, limit) in [(3, 90), (5, 90), (3, 60), (1, 60)] {
                apply(&stage.ground, &edited(size)).await;
                let took = stage.converged().await;
                assert!(took < Duration::from_secs(limit), "{size} took {took:?}");
                is_as_the_guide_says(&stage, usize::try_from(size).unwrap()).await;
            }
            stage.settle(witness).await;
            stop.store(true, Ordering::Release);
        });
    let lies = lies(&said, &truths);
    assert!(lies.is_empty(), "{} of {}: {lies:#?}", lies.len(), said.len());
    assert!(said.len() > 50 && truths.len() > 50, "{} and {}", said.len(), truths.len());
    for size in [1, 3, 5] {
        assert!(said.iter().any(|said| said.ready == size), "READY never was {size}");
    }
    assert_eq!(restarts, 0, "a member was restarted");
    stage.end().await;
}
