//! Containers beside etcd.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{container, restricted};

/// Network tools for `kubectl exec`.
pub(super) fn netshoot(image: &str) -> Container {
    let requests = [("cpu", "10m"), ("memory", "32Mi")];
    Container {
        command: Some(vec!["sleep".to_owned(), "infinity".to_owned()]),
        resources: Some(ResourceRequirements {
            requests: Some(BTreeMap::from(
                requests.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))),
            )),
            ..ResourceRequirements::default()
        }),
        ..container("netshoot", image.to_owned())
    }
}

/// A user's container. One that says nothing about its rights gets those that every namespace allows.
pub(super) fn extra(container: &Container) -> Container {
    let mut container = container.clone();
    container.security_context.get_or_insert_with(restricted);
    container
}
