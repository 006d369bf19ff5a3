//! One cluster with everything around it: manager, engine, witness. All of it in this process; only the members are others.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use etcdop_core::summary::Summary;
use etcdop_engine::{driver::Driver, publish::Published, tuning::Tuning};
use etcdop_etcd::Endpoint;
use etcdop_local::{
    binaries::{Binaries, VersionWish},
    faults,
    home::Home,
    member_name::MemberName,
    open::{Cluster, Manager},
    platform::LocalPlatform,
    watch::DesiredWatch,
};
use etcdop_witness::{Bill, Options, Witness};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    demo::{
        act::{Act, Goal},
        script::Scene,
    },
    failure::Failure,
    local::report::{headline, summary},
    progress::Spinner,
};

/// How long a step may take on a machine that has other things to do. The longest one rolls three members, in half a minute.
const STEP: Duration = Duration::from_mins(3);
/// How long all members may take to be heard in one pass, before those that are heard are read.
const HEARD: Duration = Duration::from_secs(10);
/// What the template of a manifest says.
const PATIENT: &str = "replaceAfter: 5m";
/// What it says while a member is frozen: nobody watches a demo for five minutes.
const IMPATIENT: &str = "replaceAfter: 5s";

/// A cluster that is kept in this process.
#[derive(Debug)]
pub(crate) struct Stage {
    cluster: Cluster,
    platform: LocalPlatform,
    published: watch::Receiver<Published>,
    endpoints: watch::Receiver<Vec<Endpoint>>,
    stop: CancellationToken,
    driver: JoinHandle<()>,
    witness: Option<Witness>,
    created: Goal,
    began: Instant,
    _declared: DesiredWatch,
    _pump: AbortOnDropHandle<()>,
}

impl Stage {
    /// Declares the cluster and begins to keep it.
    pub(crate) async fn set(scene: &Scene, home: &Home, binaries: &Binaries) -> Result<Self, Failure> {
        let name = scene.name.parse()?;
        let cluster = Cluster::create(home, &name, scene.size, &VersionWish::Newest(scene.minor))?;
        let began = Instant::now();
        let Manager { platform, declared } = cluster.manager(binaries.clone()).await?;
        let (driver, published) = Driver::new(Arc::new(platform.clone()), declared.desired.clone(), Tuning::default());
        let stop = CancellationToken::new();
        let driver = tokio::spawn(driver.run(stop.clone()));
        let (pump, endpoints) = pump(published.clone());
        Ok(Self {
            cluster,
            platform,
            published,
            endpoints,
            stop,
            driver,
            witness: None,
            created: Goal::created(scene.size, scene.minor),
            began,
            _declared: declared,
            _pump: pump,
        })
    }

    /// Waits until the cluster is there; says how long it took.
    pub(crate) async fn created(&mut self) -> Result<Duration, Failure> {
        let published = &mut self.published;
        reach(published, &self.created, "create", self.began, self.witness.as_ref()).await
    }

    /// From here on every promise is noted.
    pub(crate) async fn call_witness(&mut self) -> Result<(), Failure> {
        let mut endpoints = self.endpoints.clone();
        // Who serves is known by now, and handed on in a moment. A witness that meets nobody says so.
        let _ = timeout(STEP, endpoints.wait_for(|endpoints| !endpoints.is_empty())).await;
        self.witness = Some(Witness::start(endpoints, Options::default()).await?);
        Ok(())
    }

    /// Does it, and waits until the cluster has got over it; says how long that took.
    pub(crate) async fn perform(&mut self, act: Act) -> Result<Duration, Failure> {
        if let Some(witness) = &self.witness {
            witness.phase(act.to_string());
        }
        let before = self.published.borrow_and_update().clone();
        let now = summary(&before);
        let goal = Goal::of(act, &before, &now);
        let began = Instant::now();
        self.begin(act, &now).await?;
        let took = reach(&mut self.published, &goal, &act.to_string(), began, self.witness.as_ref()).await?;
        if act == Act::Freeze {
            set_patience(&self.cluster, IMPATIENT, PATIENT)?;
        }
        Ok(took)
    }

