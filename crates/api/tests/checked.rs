//! What a wrong resource is told: the field, and what to write instead.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use etcdop_api::{Cluster, EtcdCluster, Invalid, Mode, WhenDeleted};
use etcdop_core::{launch::CompactionMode, size::Size};
use rstest::rstest;
use serde_json::{Value, json};

fn resource(name: &str, spec: &Value) -> EtcdCluster {
    let mut whole = json!({ "size": 3, "version": "3.6.16" });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    let metadata = json!({ "name": name, "namespace": "databases", "uid": "4f1c", "generation": 7 });
    let resource =
        json!({ "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster", "metadata": metadata, "spec": whole });
    serde_json::from_value(resource).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "cases read better")]
fn checked(spec: Value) -> Result<Cluster, Invalid> {
    resource("demo", &spec).checked()
}

#[rstest]
#[case::even(json!({ "size": 4 }), "spec.size: size 4 is even", "use 3 or 5")]
#[case::large(json!({ "size": 11 }), "spec.size: size 11 is too large", "use one of 0, 1, 3, 5, 7, 9")]
#[case::negative(json!({ "size": -1 }), "spec.size:", "use one of 0, 1, 3, 5, 7, 9")]
#[case::old_version(json!({ "version": "3.5.15" }), "spec.version: `3.5.15`", "as in 3.6.16")]
#[case::unknown_minor(json!({ "version": "3.8.0" }), "spec.version: `3.8.0`", "as in 3.6.16")]
#[case::leading_v(json!({ "version": "v3.6.16" }), "spec.version: `v3.6.16`", "as in 3.6.16")]
#[case::pre_release(json!({ "version": "3.7.0-rc.0" }), "spec.version: `3.7.0-rc.0`", "as in 3.6.16")]
#[case::disk(json!({ "storage": { "size": "lots" } }), "spec.storage.size: `lots`", "as in 500m or 1Gi")]
#[case::no_disk(json!({ "storage": { "size": "0" } }), "spec.storage.size: `0`", "such as 1Gi")]
#[case::memory(json!({ "resources": { "requests": { "memory": "2GB" } } }), "spec.resources.requests.memory: `2GB`", "as in 500m or 1Gi")]
#[case::registry(json!({ "image": { "registry": "https://example.com" } }), "spec.image.registry:", "without https://")]
#[case::tag(json!({ "image": { "repository": "etcd:v3" } }), "spec.image.repository:", "without a tag")]
#[case::digest(json!({ "image": { "digest": "sha256:12" } }), "spec.image.digest:", "64 hexadecimal digits")]
#[case::managed(json!({ "etcd": { "extraArgs": { "data-dir": "/x" } } }), "spec.etcd: extraArgs: `data-dir`", "remove it")]
#[case::field(json!({ "etcd": { "extraArgs": { "snapshot-count": "1" } } }), "spec.etcd: extraArgs:", "use snapshotCount")]
#[case::election(json!({ "etcd": { "electionTimeout": 300 } }), "spec.etcd: electionTimeout 300 ms", "use 500 or more")]
#[case::quota(json!({ "etcd": { "quotaBackendBytes": -1 } }), "spec.etcd.quotaBackendBytes:", "above 0")]
#[case::retention(json!({ "etcd": { "autoCompactionMode": "revision", "autoCompactionRetention": "1h" } }), "spec.etcd.autoCompactionRetention:", "such as 10000")]
#[case::retention_text(json!({ "etcd": { "autoCompactionRetention": "1 day" } }), "spec.etcd.autoCompactionRetention:", "1h or 30m")]
#[case::port(json!({ "service": { "nodePort": 30379 } }), "spec.service.nodePort:", "set service.type to NodePort")]
#[case::duration(json!({ "recovery": { "replaceAfter": "5" } }), "spec.recovery.replaceAfter: `5`", "5m or 1h30m")]
#[case::at_once(json!({ "recovery": { "replaceAfter": "0s" } }), "spec.recovery.replaceAfter: `0s` is too short", "write 10s or more")]
#[case::hasty(json!({ "recovery": { "replaceAfter": "9s999ms" } }), "spec.recovery.replaceAfter:", "write 10s or more")]
#[case::endless(json!({ "recovery": { "replaceAfter": "9999999999h" } }), "spec.recovery.replaceAfter:", "5m or 1h30m")]
#[case::nothing_free(json!({ "maintenance": { "defragmentAbove": "0" } }), "spec.maintenance.defragmentAbove:", "such as 100Mi")]
#[case::label(json!({ "podTemplate": { "labels": { "etcd.etcd.io/cluster": "x" } } }), "spec.podTemplate.labels:", "use other names")]
#[case::annotation(json!({ "podTemplate": { "annotations": { "etcd.etcd.io/permit": "x" } } }), "spec.podTemplate.annotations:", "use other names")]
#[case::container(json!({ "podTemplate": { "containers": [{ "name": "etcd" }] } }), "spec.podTemplate.containers[etcd]:", "use another name")]
#[case::slip(json!({ "podTemplate": { "containers": [{ "name": "a", "imgae": "b" }] } }), "spec.podTemplate.containers[a].imgae:", "correct or remove it")]
#[case::affinity(json!({ "podTemplate": { "affinity": { "podAffinity": 5 } } }), "spec.podTemplate.affinity:", "as in a Pod's own spec")]
#[case::toleration(json!({ "podTemplate": { "tolerations": [{ "kee": "a" }] } }), "spec.podTemplate.tolerations[0].kee:", "correct or remove it")]
#[case::client(json!({ "networkPolicy": { "clients": [{ "podSelektor": {} }] } }), "spec.networkPolicy.clients[0].podSelektor:", "correct or remove it")]
fn a_wrong_field_is_named_with_its_remedy(#[case] spec: Value, #[case] what: &str, #[case] remedy: &str) {
    let error = checked(spec).unwrap_err().to_string();
    assert!(error.starts_with(what), "{error}");
    assert!(error.contains(remedy), "{error}");
}

