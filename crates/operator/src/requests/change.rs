//! What a request changes, as the fail points name it: so that the same change of another operator has the same name, and another change
//! has another one.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
};

use axum::http::{Method, Request};
use futures::FutureExt;
use kube::client::Body;
use serde_json::Value;

/// The change that a request makes, if it makes one.
pub(super) fn of(request: Request<Body>) -> (Option<String>, Request<Body>) {
    if request.method() == Method::GET {
        return (None, request);
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).now_or_never();
    let body = body.and_then(Result::ok).expect("the body of a change is there as a whole before it is sent");
    let words = words(&head.method, head.uri.path(), &body);
    (Some(words), Request::from_parts(head, Body::from(body)))
}

/// Carries out the request, and dies around it when that is asked for.
pub(super) async fn around<T>(change: Option<String>, answer: impl Future<Output = T>) -> T {
    match change {
        Some(words) => etcdop_engine::failpoint::around(&words, &words, answer).await,
        None => answer.await,
    }
}

fn words(method: &Method, path: &str, body: &[u8]) -> String {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| object.pointer(pointer).map(Value::to_string).unwrap_or_default();
    let detail = match *method {
        // Times and words of a status differ from operator to operator.
        Method::PATCH if path.ends_with("/status") => {
            format!("{} {}/{}", text("/status/phase"), text("/status/readyMembers"), text("/status/currentSize"))
        }
        Method::PATCH => {
            let mut hasher = DefaultHasher::new();
            body.hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        }
        Method::PUT => text("/metadata/resourceVersion"),
        Method::POST if path.ends_with("/events") => text("/reason"),
        Method::POST => text("/metadata/name"),
        _ => String::new(),
    };
    format!("{method} {path} {detail}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("DELETE", "/a/pods/x", json!({ "preconditions": { "uid": "u" } }), "DELETE /a/pods/x")]
    #[case("PUT", "/a/configmaps/x", json!({ "metadata": { "resourceVersion": "7" } }), "PUT /a/configmaps/x \"7\"")]
    #[case("POST", "/a/pods", json!({ "metadata": { "name": "x" } }), "POST /a/pods \"x\"")]
    #[case("POST", "/a/events", json!({ "metadata": {}, "reason": "Created" }), "POST /a/events \"Created\"")]
    #[case(
        "PATCH",
        "/a/etcdclusters/x/status",
        json!({ "status": { "phase": "Scaling", "readyMembers": 1, "currentSize": 3, "message": "m" } }),
        "PATCH /a/etcdclusters/x/status \"Scaling\" 1/3"
    )]
    fn a_change_is_named(#[case] method: &str, #[case] path: &str, #[case] body: Value, #[case] wanted: &str) {
        assert_eq!(words(&method.parse().unwrap(), path, body.to_string().as_bytes()), wanted);
    }

    #[test]
    fn two_patches_of_one_object_are_two_changes() {
        let named = |body: &str| words(&Method::PATCH, "/a/pods/x", body.as_bytes());
        assert_eq!(named("{}"), named("{}"));
        assert_ne!(named("{}"), named("{\"a\":1}"));
    }
}
