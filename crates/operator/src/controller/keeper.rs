//! Looks after one resource: by the engine's loop while it is managed, by looks alone while it is paused, not at all while it is deleted.

use std::sync::Arc;

use etcdop_api::{Cluster, EtcdCluster, Mode, Phase};
use etcdop_core::{desired::Desired, launch::LaunchSpec};
use etcdop_engine::{
    driver::{Driver, Onlooker},
    platform::Platform,
    publish::Published,
    tuning::Tuning,
};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Shared,
    proof::{Trial, Verdict, clear, in_use_instead},
    report::{Aside, Reporter},
    triggers::Bell,
};
use crate::{platform::KubernetesPlatform, resource::pod};

/// Between two looks at a cluster that something keeps from being looked at.
const BLOCKED_LOOK: std::time::Duration = std::time::Duration::from_secs(2);

/// Between two looks at a paused cluster that nothing wakes.
const PAUSED_LOOK: std::time::Duration = std::time::Duration::from_secs(2);

/// Between two looks at a cluster that has been at rest for a while. Whatever changes its objects rings; this is for a member that
/// stops answering without a word, which its Pod's readiness probe tells of within some seconds as well.
const HEALTH: std::time::Duration = std::time::Duration::from_secs(10);

/// Looks after one resource until it is stopped.
pub(super) struct Keeper {
    pub(super) shared: Shared,
    pub(super) resource: watch::Receiver<Arc<EtcdCluster>>,
    pub(super) bell: Arc<Bell>,
    pub(super) stop: CancellationToken,
}

/// What a resource asks for.
enum Wish {
    Keep(Arc<Cluster>),
    Watch(Arc<Cluster>),
    Nothing,
    Invalid(String),
}

fn wish(resource: &EtcdCluster) -> Wish {
    if resource.metadata.deletion_timestamp.is_some() {
        return Wish::Nothing;
    }
    match resource.checked() {
        Err(invalid) => Wish::Invalid(invalid.to_string()),
        Ok(cluster) if cluster.mode == Mode::Paused => Wish::Watch(Arc::new(cluster)),
        Ok(cluster) => Wish::Keep(Arc::new(cluster)),
    }
}

/// The longest wait between two looks at a cluster that waits for something: a look is a dozen requests, and what is waited for longer
/// than half a minute may take days.
const SLOWEST: std::time::Duration = std::time::Duration::from_secs(2);

/// Members of one data centre, many clusters of which are at rest: asked for their health less often than one alone would be.
fn tuning() -> Tuning {
    Tuning { health: HEALTH, slowest_pace: SLOWEST, ..Tuning::default() }
}

/// What the planner is told.
fn desired(cluster: &Cluster) -> Desired {
    let mut desired = cluster.desired.clone();
    desired.template.rendering = pod::digest(cluster);
    desired
}

/// What the trial of a new template has shown, whenever that changes.
async fn verdict(trial: &mut Option<Trial>) -> Verdict {
    let Some(trial) = trial else { return std::future::pending().await };
    match trial.verdict.changed().await {
        Ok(()) => trial.verdict.borrow_and_update().clone(),
        // It has said its last word, and that was heard.
        Err(_) => std::future::pending().await,
    }
}

/// What a pass does not know of.
fn aside(platform: &KubernetesPlatform, unproven: Option<String>) -> Aside {
    Aside { in_the_way: platform.in_the_way(), lacks: platform.lacks(), unproven }
}

/// What is said of a template that was not proven yet.
fn unproven(trial: &Trial) -> String {
    let version = trial.launch.version();
    match &*trial.verdict.borrow() {
        Verdict::Proven => format!("etcd {version} as declared was tried and works"),
        Verdict::Waits(why) => {
            format!("etcd {version} as declared is tried in a Pod of its own before any member gets it: {why}")
        }
    }
}

impl Keeper {
    pub(super) async fn keep(mut self) {
        let resource = Arc::clone(&self.resource.borrow());
        let mut reporter = Reporter::new(self.shared.clone(), &resource);
        let stop = self.stop.clone();
        let eras = async {
            loop {
                let resource = Arc::clone(&self.resource.borrow_and_update());
                match wish(&resource) {
                    Wish::Keep(cluster) => self.manage(cluster, &mut reporter).await,
                    Wish::Watch(cluster) => Box::pin(self.watch(cluster, &mut reporter)).await,
                    Wish::Nothing => {
                        reporter.plain(resource.metadata.generation, Phase::Deleting, None).await;
                        self.changed().await;
                    }
                    Wish::Invalid(why) => {
                        tracing::warn!(why, "the resource cannot be understood");
                        reporter.plain(resource.metadata.generation, Phase::Pending, Some(why)).await;
                        self.changed().await;
                    }
                }
            }
        };
        Box::pin(stop.run_until_cancelled(eras)).await;
    }

