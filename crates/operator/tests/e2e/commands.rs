//! What people run in the Pods: etcdctl without a flag, and the tools of the containers beside etcd.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use serde_json::json;
use tokio::{io::AsyncReadExt, time::timeout};

use crate::stage::Stage;

/// For a command.
const COMMAND: Duration = Duration::from_secs(30);

/// `kubectl exec POD -c CONTAINER -- COMMAND`: what it says, or what it failed of.
pub(crate) async fn exec(stage: &Stage, pod: &str, container: &str, command: &[&str]) -> Result<String, String> {
    let run = async {
        let with = AttachParams::default().container(container);
        let mut process =
            stage.pods().exec(pod, command.iter().copied(), &with).await.map_err(|error| error.to_string())?;
        let (mut out, mut err) = (process.stdout().unwrap(), process.stderr().unwrap());
        let (mut said, mut complained) = (String::new(), String::new());
        let ended = process.take_status().unwrap();
        let (read, _) = tokio::join!(out.read_to_string(&mut said), err.read_to_string(&mut complained));
        read.map_err(|error| error.to_string())?;
        let ended = ended.await.and_then(|status| status.status);
        let all = format!("{said}{complained}");
        if ended.as_deref() == Some("Success") { Ok(all) } else { Err(format!("{ended:?}: {all}")) }
    };
    timeout(COMMAND, run).await.unwrap_or_else(|_| Err(format!("no answer within {COMMAND:?}")))
}

/// How many of the Pod's containers are ready, of how many, as `kubectl get pods` shows it.
pub(crate) fn ready(pod: &Pod) -> (usize, usize) {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    (statuses.iter().filter(|status| status.ready).count(), statuses.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_needs_no_flag_on_any_version() {
    let Some(mut stage) = Stage::bare("etcdctl").await else { return };
    stage.run_operator(&[]);
    for version in ["3.5.35", "3.6.16", "3.7.3"] {
        let cluster = stage.beside(&format!("v{}", version.replace('.', "-")));
        cluster.create(json!({ "size": 1, "version": version })).await;
        cluster.converged().await;
        let pod = cluster.pod(0);
        let list = exec(&cluster, &pod, "etcd", &["etcdctl", "member", "list"]).await.unwrap();
        assert!(list.contains("started") && list.contains(&pod), "{version}: {list}");
        let health = exec(&cluster, &pod, "etcd", &["etcdctl", "endpoint", "health"]).await.unwrap();
        assert!(health.contains("is healthy"), "{version}: {health}");
        let own = exec(&cluster, &pod, "etcd", &["etcdctl", "version"]).await.unwrap();
        assert!(own.contains(version), "{version}: {own}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_beside_etcd_run_and_share_its_network() {
    let spec = json!({
        "size": 1,
        "debugSidecar": {},
        "podTemplate": { "containers": [{
            "name": "beside",
            "image": "docker.io/nicolaka/netshoot:v0.13",
            "command": ["sleep", "infinity"],
        }] },
    });
    let Some(stage) = Stage::declare_with("beside", spec).await else { return };
    stage.converged().await;
    let all = || async { ready(&stage.pods().get("demo-0").await.unwrap()) == (3, 3) };
    stage.until("3/3 ready", all).await;
    // With its dot at the end: busybox fails when one of the search domains has no such name.
    let peers = format!("demo-peer.{}.svc.cluster.local.", stage.namespace);
    for container in ["netshoot", "beside"] {
        let found = exec(&stage, "demo-0", container, &["nslookup", &peers]).await;
        assert!(found.as_ref().is_ok_and(|found| found.contains("demo-peer")), "{container}: {found:?}");
        let health = ["wget", "-q", "-O", "-", "http://127.0.0.1:2379/health"];
        let health = exec(&stage, "demo-0", container, &health).await;
        assert!(health.as_ref().is_ok_and(|health| health.contains("\"true\"")), "{container}: {health:?}");
    }
    stage.end().await;
}
