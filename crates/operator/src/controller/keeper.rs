//! Looks after one resource: by the engine's loop while it is managed, by looks alone while it is paused, not at all while it is deleted.

use std::sync::Arc;

use etcdop_api::{Cluster, EtcdCluster, Mode, Phase};
use etcdop_core::desired::Desired;
use etcdop_engine::{
    driver::{Driver, look},
    publish::Published,
    tuning::Tuning,
};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Shared, report::Reporter, triggers::Bell};
use crate::{platform::KubernetesPlatform, resource::pod};

/// Between two looks at a paused cluster that nothing wakes.
const PAUSED_LOOK: std::time::Duration = std::time::Duration::from_secs(2);

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

/// What the planner is told.
fn desired(cluster: &Cluster) -> Desired {
    let mut desired = cluster.desired.clone();
    desired.template.rendering = pod::digest(cluster);
    desired
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
                    Wish::Watch(cluster) => self.watch(cluster, &mut reporter).await,
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
        stop.run_until_cancelled(eras).await;
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
        let (desire, desires) = watch::channel(desired(&cluster));
        let (driver, mut published) = Driver::new(Arc::new(platform.clone()), desires, Tuning::default());
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
                        tracing::error!("the loop has ended, it is started again");
                        break;
                    }
                    let pass = published.borrow_and_update().clone();
                    let cluster = Arc::clone(&clusters.borrow());
                    reporter.take(&cluster, pass, platform.in_the_way()).await;
                }
                () = write => reporter.write().await,
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
                            desire.send_replace(desired(&cluster));
                            clusters.send_replace(cluster);
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

    /// Until the resource asks for something else than to be left alone.
    async fn watch(&mut self, cluster: Arc<Cluster>, reporter: &mut Reporter) {
        let (_clusters, current) = watch::channel(Arc::clone(&cluster));
        let platform = KubernetesPlatform::new(self.shared.around.clone(), current);
        reporter.begin();
        loop {
            let pass: Published = look(&platform, desired(&cluster), Tuning::default()).await;
            reporter.take(&cluster, pass, platform.in_the_way()).await;
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