    async fn begin(&self, act: Act, now: &Summary) -> Result<(), Failure> {
        if act == Act::Freeze {
            set_patience(&self.cluster, PATIENT, IMPATIENT)?;
        }
        match act {
            Act::Scale(size) | Act::Wake(size) => self.cluster.set_size(size)?,
            Act::Hibernate => self.cluster.set_size(etcdop_core::size::Size::ZERO)?,
            Act::Roll(minor) => self.cluster.set_version(&VersionWish::Newest(minor))?,
            Act::KillLeader | Act::KillAll | Act::WipeDisk | Act::Freeze => {
                let (fault, slots) = act.fault(now).unwrap_or((faults::Fault::Kill, Vec::new()));
                let names: Vec<MemberName> = slots.iter().filter_map(|slot| slot.to_string().parse().ok()).collect();
                let hits = names.iter().map(|name| faults::inflict(self.cluster.directory(), name, fault));
                futures::future::try_join_all(hits).await?;
            }
        }
        Ok(())
    }

    /// Reads everything back from every member. `None` when there was no witness.
    pub(crate) async fn bill(&mut self) -> Option<Bill> {
        // Not what the writers were told last: that may be of a pass before, and name somebody who left. Nor a pass in which somebody
        // was too busy to answer: all members are read, if they all serve.
        let whole = timeout(HEARD, self.published.wait_for(is_whole)).await;
        let all = whole.ok().and_then(Result::ok).map(|now| serving(&now));
        let all = all.unwrap_or_else(|| serving(&self.published.borrow()));
        Some(self.witness.take()?.finish(&all).await)
    }

    /// Stops the members.
    pub(crate) async fn clear(self) {
        self.stop.cancel();
        // A loop that panicked has said so on stderr; its members are stopped all the same.
        let _ = self.driver.await;
        self.platform.stop_members().await;
    }
}

/// Waits for the goal, telling meanwhile where the cluster is.
async fn reach(
    published: &mut watch::Receiver<Published>,
    goal: &Goal,
    step: &str,
    began: Instant,
    witness: Option<&Witness>,
) -> Result<Duration, Failure> {
    let spinner = Spinner::start(step);
    let mut last = None;
    let reached = timeout(STEP, async {
        loop {
            let now = published.borrow_and_update().clone();
            let seen = summary(&now);
            if goal.is_reached(&now, &seen) {
                return true;
            }
            spinner.say(|| {
                let acked = witness.map(|witness| witness.tally().acked).unwrap_or_default();
                format!("{} ({acked} writes acknowledged)", headline(step, &seen))
            });
            last = Some(seen);
            if published.changed().await.is_err() {
                return false;
            }
        }
    });
    if reached.await == Ok(true) {
        return Ok(began.elapsed());
    }
    let why = last.map_or_else(
        || "nothing was seen".to_owned(),
        |seen: Summary| {
            let reasons =
                if seen.reasons.is_empty() { String::new() } else { format!(": {}", seen.reasons.join("; ")) };
            format!("{}{reasons}", headline("it stopped at", &seen))
        },
    );
    Err(Failure::StepNotDone { step: step.to_owned(), waited: began.elapsed(), why })
}

/// Whether every member was heard in this pass.
fn is_whole(now: &Published) -> bool {
    let now = summary(now);
    now.ready > 0 && now.ready == now.members.iter().filter(|row| row.role.is_some()).count()
}

/// The client URLs of the members that serve.
fn serving(now: &Published) -> Vec<Endpoint> {
    summary(now).endpoints().filter_map(|url| url.parse().ok()).collect()
}

/// The same, as they change.
fn pump(mut published: watch::Receiver<Published>) -> (AbortOnDropHandle<()>, watch::Receiver<Vec<Endpoint>>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let pump = async move {
        while published.changed().await.is_ok() {
            let endpoints = serving(&published.borrow_and_update());
            sender.send_if_modified(|known| {
                let differs = *known != endpoints;
                *known = endpoints;
                differs
            });
        }
    };
    (AbortOnDropHandle::new(tokio::spawn(pump)), receiver)
}

/// Edits the manifest as a user would.
fn set_patience(cluster: &Cluster, from: &str, to: &str) -> Result<(), Failure> {
    let path = cluster.directory().manifest();
    let written = fs::read_to_string(&path).and_then(|text| fs::write(&path, text.replace(from, to)));
    written.map_err(|source| Failure::Unwritable { path, source })
}
