//! The operator as `make deploy` leaves it: two replicas under their own ServiceAccount. Whatever it does here, it does by the rights that
//! its roles list, and these list no right that it does not use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use axum::http::Request;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, ResourceQuota},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    metrics::{Page, Requests},
    stage::{Stage, selector},
};

/// What a walk may not see an operator use: that port-forwards over a WebSocket, which are GETs, need `create` as well is the API server's
/// own doing since 1.35; a claim may be gone before the operator deletes it; and the way back to a template that the declaration does not
/// render to any more.
const UNUSED: [(&str, &str, &str); 3] = [
    ("", "pods/portforward", "create"),
    ("", "persistentvolumeclaims", "delete"),
    ("apps", "controllerrevisions", "list"),
];

/// Group, resource, verb.
type Grant = (String, String, String);

/// The operator inside the cluster, for the namespace of a stage.
struct Deployed {
    stage: Stage,
    system: String,
}

impl Deployed {
    async fn set_up(test: &str) -> Option<Self> {
        let stage = Stage::bare(test).await?;
        let system = format!("{}-system", stage.namespace);
        let image = &stage.ground.operator_image;
        let manifests = Command::new(env!("CARGO_BIN_EXE_etcd-operator"))
            .args(["manifests", "--image", image, "--namespace", &system])
            .output()
            .await
            .unwrap();
        let manifests = String::from_utf8(manifests.stdout).unwrap();
        let deployed = Self { stage, system };
        for document in manifests.split("\n---\n") {
            let mut object: Value = serde_saphyr::from_str(document).unwrap();
            if deployed.is_for_this_test(&mut object) {
                deployed.apply(&object).await;
            }
        }
        let deployments: Api<Deployment> = Api::namespaced(deployed.stage.ground.client.clone(), &deployed.system);
        let available = || async {
            let status = deployments.get("etcd-operator").await.unwrap().status.unwrap_or_default();
            status.available_replicas == Some(2)
        };
        deployed.stage.until("two replicas that are ready", available).await;
        Some(deployed)
    }

    /// Whether the object is needed, as the test needs it: the definition is there already, and what belongs to no namespace must not
    /// be that of an operator that people have deployed. It sees the namespace of the test alone; other tests have operators of their own.
    fn is_for_this_test(&self, object: &mut Value) -> bool {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let own = json!(self.cluster_role());
        match kind.as_str() {
            "CustomResourceDefinition" => return false,
            "ClusterRole" if object["metadata"]["name"] != "etcd-operator" => return false,
            "ClusterRole" => object["metadata"]["name"] = own,
            "ClusterRoleBinding" => {
                object["metadata"]["name"] = own.clone();
                object["roleRef"]["name"] = own;
            }
            "Deployment" => {
                let arguments = object.pointer_mut("/spec/template/spec/containers/0/args").unwrap();
                arguments.as_array_mut().unwrap().push(json!(format!("--namespace={}", self.stage.namespace)));
            }
            _ => {}
        }
        true
    }

    fn cluster_role(&self) -> String {
        format!("etcd-operator-{}", self.system)
    }