    async fn changed(&mut self) {
        if self.resource.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Until the resource asks for something else than to be kept.
    async fn manage(&mut self, cluster: Arc<Cluster>, reporter: &mut Reporter) {
        let (clusters, current) = watch::channel(Arc::clone(&cluster));
        let platform = KubernetesPlatform::new(self.shared.around.clone(), current);
        // What members run by now decides whether what is declared was tried yet.
        if !self.first_look(&platform, &cluster, reporter).await {
            return;
        }
        let mut trial = None;
        let (desire, desires) = watch::channel(self.proven(&platform, &cluster, &mut trial));
        let (driver, mut published) = Driver::new(Arc::new(platform.clone()), desires, tuning());
        let stop = self.stop.child_token();
        let drive = driver.run(stop.clone());
        let span = tracing::Span::current();
        let drive = AbortOnDropHandle::new(tokio::spawn(tracing::Instrument::instrument(drive, span)));
        reporter.begin();
        loop {
            let due = reporter.due();
            let write = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = published.changed() => {
                    if changed.is_err() {
                        if !stop.is_cancelled() {
                            tracing::error!("the loop has ended, it is started again");
                        }
                        break;
                    }
                    let pass = published.borrow_and_update().clone();
                    let cluster = Arc::clone(&clusters.borrow());
                    // A pass from before the newest edit says nothing about it; the next one is under way.
                    platform.follow(pass.plan.next);
                    if pass.desired == *desire.borrow() {
                        let unproven = trial.as_ref().map(unproven);
                        reporter.take(&cluster, pass, aside(&platform, unproven)).await;
                    }
                }
                () = write => reporter.write().await,
                verdict = verdict(&mut trial) => if verdict == Verdict::Proven {
                    trial = None;
                    desire.send_replace(desired(&clusters.borrow()));
                } else {
                    platform.trigger();
                },
                () = self.bell.members.notified() => platform.trigger(),
                () = self.bell.around.notified() => {
                    let cluster = Arc::clone(&clusters.borrow());
                    reporter.keep_around(&cluster).await;
                }
                changed = self.resource.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let resource = Arc::clone(&self.resource.borrow_and_update());
                    match wish(&resource) {
                        Wish::Keep(cluster) => {
                            clusters.send_replace(Arc::clone(&cluster));
                            desire.send_replace(self.proven(&platform, &cluster, &mut trial));
                        }
                        // What was asked for last goes on: an edit that cannot be understood stops nothing.
                        Wish::Invalid(why) => tracing::warn!(why, "an edit cannot be understood and is not followed"),
                        Wish::Watch(_) | Wish::Nothing => {
                            self.resource.mark_changed();
                            break;
                        }
                    }
                }
            }
        }
        // A step in flight ends, or is given up where a killed operator would have left it.
        stop.cancel();
        let _ = drive.await;
    }

    /// Waits until everything could be looked at; false when the resource was edited meanwhile.
    async fn first_look(&mut self, platform: &KubernetesPlatform, cluster: &Cluster, reporter: &mut Reporter) -> bool {
        loop {
            let Err(why) = platform.observe().await.record else { return true };
            reporter.blocked(cluster, why.0, &aside(platform, None)).await;
            tokio::select! {
                () = sleep(BLOCKED_LOOK) => {}
                () = self.bell.members.notified() => {}
                changed = self.resource.changed() => {
                    if changed.is_ok() {
                        self.resource.mark_changed();
                    }
                    return false;
                }
            }
        }
    }

    /// What the planner is told: what is declared, on what members run by now until what is declared has been tried.
    fn proven(&self, platform: &KubernetesPlatform, cluster: &Arc<Cluster>, trial: &mut Option<Trial>) -> Desired {
        let wanted = desired(cluster);
        let Some(in_use) = in_use_instead(&platform.objects(), &wanted.template) else {
            *trial = None;
            clear(&self.shared.around, cluster);
            return wanted;
        };
        let launch = LaunchSpec { template: wanted.template.clone(), max_learners: in_use.max_learners };
        if trial.as_ref().is_none_or(|trial| trial.launch != launch) {
            *trial = Some(Trial::start(self.shared.around.clone(), Arc::clone(cluster), launch));
        }
        Desired { template: in_use.template, ..wanted }
    }

    /// Until the resource asks for something else than to be left alone.
    async fn watch(&mut self, cluster: Arc<Cluster>, reporter: &mut Reporter) {
        let (_clusters, current) = watch::channel(Arc::clone(&cluster));
        let platform = KubernetesPlatform::new(self.shared.around.clone(), current);
        let mut onlooker = Onlooker::new(tuning());
        reporter.begin();
        loop {
            let pass: Published = Box::pin(onlooker.look(&platform, desired(&cluster))).await;
            reporter.take(&cluster, pass, aside(&platform, None)).await;
            reporter.write().await;
            tokio::select! {
                () = sleep(PAUSED_LOOK) => {}
                () = self.bell.members.notified() => {}
                changed = self.resource.changed() => {
                    if changed.is_ok() {
                        self.resource.mark_changed();
                    }
                    return;
                }
            }
        }
    }
}
