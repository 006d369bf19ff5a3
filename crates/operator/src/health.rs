//! The pages of the process itself: /healthz, /readyz, /metrics.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{arguments::Address, metrics::Metrics};

/// Whether the resources have been listed, or another replica leads: then nothing is missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves the pages until what it returns is dropped.
///
/// # Errors
/// An address that cannot be listened at.
pub(crate) async fn serve(
    metrics_at: Address,
    health_at: Address,
    metrics: Arc<Metrics>,
    ready: Readiness,
) -> Result<Vec<AbortOnDropHandle<()>>, String> {
    let pages = Router::new().route("/metrics", get(page)).with_state(metrics);
    let health =
        Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readiness)).with_state(ready);
    let mut servers = Vec::new();
    for (address, router, flag) in [(metrics_at, pages, "--metrics-addr"), (health_at, health, "--health-addr")] {
        let Address::At(address) = address else { continue };
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .map_err(|error| format!("{flag} {address} cannot be listened at: {error}; name another one, or none"))?;
        servers.push(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%address, %error, "pages are not served any more");
            }
        })));
    }
    Ok(servers)
}

async fn page(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.page())
}

async fn readiness(State(ready): State<Readiness>) -> impl IntoResponse {
    if ready.get() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "resources are not listed yet\n")
    }
}
