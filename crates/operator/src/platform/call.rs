//! Every call of the API server ends: within its deadline, as an answer or as an error.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Error, Resource,
    api::{DeleteParams, PatchParams, PostParams, Preconditions},
};
use tokio::time::timeout;

/// The field manager of everything that the operator writes.
pub(crate) const FIELD_MANAGER: &str = "etcd-operator";

/// For one change.
const CHANGE: Duration = Duration::from_secs(5);

/// The call, or an error when it takes too long: what became of it is not known then.
pub(crate) async fn change<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(CHANGE, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Service(format!("no answer within {CHANGE:?}").into())),
    }
}

/// The objects of one kind in one namespace.
pub(crate) fn api<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), namespace)
}

/// Server-side apply, taking our fields back from whoever changed them.
pub(crate) fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// A patch of named fields.
pub(crate) fn patch() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// A creation or a replacement.
pub(crate) fn post() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

/// Deletes exactly this object.
pub(crate) fn delete(uid: &str) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None })
}
