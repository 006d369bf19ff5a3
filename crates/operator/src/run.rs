//! The operator as a process: from its arguments to its end by a signal.

use std::{sync::Arc, time::Duration};

use kube::Config;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Run,
    controller::{self, Scope, Shared},
    election::{self, Candidate},
    events::Events,
    health::{self, Readiness},
    logging,
    metrics::Metrics,
    platform::{
        Surroundings,
        reach::{self, Way},
    },
    requests,
    resource::Site,
};

/// For whatever runs when a signal has come: a step in flight, the way back of the lease.
const FAREWELL: Duration = Duration::from_secs(10);

/// Runs until a signal comes.
pub(crate) fn run(arguments: Run) -> Result<(), String> {
    logging::start(arguments.log_format, &arguments.log)?;
    // Before the first connection: a second crypto library among the dependencies must not decide.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads: {error}"))?;
    let done = runtime.block_on(operate(arguments));
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn operate(arguments: Run) -> Result<(), String> {
    let mut config = Config::infer().await.map_err(|error| {
        format!("no Kubernetes cluster is configured: {error}; set KUBECONFIG, or run inside a cluster with a ServiceAccount")
    })?;
    // A retry is a decision, and those are made where the outcome is known.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    let own_namespace = config.default_namespace.clone();
    let metrics = Arc::new(Metrics::default());
    let client = requests::client(config, &metrics);
    let client = client.map_err(|error| format!("no client for the Kubernetes cluster: {error}"))?;

    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(stop.clone()));
    let ready = Readiness::default();
    let servers =
        health::serve(arguments.metrics_addr, arguments.health_addr, Arc::clone(&metrics), ready.clone()).await?;

    let around = Surroundings {
        client: client.clone(),
        site: Site {
            operator_image: arguments.image,
            cluster_domain: arguments.cluster_domain,
            namespace: reach::is_in_cluster().then(|| own_namespace.clone()),
        },
        reach: arguments.reach.unwrap_or_else(Way::here),
        snapshots: arguments.snapshot_dir,
        looks: Arc::new(Semaphore::new(arguments.concurrency.into())),
    };
    let shared = Shared::new(around, Events::new(client.clone()), metrics, ready);
    let scope = Scope::of(arguments.namespace);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %scope, reach = ?shared.around.reach, "operator starts");
    let done = if arguments.leader_elect {
        let namespace = arguments.lease_namespace.unwrap_or(own_namespace);
        let candidate = Candidate::new(client, &namespace);
        // Whoever stands by lacks nothing.
        shared.ready.set();
        election::lead(candidate, stop.clone(), |term| controller::run(shared.clone(), scope.clone(), term)).await
    } else {
        controller::run(shared, scope, stop.clone()).await
    };
    signals.abort();
    drop(servers);
    tracing::info!("operator ends");
    done
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be heard: only SIGKILL ends this process");
        return;
    };
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM"),
        _ = interrupt.recv() => tracing::info!("SIGINT"),
    }
    stop.cancel();
    tokio::time::sleep(FAREWELL).await;
    tracing::error!("not everything has ended within {FAREWELL:?}");
    std::process::abort();
}
