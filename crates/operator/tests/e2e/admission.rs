//! What the API server refuses, with which words: the rules cost it something, and it takes no definition whose rules cost too much.

use etcdop_api::EtcdCluster;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::ground::Ground;

/// As users write it: what is wrong cannot be said in our own types.
struct Admission {
    resources: Api<DynamicObject>,
}

impl Admission {
    async fn find() -> Option<Self> {
        let ground = Ground::find().await?;
        let resource = ApiResource::erase::<EtcdCluster>(&());
        Some(Self { resources: Api::default_namespaced_with(ground.client, &resource) })
    }

    /// What is said to a resource of this name with these fields of the spec; nothing is made.
    async fn says(&self, name: &str, spec: &Value) -> Result<DynamicObject, String> {
        let mut whole = json!({ "size": 3, "version": "3.6.16" });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object = json!({
            "apiVersion": "etcd.etcd.io/v1alpha1",
            "kind": "EtcdCluster",
            "metadata": { "name": name },
            "spec": whole,
        });
        let parameters = PostParams { dry_run: true, field_manager: None };
        let answer = self.resources.create(&parameters, &serde_json::from_value(object).unwrap()).await;
        answer.map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn what_is_wrong_by_itself_is_refused_with_what_to_write_instead() {
    let Some(admission) = Admission::find().await else { return };
    let cases = [
        (json!({ "size": 4 }), "spec.size", "use one of 0, 1, 3, 5, 7, 9"),
        (json!({ "size": 11 }), "spec.size", "at most 9 voting members"),
        (json!({ "version": "3.4.1" }), "spec.version", "write MAJOR.MINOR.PATCH as in 3.6.16"),
        (json!({ "version": "3.5.15" }), "spec.version", "3.5.16 or later"),
        (json!({ "storage": { "size": "lots" } }), "spec.storage.size", "write a quantity such as 1Gi"),
        (json!({ "storage": { "size": "0" } }), "spec.storage.size", "write a quantity such as 1Gi"),
        (json!({ "resources": { "requests": { "memory": "x" } } }), "spec.resources.requests", "as in 500m or 1Gi"),
        (
            json!({ "etcd": { "extraArgs": { "name": "x" } } }),
            "spec.etcd.extraArgs",
            "cannot be set, remove them: name, data-dir",
        ),
        (
            json!({ "etcd": { "extraArgs": { "quota-backend-bytes": "5" } } }),
            "spec.etcd.extraArgs",
            "use etcd.quotaBackendBytes",
        ),
        (json!({ "etcd": { "extraArgs": { "--debug": "x" } } }), "spec.etcd.extraArgs", "without dashes in front"),
        (
            json!({ "version": "3.7.3", "etcd": { "extraArgs": { "experimental-x": "1" } } }),
            "spec",
            "without experimental-",
        ),
        (json!({ "etcd": { "electionTimeout": 300 } }), "spec.etcd", "at least five times heartbeatInterval"),
        (
            json!({ "etcd": { "autoCompactionMode": "revision", "autoCompactionRetention": "1h" } }),
            "spec.etcd",
            "with revision a number such as 10000",
        ),
        (json!({ "service": { "nodePort": 30379 } }), "spec.service", "set service.type to NodePort"),
        (json!({ "recovery": { "replaceAfter": "5" } }), "spec.recovery.replaceAfter", "as in 90s, 5m or 1h30m"),
        (json!({ "recovery": { "replaceAfter": "0s" } }), "spec.recovery.replaceAfter", "write 10s or more"),
        (json!({ "recovery": { "replaceAfter": "9s999ms" } }), "spec.recovery.replaceAfter", "write 10s or more"),
        (json!({ "maintenance": { "defragmentAbove": "-1" } }), "spec.maintenance.defragmentAbove", "such as 100Mi"),
        (
            json!({ "podTemplate": { "labels": { "etcd.etcd.io/cluster": "x" } } }),
            "spec.podTemplate",
            "use other names",
        ),
        (
            json!({ "podTemplate": { "annotations": { "etcd.etcd.io/permit": "x" } } }),
            "spec.podTemplate",
            "use other names",
        ),
        (json!({ "podTemplate": { "containers": [{ "name": "etcd" }] } }), "spec.podTemplate", "use another name"),
        (json!({ "image": { "registry": "https://example.com" } }), "spec.image.registry", "without https://"),
        (json!({ "image": { "repository": "etcd:3" } }), "spec.image.repository", "without a tag"),
        (json!({ "image": { "digest": "sha256:1" } }), "spec.image.digest", "64 hexadecimal digits"),
    ];
    for (spec, field, remedy) in cases {
        let said = admission.says("demo", &spec).await.expect_err(&format!("{spec} was let in"));
        assert!(said.contains(field) && said.contains(remedy), "{spec}: {said}");
    }
    for (name, remedy) in
        [("a".repeat(53).as_str(), "at most 52 characters"), ("a.b", "without dots"), ("1a", "beginning with a letter")]
    {
        let said = admission.says(name, &json!({})).await.expect_err(&format!("{name} was let in"));
        assert!(said.contains(remedy), "{name}: {said}");
    }
}

#[tokio::test]
async fn what_is_left_out_or_null_gets_its_default() {
    let Some(admission) = Admission::find().await else { return };
    let shortest = admission.says("demo", &json!({ "recovery": { "replaceAfter": "10000ms" } })).await.unwrap().data;
    assert_eq!(shortest["spec"]["recovery"]["replaceAfter"], "10000ms");
    for spec in [json!({}), json!({ "storage": null, "etcd": null, "recovery": { "replaceAfter": null } })] {
        let there = admission.says(&"a".repeat(52), &spec).await.unwrap().data;
        assert_eq!(there["spec"]["storage"]["size"], "1Gi");
        assert_eq!(there["spec"]["storage"]["whenDeleted"], "Retain");
        assert_eq!(there["spec"]["recovery"]["replaceAfter"], "5m");
    }
}

#[tokio::test]
async fn disks_neither_shrink_nor_change_their_class() {
    let Some(admission) = Admission::find().await else { return };
    let name = format!("admission-{}", std::process::id());
    // It asks for nothing, so whoever keeps clusters here makes nothing of it.
    let object = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1",
        "kind": "EtcdCluster",
        "metadata": { "name": name },
        "spec": { "size": 0, "version": "3.6.16", "paused": true, "storage": { "size": "2Gi", "storageClassName": "x" } },
    });
    let resources = &admission.resources;
    resources.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let edit = async |storage: Value| {
        let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
        let edited =
            resources.patch(&name, &parameters, &Patch::Merge(json!({ "spec": { "storage": storage } }))).await;
        edited.map(drop).map_err(|error| error.to_string())
    };
    let answers = [
        edit(json!({ "size": "1Gi" })).await,
        edit(json!({ "storageClassName": "y" })).await,
        edit(json!({ "storageClassName": null })).await,
        edit(json!({ "size": "2048Mi" })).await,
        edit(json!({ "size": "3Gi" })).await,
    ];
    resources.delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
    let [smaller, other, none, same, larger] = answers;
    assert!(smaller.unwrap_err().contains("a disk cannot shrink"));
    assert!(other.unwrap_err().contains("storageClassName cannot be changed"));
    assert!(none.unwrap_err().contains("storageClassName cannot be changed"));
    assert_eq!((same, larger), (Ok(()), Ok(())));
}
