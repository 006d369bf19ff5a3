//! What the operator itself needs in a cluster: the files under `config/`, which people also apply by hand, as one document.

/// The namespace that the files name.
const NAMESPACE: &str = "etcd-operator-system";
/// The image that the files name.
const IMAGE: &str = "ghcr.io/etcdop/etcd-operator:latest";

const FILES: [&str; 7] = [
    include_str!("../../../../config/manager/namespace.yaml"),
    include_str!("../../../../config/crd/etcd.etcd.io_etcdclusters.yaml"),
    include_str!("../../../../config/rbac/service_account.yaml"),
    include_str!("../../../../config/rbac/role.yaml"),
    include_str!("../../../../config/rbac/role_binding.yaml"),
    include_str!("../../../../config/rbac/leader_election.yaml"),
    include_str!("../../../../config/manager/deployment.yaml"),
];

/// Roles for people; they are no use to the operator.
const USER_ROLES: &str = include_str!("../../../../config/rbac/user_roles.yaml");

/// The definition of `EtcdCluster`, as YAML.
pub(crate) fn crd() -> String {
    include_str!("../../../../config/crd/etcd.etcd.io_etcdclusters.yaml").to_owned()
}

/// Namespace, definition, permissions and Deployment, as YAML, in an order in which they can be created.
pub(crate) fn manifests(image: &str, namespace: &str) -> String {
    let all: Vec<&str> = FILES.into_iter().chain([USER_ROLES]).map(str::trim_end).collect();
    let all = all.join("\n---\n") + "\n";
    all.replace(IMAGE, image).replace(NAMESPACE, namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_and_namespace_are_those_asked_for_everywhere() {
        let text = manifests("registry.example.com/operator:v2", "ops");
        assert!(!text.contains(IMAGE) && !text.contains(NAMESPACE));
        // The operator's own container, and what it starts the members' guard from.
        assert_eq!(text.matches("registry.example.com/operator:v2").count(), 2);
        assert!(text.contains("namespace: ops\n") && text.contains("  name: ops\n"));
    }

    #[test]
    fn every_document_says_what_it_is() {
        let text = manifests(IMAGE, NAMESPACE);
        let documents: Vec<serde_json::Value> =
            text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
        let kinds: Vec<&str> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[..2], ["Namespace", "CustomResourceDefinition"]);
        assert_eq!(kinds.iter().filter(|kind| **kind == "Deployment").count(), 1);
        assert_eq!(documents.len(), 10);
    }
}