    async fn apply(&self, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (version, kind) = (text("/apiVersion").unwrap(), text("/kind").unwrap());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let client = self.stage.ground.client.clone();
        let objects: Api<DynamicObject> = match text("/metadata/namespace") {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let name = text("/metadata/name").unwrap();
        objects.patch(name, &PatchParams::apply("etcdop-e2e").force(), &Patch::Apply(object)).await.unwrap();
    }

    async fn replicas(&self) -> Vec<String> {
        let pods: Api<Pod> = Api::namespaced(self.stage.ground.client.clone(), &self.system);
        let pods = pods.list(&ListParams::default().labels("app.kubernetes.io/name=etcd-operator")).await.unwrap();
        pods.items.iter().map(ResourceExt::name_any).collect()
    }

    /// The requests of all replicas. They are read through the API server, so from anywhere.
    async fn requests(&self) -> BTreeMap<Requests, u64> {
        let mut all = BTreeMap::new();
        for pod in self.replicas().await {
            let page = format!("/api/v1/namespaces/{}/pods/{pod}:8080/proxy/metrics", self.system);
            let page = Request::get(page).body(Vec::new()).unwrap();
            let page = Page::new(self.stage.ground.client.request_text(page).await.unwrap());
            for (request, count) in page.requests() {
                *all.entry(request).or_default() += count;
            }
        }
        all
    }

    async fn end(self) {
        let client = &self.stage.ground.client;
        let now = DeleteParams::default();
        Api::<ClusterRoleBinding>::all(client.clone()).delete(&self.cluster_role(), &now).await.unwrap();
        Api::<ClusterRole>::all(client.clone()).delete(&self.cluster_role(), &now).await.unwrap();
        Api::<Namespace>::all(client.clone()).delete(&self.system, &now).await.unwrap();
        self.stage.end().await;
    }
}

/// What the roles list.
fn listed() -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for file in ["config/rbac/role.yaml", "config/rbac/leader_election.yaml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap();
        for document in text.split("\n---\n") {
            let document: Value = serde_saphyr::from_str(document).unwrap();
            for rule in document["rules"].as_array().into_iter().flatten() {
                let words = |key: &str| {
                    let words = rule[key].as_array().unwrap().iter();
                    words.map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
                };
                for group in words("apiGroups") {
                    for resource in words("resources") {
                        grants.extend(words("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
                    }
                }
            }
        }
    }
    grants
}

/// What was used. An apply that made the object is a creation, too: the API server asks for both rights.
fn used(requests: &BTreeMap<Requests, u64>) -> BTreeSet<Grant> {
    let grant = |request: &Requests, verb: &str| (request.group.clone(), request.resource.clone(), verb.to_owned());
    let applied = requests.keys().filter(|request| request.verb == "patch" && request.code == "201");
    let applied = applied.map(|request| grant(request, "create"));
    requests.keys().map(|request| grant(request, &request.verb)).chain(applied).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_operator_needs_the_rights_that_are_listed_and_no_others() {
    let Some(deployed) = Deployed::set_up("deployed").await else { return };
    let stage = &deployed.stage;
    let spec = json!({ "size": 1, "service": { "type": "NodePort" }, "networkPolicy": {} });
    stage.create(spec).await;
    stage.converged().await;
    let witness = stage.witness().await;

    // A quota is in the way of more members for a while.
    let quotas: Api<ResourceQuota> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    let quota = serde_json::from_value(json!({ "metadata": { "name": "small" }, "spec": { "hard": { "pods": "1" } } }));
    quotas.create(&PostParams::default(), &quota.unwrap()).await.unwrap();
    stage.scale(3).await;
    let told = |status: &etcdop_api::EtcdClusterStatus| {
        status.message.as_deref().is_some_and(|message| message.contains("exceeded quota"))
    };
    stage.shows("told of the quota", told).await;
    quotas.delete("small", &DeleteParams::default()).await.unwrap();
    stage.converged().await;

    // A disk is lost.
    let slot = (stage.leader().await + 1) % 3;
    stage.claims().delete(&stage.claim(slot), &DeleteParams::default()).await.unwrap();
    let uid = stage.delete_pod(slot).await;
    stage.is_another_pod(slot, &uid).await;
    stage.converged().await;

    // Another minor version, with its snapshot; larger disks; nothing from outside any more, for everybody from inside.
    stage.edit(json!({ "version": "3.7.3", "storage": { "size": "2Gi" } })).await;
    let rolled = |status: &etcdop_api::EtcdClusterStatus| status.version.as_deref() == Some("3.7.3");
    stage.shows("rolled", rolled).await;
    stage.converged().await;
    stage.edit(json!({ "service": { "type": null }, "networkPolicy": null })).await;
    stage.scale(1).await;
    stage.converged().await;
    stage.settle(witness).await;

    // With its data.
    stage.edit(json!({ "storage": { "whenDeleted": "Delete" } })).await;
    let owned = || async { stage.claims().get("data-demo-0").await.unwrap().metadata.owner_references.is_some() };
    stage.until("owned disks", owned).await;
    let requests = deployed.requests().await;
    stage.resources().delete(&stage.name, &DeleteParams::default()).await.unwrap();
    let gone = || async { stage.pods().list(&selector(&stage.name)).await.unwrap().items.is_empty() };
    stage.until("without Pods", gone).await;
    let requests: BTreeMap<_, _> = requests.into_iter().chain(deployed.requests().await).collect();

    let refused = requests.keys().filter(|request| matches!(request.code.as_str(), "401" | "403"));
    let refused: Vec<&Requests> = refused.collect();
    assert!(refused.is_empty(), "refused: {refused:#?}");
    let (listed, used) = (listed(), used(&requests));
    let beyond: Vec<&Grant> = used.difference(&listed).collect();
    assert!(beyond.is_empty(), "used and not listed: {beyond:#?}");
    let excused = UNUSED.map(|(group, resource, verb)| (group.to_owned(), resource.to_owned(), verb.to_owned()));
    let unused: Vec<&Grant> = listed.difference(&used).filter(|grant| !excused.contains(grant)).collect();
    assert!(unused.is_empty(), "listed and not used: {unused:#?}");
    deployed.end().await;
}
