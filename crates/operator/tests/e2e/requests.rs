//! "No error loops": what an operator asks of the API server while something keeps failing, counted by the API server itself. The operator
//! runs as a user of its own, with the rights of config/rbac/role.yaml and no others.

use std::{env, fs, path::Path, time::Duration};

use k8s_openapi::api::{
    flowcontrol::v1::FlowSchema,
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use crate::{
    facts::{condition, says},
    ground::Ground,
    quorum::Away,
    stage::Stage,
};

/// Until whatever was started at first is over.
const SETTLED: Duration = Duration::from_secs(10);
/// What is counted.
const MINUTE: Duration = Duration::from_mins(1);
/// The most that one cluster that fails may cost the API server in that.
const BOUND: u64 = 600;
/// Where members end again and again, and each end is a reason to look: 1,240 were counted on two busy cores.
const BOUND_OF_UNREST: u64 = 2_000;

/// The most that a cluster at rest may cost: it is read once every two minutes, by a dozen requests, and its watches begin again.
const BOUND_AT_REST: u64 = 30;

/// A user whose requests are counted.
struct Counted {
    client: Client,
    name: String,
    kubeconfig: NamedTempFile,
}

impl Counted {
    async fn make(ground: &Ground, test: &str) -> Self {
        let name = format!("e2e-{test}-{}", std::process::id());
        let client = ground.client.clone();
        let user = json!({ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name });
        let mut role: Value = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rbac/role.yaml"));
        role["metadata"] = json!({ "name": name });
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
            "subjects": [user],
        });
        let everything = json!({
            "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
        });
        let schema = json!({
            "metadata": { "name": name },
            "spec": {
                "matchingPrecedence": 50,
                "priorityLevelConfiguration": { "name": "workload-high" },
                "rules": [{ "subjects": [{ "kind": "User", "user": { "name": name } }], "resourceRules": [everything] }],
            },
        });
        let post = PostParams::default();
        let (roles, bindings, schemas) = apis(&client);
        roles.create(&post, &serde_json::from_value(role).unwrap()).await.unwrap();
        bindings.create(&post, &serde_json::from_value(binding).unwrap()).await.unwrap();
        schemas.create(&post, &serde_json::from_value(schema).unwrap()).await.unwrap();
        let mut config: Value = read(Path::new(&env::var("KUBECONFIG").unwrap()));
        for user in config["users"].as_array_mut().unwrap() {
            user["user"]["as"] = json!(name);
        }
        let kubeconfig = NamedTempFile::new().unwrap();
        fs::write(kubeconfig.path(), config.to_string()).unwrap();
        Self { client, name, kubeconfig }
    }

    /// The operator's environment. It reaches Pods directly: what goes through the API server's port-forward is not counted.
    fn environment(&self) -> [(&'static str, String); 2] {
        let kubeconfig = self.kubeconfig.path().display().to_string();
        [("KUBECONFIG", kubeconfig), ("ETCD_OPERATOR_REACH", "direct".to_owned())]
    }

    async fn so_far(&self) -> u64 {
        let page = axum::http::Request::get("/metrics").body(Vec::new()).unwrap();
        let page = self.client.request_text(page).await.unwrap();
        let ours = format!("flow_schema=\"{}\"", self.name);
        let counts = page.lines().filter(|line| line.starts_with("apiserver_flowcontrol_dispatched_requests_total{"));
        let counts = counts.filter(|line| line.contains(&ours)).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    /// Of a minute.
    async fn in_a_minute(&self, what: &str) -> u64 {
        sleep(SETTLED).await;
        let before = self.so_far().await;
        sleep(MINUTE).await;
        let count = self.so_far().await - before;
        eprintln!("{what}: {count} requests in a minute");
        count
    }

    /// Counts for a minute, which must not be more than the bound.
    async fn are_few(&self, what: &str, bound: u64) {
        let count = self.in_a_minute(what).await;
        assert!(count > 0, "the operator is at work, and its requests are counted");
        assert!(count <= bound, "{what}: {count} requests in a minute, {bound} at most");
    }

    async fn end(self, stage: Stage) {
        stage.end().await;
        let (roles, bindings, schemas) = apis(&self.client);
        let delete = DeleteParams::default();
        schemas.delete(&self.name, &delete).await.unwrap();
        bindings.delete(&self.name, &delete).await.unwrap();
        roles.delete(&self.name, &delete).await.unwrap();
    }
}

fn apis(client: &Client) -> (Api<ClusterRole>, Api<ClusterRoleBinding>, Api<FlowSchema>) {
    (Api::all(client.clone()), Api::all(client.clone()), Api::all(client.clone()))
}

fn read(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_at_rest_costs_next_to_no_requests() {
    let Some(ground) = Ground::to_break().await else { return };
    let counted = Counted::make(&ground, "rest").await;
    let stage = Stage::on(ground, "rest", json!({ "size": 3 }), &counted.environment()).await;
    stage.converged().await;
    assert!(counted.so_far().await > 0, "the operator's requests are counted");
    let count = counted.in_a_minute("a cluster at rest").await;
    assert!(count <= BOUND_AT_REST, "{count} requests in a minute, {BOUND_AT_REST} at most");
    counted.end(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_is_missing_costs_few_requests() {
    let Some(ground) = Ground::to_break().await else { return };
    let counted = Counted::make(&ground, "few-class").await;
    let spec = json!({ "size": 3, "storage": { "storageClassName": "nowhere" } });
    let stage = Stage::on(ground, "few-class", spec, &counted.environment()).await;
    stage.shows("told", |status| says(status, "StorageClass nowhere does not exist")).await;
    counted.are_few("a StorageClass that is missing", BOUND).await;
    counted.end(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_whose_image_is_missing_costs_few_requests() {
    let Some(ground) = Ground::to_break().await else { return };
    let counted = Counted::make(&ground, "few-image").await;
    let stage = Stage::on(ground, "few-image", json!({ "size": 3, "version": "3.6.99" }), &counted.environment()).await;
    stage.shows("told", |status| says(status, "Image") || says(status, "image")).await;
    counted.are_few("a new cluster whose image is missing", BOUND).await;
    counted.end(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_whose_image_is_missing_costs_few_requests() {
    let Some(ground) = Ground::to_break().await else { return };
    let counted = Counted::make(&ground, "few-trial").await;
    let stage = Stage::on(ground, "few-trial", json!({ "size": 3 }), &counted.environment()).await;
    stage.converged().await;
    stage.edit(json!({ "version": "3.6.99" })).await;
    stage.shows("told", |status| condition(status, "MembersUpToDate", "False").contains("mage")).await;
    counted.are_few("an upgrade whose image is missing", BOUND).await;
    counted.end(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quorum_costs_few_requests() {
    let Some(ground) = Ground::to_break().await else { return };
    let counted = Counted::make(&ground, "few-quorum").await;
    let mut stage = Stage::on(ground, "few-quorum", json!({ "size": 3 }), &counted.environment()).await;
    stage.converged().await;
    let _lost = Away::take_two(&mut stage).await;
    stage.shows("told", |status| says(status, "quorum lost")).await;
    counted.are_few("a lost quorum", BOUND_OF_UNREST).await;
    counted.end(stage).await;
}