#[rstest]
#[case::long("a123456789012345678901234567890123456789012345678901x", "at most 52 characters")]
#[case::dots("a.b", "without dots")]
#[case::digit("1a", "beginning with a letter")]
#[case::dash("a-", "small letters, digits and dashes")]
fn a_name_that_is_no_dns_label_is_refused(#[case] name: &str, #[case] remedy: &str) {
    let error = resource(name, &json!({})).checked().unwrap_err().to_string();
    assert!(error.starts_with("metadata.name:") && error.contains(remedy), "{error}");
}

#[test]
fn the_shortest_declaration_gets_the_documented_defaults() {
    let cluster = checked(json!({})).unwrap();
    assert_eq!((cluster.desired.size, cluster.generation, cluster.mode), (Size::ALL[2], 7, Mode::Managed));
    let version = cluster.desired.template.version.clone();
    assert_eq!(cluster.image.reference(&version), "gcr.io/etcd-development/etcd:v3.6.16");
    assert_eq!((cluster.storage.size.as_str(), cluster.storage.when_deleted), ("1Gi", WhenDeleted::Retain));
    let requests = cluster.resources.requests.unwrap();
    assert_eq!((requests["cpu"].0.as_str(), requests["memory"].0.as_str()), ("100m", "128Mi"));
    assert_eq!(cluster.desired.recovery, etcdop_core::desired::Recovery::default());
    assert_eq!(cluster.pod.netshoot, None);
    assert_eq!(cluster.network_policy, None);
}

#[test]
fn what_is_declared_arrives() {
    let cluster = checked(json!({
        "size": 0,
        "image": { "registry": "r.example.com:5000/m", "repository": "etcd", "digest": format!("sha256:{}", "a".repeat(64)) },
        "etcd": { "quotaBackendBytes": 8_589_934_592_i64, "autoCompactionMode": "revision", "autoCompactionRetention": "1000",
                  "heartbeatInterval": 50, "electionTimeout": 250, "extraArgs": { "log-level": "warn" } },
        "recovery": { "replaceAfter": "1h30m" },
        "maintenance": { "defragmentAbove": "100Mi", "compactOnNoSpace": "ToLatest" },
        "podTemplate": { "securityContext": { "fsGroup": 7 } },
        "debugSidecar": { "image": "tools:1" },
        "paused": true,
    }))
    .unwrap();
    assert!(cluster.desired.size.is_zero());
    assert_eq!(cluster.mode, Mode::Paused);
    let template = &cluster.desired.template;
    assert!(cluster.image.reference(&template.version).starts_with("r.example.com:5000/m/etcd@sha256:aaa"));
    assert_eq!(template.options.quota_backend_bytes, Some(8_589_934_592));
    assert_eq!(template.options.auto_compaction_mode, Some(CompactionMode::Revision));
    assert_eq!(template.options.extra_args["log-level"], "warn");
    assert_eq!(cluster.desired.recovery.replace_after.as_secs(), 5400);
    assert_eq!(cluster.desired.maintenance.defragment_above, Some(104_857_600));
    // A field of the user's takes the place of the default's, the others stay.
    let security = &cluster.pod.security_context;
    assert_eq!(
        (security.fs_group, security.run_as_user, security.run_as_non_root),
        (Some(7), Some(65_532), Some(true))
    );
    assert_eq!(cluster.pod.netshoot.as_deref(), Some("tools:1"));
}

#[test]
fn every_sample_is_right() {
    for sample in [
        "config/samples/etcdcluster.yaml",
        "config/samples/etcdcluster_all_fields.yaml",
        "test/testdata/test-scaling-scenarios.yaml",
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(sample);
        let text = std::fs::read_to_string(path).unwrap();
        let document = text.split("\n---\n").find(|document| document.contains("kind: EtcdCluster")).unwrap();
        let mut written: Value = serde_saphyr::from_str(document).unwrap();
        let mut resource: EtcdCluster = serde_json::from_value(written.clone()).unwrap();
        // Serde would drop what it does not know.
        let read = serde_json::to_value(&resource).unwrap();
        for (field, value) in written["spec"].as_object_mut().unwrap() {
            let known = read["spec"].get(field).is_some() || *value == json!(false);
            assert!(known, "{sample}: spec.{field} = {value} is not known");
        }
        resource.metadata.namespace.get_or_insert_with(|| "default".to_owned());
        resource.metadata.uid = Some("4f1c".to_owned());
        let cluster = resource.checked();
        assert!(cluster.is_ok(), "{sample}: {}", cluster.unwrap_err());
    }
}
