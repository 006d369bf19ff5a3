//! What is asked of the API server when permits are handed out, and what the step waits for.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use axum::http::{Method, Request, Response, StatusCode};
use etcdop_core::{
    id::{Generation, Incarnation, InstanceId, MemberId},
    permit::ClusterState,
};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::*;
use crate::{
    platform::{KubernetesPlatform, Surroundings, reach::Way},
    status::fixture::{declared, formed, site},
};

/// What an API server was asked for, by verb and path.
type Asked = Arc<Mutex<Vec<String>>>;

/// One that answers changes of `ConfigMap`s with this code, and nothing else ever.
fn server(code: StatusCode) -> (Client, Asked) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let line = format!("{} {}", request.method(), request.uri().path());
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let answers = request.method() == Method::PUT && request.uri().path().contains("/configmaps/");
        async move {
            if !answers {
                std::future::pending::<()>().await;
            }
            let body = if code.is_success() {
                json!({ "metadata": { "name": "demo-members", "resourceVersion": "8" } })
            } else {
                json!({ "status": "Failure", "code": code.as_u16(), "reason": "", "message": "no" })
            };
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(body).unwrap())
        }
    });
    (Client::new(service, "ns"), asked)
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Slot 0 holds a Pod that waits; its learner is in the list.
fn waiting() -> Objects {
    let mut record = formed();
    record.reserve(Slot(0), object(json!({ "version": "3.6.16", "options": {}, "max_learners": 8 })));
    record.slots.entry(Slot(0)).and_modify(|seat| seat.member = Some(MemberId(7)));
    let data = kept::render(&record, &Permits::new(), |slot| format!("demo-{slot}")).unwrap();
    let members = json!({ "metadata": { "name": "demo-members", "resourceVersion": "7" }, "data": data });
    Objects {
        members: Some(object(members)),
        pods: BTreeMap::from([(Slot(0), object(json!({ "metadata": { "name": "demo-0", "uid": "p" } })))]),
        ..Objects::default()
    }
}

fn platform(client: Client) -> KubernetesPlatform {
    let (_, cluster) = watch::channel(Arc::new(declared()));
    let around = Surroundings {
        client,
        site: site(),
        reach: Way::Direct,
        snapshots: PathBuf::new(),
        looks: Arc::new(Semaphore::new(1)),
    };
    let platform = KubernetesPlatform::new(around, cluster);
    *platform.inner.seen() = Arc::new(waiting());
    platform
}

fn permit(instance: &str) -> Permit {
    Permit {
        slot: Slot(0),
        instance: InstanceId(instance.to_owned()),
        incarnation: Incarnation::first("u"),
        generation: Generation(1),
        member: Some(MemberId(7)),
        initial_cluster: vec![("demo-0".to_owned(), "http://demo-0:2380".parse().unwrap())],
        state: ClusterState::Existing,
    }
}

fn lines(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_noted_is_handed_out_whoever_hears_of_it_when() {
    let (client, asked) = server(StatusCode::OK);
    let platform = platform(client);
    assert_eq!(platform.inner.permit(&[permit("p")]).await, Outcome::Done);
    assert_eq!(lines(&asked), ["PUT /api/v1/namespaces/ns/configmaps/demo-members"]);
    tokio::task::yield_now().await;
    let mut later = lines(&asked).split_off(1);
    later.sort();
    assert_eq!(later, ["GET /api/v1/namespaces/ns/pods/demo-0/portforward", "PATCH /api/v1/namespaces/ns/pods/demo-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_not_noted_is_brought_to_nobody() {
    let (client, asked) = server(StatusCode::CONFLICT);
    let platform = platform(client);
    assert!(matches!(platform.inner.permit(&[permit("p")]).await, Outcome::NotApplied(_)));
    tokio::task::yield_now().await;
    assert_eq!(lines(&asked), ["PUT /api/v1/namespaces/ns/configmaps/demo-members"]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_for_a_pod_that_is_gone_is_not_noted() {
    let (client, asked) = server(StatusCode::OK);
    let platform = platform(client);
    assert!(matches!(platform.inner.permit(&[permit("before")]).await, Outcome::NotApplied(_)));
    assert_eq!(lines(&asked), Vec::<String>::new());
}
