//! Who of several operators acts: the holder of a lease. A holder counts its term by its own monotonic clock, from before it asked
//! for the renewal, and stops acting before anybody else may take over, whatever the API server says or does not say.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Error,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock;

/// The lease's name.
const LEASE: &str = "etcd-operator";
/// For how long a lease is valid; a successor waits for that long.
const DURATION: Duration = Duration::from_secs(10);
/// For how long the holder acts without a renewal: what it has begun by then ends before the lease does.
const TERM: Duration = Duration::from_secs(7);
/// Between two renewals.
const RENEWAL: Duration = Duration::from_secs(2);
/// Between two looks of those who wait.
const RETRY: Duration = Duration::from_secs(1);
/// For one answer of the API server.
const ANSWER: Duration = Duration::from_secs(3);

/// Somebody who wants to lead.
#[derive(Clone)]
pub(crate) struct Candidate {
    leases: Api<Lease>,
    identity: String,
}

/// A lease as it was seen last, and since when: other machines' clocks are not compared.
struct Sighting {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    since: Instant,
}

impl Candidate {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "etcd-operator".to_owned());
        let now = clock::now().as_nanosecond();
        let identity = format!("{host}_{}_{now:x}", std::process::id());
        Self { leases: Api::namespaced(client, namespace), identity }
    }

    /// Takes or renews the lease if that is possible; says until when it may be acted on.
    async fn claim(&self, sighting: &mut Option<Sighting>) -> Result<Option<Instant>, Error> {
        let asked = Instant::now();
        let Some(lease) = self.leases.get_opt(LEASE).await? else {
            self.leases.create(&PostParams::default(), &self.lease(None)).await?;
            return Ok(Some(asked + TERM));
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        let same = sighting.as_ref().is_some_and(|seen| seen.holder == holder && seen.renewed == spec.renew_time);
        if !same {
            *sighting = Some(Sighting { holder: holder.clone(), renewed: spec.renew_time.clone(), since: asked });
        }
        let validity = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let expired = sighting.as_ref().is_some_and(|seen| seen.since.elapsed() > Duration::from_secs(validity));
        let free = holder.as_ref().is_none_or(|holder| *holder == self.identity) || expired;
        if !free {
            return Ok(None);
        }
        // Under its resourceVersion: of two that try, one wins.
        self.leases.replace(LEASE, &PostParams::default(), &self.lease(Some(&lease))).await?;
        Ok(Some(asked + TERM))
    }

    fn lease(&self, before: Option<&Lease>) -> Lease {
        let now = MicroTime(clock::now());
        let spec = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let stays = spec.holder_identity.as_ref() == Some(&self.identity);
        let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(!stays && before.is_some());
        let acquired = if stays { spec.acquire_time.clone() } else { None };
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.to_owned()),
                resource_version: before.and_then(|lease| lease.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..spec
            }),
        }
    }

    /// Gives the lease back, so that nobody has to wait for its end.
    async fn give_back(&self) -> Result<(), Error> {
        let lease = self.leases.get(LEASE).await?;
        let holds = lease.spec.as_ref().is_some_and(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        if holds {
            let mut free = lease.clone();
            free.spec =
                lease.spec.map(|spec| LeaseSpec { holder_identity: None, lease_duration_seconds: Some(1), ..spec });
            self.leases.replace(LEASE, &PostParams::default(), &free).await?;
        }
        Ok(())
    }
}

/// Acts while it leads, until `stop`. `act` is told by its token when its term is over.
pub(crate) async fn lead<F, Fut>(candidate: Candidate, stop: CancellationToken, act: F) -> Result<(), String>
where
    F: Fn(CancellationToken) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let mut sighting = None;
    loop {
        let claimed = timeout(ANSWER, candidate.claim(&mut sighting));
        let claimed = tokio::select! {
            claimed = claimed => claimed,
            () = stop.cancelled() => return Ok(()),
        };
        if let Ok(Ok(Some(until))) = claimed {
            tracing::info!(identity = candidate.identity, "leads");
            let term = stop.child_token();
            tokio::select! {
                done = act(term.clone()) => done?,
                () = hold(&candidate, until, &mut sighting) => {
                    tracing::error!("the lease could not be renewed in time: stops acting");
                    term.cancel();
                }
            }
            if stop.is_cancelled() {
                match timeout(ANSWER, candidate.give_back()).await {
                    Ok(Ok(())) => tracing::info!("lease given back"),
                    Ok(Err(error)) => tracing::warn!(%error, "lease not given back"),
                    Err(_) => tracing::warn!("lease not given back: no answer"),
                }
                return Ok(());
            }
        }
        tokio::select! {
            () = sleep(RETRY) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Renews the lease; returns when the term is over without a renewal, or somebody else holds it.
async fn hold(candidate: &Candidate, mut until: Instant, sighting: &mut Option<Sighting>) {
    loop {
        tokio::select! {
            () = sleep(RENEWAL) => {}
            () = sleep_until(until) => return,
        }
        let claimed = tokio::select! {
            claimed = timeout(ANSWER, candidate.claim(sighting)) => claimed,
            () = sleep_until(until) => return,
        };
        match claimed {
            Ok(Ok(Some(renewed))) => until = renewed,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => tracing::warn!(%error, "lease not renewed, tried again"),
            Err(_) => tracing::warn!("lease not renewed, tried again: no answer"),
        }
    }
}
