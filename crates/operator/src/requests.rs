//! Every request to the API server passes here and is counted in the words of its rights: verb, resource, answer. So the rights can be
//! held against what is used, and whoever reads the metrics sees that a cluster at rest is left alone.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use axum::http::{Method, Request, Response, Uri};
use futures::future::BoxFuture;
use kube::{
    Client, Config, Error,
    client::{Body, ClientBuilder},
};
use tower::{Service, layer::layer_fn};

use crate::metrics::Metrics;

#[cfg(feature = "failpoints")]
mod change;

/// A client whose requests are counted.
pub(crate) fn client(config: Config, metrics: &Arc<Metrics>) -> Result<Client, Error> {
    let counted = layer_fn(|inner| Counted { inner, metrics: Arc::clone(metrics) });
    Ok(ClientBuilder::try_from(config)?.with_layer(&counted).build())
}

/// What is asked for, as a rule of a Role would name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) verb: &'static str,
    /// Empty for the core group.
    pub(crate) group: String,
    /// With its subresource.
    pub(crate) resource: String,
}

impl Asked {
    fn of(method: &Method, uri: &Uri) -> Self {
        let mut path = uri.path().trim_matches('/').split('/');
        let group = if path.next() == Some("apis") { path.next().unwrap_or_default() } else { "" };
        // The version is in no rule.
        let mut rest: Vec<&str> = path.skip(1).collect();
        if rest.len() > 2 && rest[0] == "namespaces" {
            rest.drain(..2);
        }
        let (resource, name, subresource) = (rest.first(), rest.get(1), rest.get(2));
        let watches = uri.query().unwrap_or_default().split('&').any(|part| matches!(part, "watch=true" | "watch=1"));
        let verb = match (method, name) {
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, Some(_)) => "delete",
            (&Method::DELETE, None) => "deletecollection",
            (_, None) if watches => "watch",
            (_, None) => "list",
            (_, Some(_)) => "get",
        };
        let resource = resource.copied().unwrap_or_default();
        let resource = subresource.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
        Self { verb, group: group.to_owned(), resource }
    }
}

/// A request under way. It is counted when it ends, also when nobody waits for the answer any more.
struct UnderWay {
    asked: Asked,
    code: Option<u16>,
    metrics: Arc<Metrics>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.metrics.request(&self.asked, self.code);
    }
}

struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: 'static,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = Asked::of(request.method(), request.uri());
        let under_way = UnderWay { asked, code: None, metrics: Arc::clone(&self.metrics) };
        #[cfg(feature = "failpoints")]
        let (change, request) = change::of(request);
        let answer = self.inner.call(request);
        #[cfg(feature = "failpoints")]
        let answer = change::around(change, answer);
        Box::pin(async move {
            let mut under_way = under_way;
            let answer = answer.await;
            under_way.code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("GET", "/api/v1/namespaces/a/pods/demo-0?", "get", "", "pods")]
    #[case("GET", "/api/v1/namespaces/a/pods?&labelSelector=x", "list", "", "pods")]
    #[case("GET", "/api/v1/pods?&watch=true&timeoutSeconds=290", "watch", "", "pods")]
    #[case("GET", "/api/v1/namespaces/a/pods/demo-0/portforward?&ports=2379", "get", "", "pods/portforward")]
    #[case("POST", "/api/v1/namespaces/a/pods/demo-0/eviction?", "create", "", "pods/eviction")]
    #[case("POST", "/apis/events.k8s.io/v1/namespaces/a/events?", "create", "events.k8s.io", "events")]
    #[case("GET", "/apis/storage.k8s.io/v1/storageclasses/standard", "get", "storage.k8s.io", "storageclasses")]
    #[case(
        "PATCH",
        "/apis/etcd.etcd.io/v1alpha1/namespaces/a/etcdclusters/demo/status?&force=true",
        "patch",
        "etcd.etcd.io",
        "etcdclusters/status"
    )]
    #[case("PUT", "/api/v1/namespaces/namespaces/configmaps/demo-members", "update", "", "configmaps")]
    #[case("DELETE", "/api/v1/namespaces/a/pods/demo-0", "delete", "", "pods")]
    #[case("GET", "/api/v1/namespaces/a", "get", "", "namespaces")]
    fn a_request_is_named_as_a_rule_would_name_it(
        #[case] method: &str,
        #[case] uri: &str,
        #[case] verb: &'static str,
        #[case] group: &str,
        #[case] resource: &str,
    ) {
        let asked = Asked::of(&method.parse().unwrap(), &uri.parse().unwrap());
        assert_eq!(asked, Asked { verb, group: group.to_owned(), resource: resource.to_owned() });
    }
}
