//! Tells the world what the passes of one cluster have shown: status when it changes, events once, metrics always.

use std::{sync::Arc, time::Duration};

use etcdop_api::{Cluster, EtcdCluster, EtcdClusterStatus, Mode, Phase};
use etcdop_core::{
    observation::{Probe, Role},
    summary::Summary,
};
use etcdop_engine::publish::Published;
use kube::{Api, ResourceExt, api::Patch};
use serde_json::json;
use tokio::time::Instant;

use super::{Shared, upkeep};
use crate::{
    clock,
    events::{Happening, Told},
    platform::{call, words},
    status::{Picture, Running, Sight, Transitions, differs_in_substance, project, summary},
};

/// Between two writes of what has changed.
const SUBSTANCE: Duration = Duration::from_millis(200);
/// Between two writes while only the words go on.
const WORDS: Duration = Duration::from_secs(5);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(2);

/// After what is around the members could not be brought about.
const HOLD_AGAIN: Duration = Duration::from_secs(5);

/// What is around the members follows from this.
#[derive(Clone, Debug, PartialEq)]
struct Around {
    cluster: Arc<Cluster>,
    voters: usize,
    formed: bool,
}

/// What no pass knows of.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside {
    /// An object of one of our names that is somebody else's.
    pub(super) in_the_way: Option<String>,
    /// What is declared and was not tried yet.
    pub(super) unproven: Option<String>,
    /// What the cluster around does not give.
    pub(super) lacks: Option<String>,
}

/// A pass that lacks answers: told when no better one has come by then.
struct SetAside {
    cluster: Arc<Cluster>,
    published: Published,
    aside: Aside,
    until: Instant,
}

pub(super) struct Reporter {
    shared: Shared,
    resources: Api<EtcdCluster>,
    name: String,
    running: Running,
    transitions: Transitions,
    told: Told,
    sight: Sight,
    set_aside: Option<SetAside>,
    /// What the API server has, as far as this operator knows.
    written: Option<EtcdClusterStatus>,
    next: Option<EtcdClusterStatus>,
    last_write: Option<Instant>,
    not_before: Option<Instant>,
    kept: Option<Around>,
    hold_again: Option<Instant>,
    /// What is around the members and cannot be had.
    around_lacks: Option<String>,
    steps: u64,
    busy_since: Option<Instant>,
}

impl Reporter {
    pub(super) fn new(shared: Shared, resource: &EtcdCluster) -> Self {
        let namespace = resource.namespace().unwrap_or_default();
        let before = resource.status.clone();
        Self {
            resources: Api::namespaced(shared.around.client.clone(), &namespace),
            name: resource.name_any(),
            shared,
            running: Running::default(),
            transitions: Transitions::resume(
                before.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default(),
            ),
            told: Told::default(),
            sight: Sight::default(),
            set_aside: None,
            written: before,
            next: None,
            last_write: None,
            not_before: None,
            kept: None,
            hold_again: None,
            around_lacks: None,
            steps: 0,
            busy_since: None,
        }
    }

    /// Another loop counts its steps from the beginning.
    pub(super) fn begin(&mut self) {
        self.told = Told::default();
        self.sight = Sight::default();
        self.set_aside = None;
        self.steps = 0;
        self.kept = None;
    }

    /// Takes a pass into account.
    pub(super) async fn take(&mut self, cluster: &Arc<Cluster>, published: Published, aside: Aside) {
        if published.pass == 0 {
            return;
        }
        let wait = self.sight.puts_aside(&published, &summary(&published));
        self.set_aside = None;
        match wait {
            Some(wait) => {
                let until = Instant::now() + wait;
                self.set_aside = Some(SetAside { cluster: Arc::clone(cluster), published, aside, until });
            }
            None => self.tell(cluster, published, aside).await,
        }
    }

    async fn tell(&mut self, cluster: &Arc<Cluster>, published: Published, aside: Aside) {
        let summary = summary(&published);
        let site = self.shared.around.site.clone();
        let around_lacks = self.around_lacks.clone();
        let picture = Picture {
            cluster,
            published: &published,
            summary: &summary,
            in_the_way: aside.in_the_way.as_deref(),
            unproven: aside.unproven.as_deref(),
            lacks: aside.lacks.as_deref().or(around_lacks.as_deref()),
            site: &site,
        };
        self.next = Some(project(&picture, &mut self.running, &mut self.transitions, clock::now()));
        self.shared.events.tell(cluster, self.told.news(&picture));
        self.count(&picture);
        if cluster.mode == Mode::Managed && aside.in_the_way.is_none() {
            self.keep_around_if_changed(cluster, &published, &summary).await;
        }
    }

    fn count(&mut self, picture: &Picture<'_>) {
        let metrics = &self.shared.metrics;
        metrics.note(picture);
        let seen = self.steps;
        for report in picture.published.steps.iter().filter(|report| report.seq > seen) {
            metrics.step(picture.cluster, report);
            self.steps = report.seq;
        }
        match (self.busy_since, picture.summary.converged) {
            (None, false) => self.busy_since = Some(Instant::now()),
            (Some(since), true) => {
                metrics.operation(picture.cluster, since.elapsed());
                self.busy_since = None;
            }
            (None, true) | (Some(_), false) => {}
        }
    }

    /// When there is something to write: never when the API server has it.
    pub(super) fn due(&self) -> Option<Instant> {
        let told = self.set_aside.as_ref().map(|pass| pass.until);
        told.into_iter().chain(self.write_due()).min()
    }

    fn write_due(&self) -> Option<Instant> {
        let next = self.next.as_ref()?;
        let pace = match &self.written {
            Some(written) if written == next => return None,
            Some(written) if !differs_in_substance(written, next) => WORDS,
            Some(_) | None => SUBSTANCE,
        };
        let paced = self.last_write.map_or_else(Instant::now, |last| last + pace);
        Some(self.not_before.map_or(paced, |not_before| paced.max(not_before)))
    }

    /// Writes the newest status if it is due.
    pub(super) async fn write(&mut self) {
        if let Some(pass) = self.set_aside.take_if(|pass| pass.until <= Instant::now()) {
            self.tell(&pass.cluster, pass.published, pass.aside).await;
        }
        if self.write_due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        let Some(next) = self.next.clone() else { return };
        self.last_write = Some(Instant::now());
        match self.put(&next).await {
            Ok(()) => {
                self.written = Some(next);
                self.not_before = None;
            }
            Err(error) => {
                tracing::warn!(why = words(&error), "status not written, tried again");
                self.not_before = Some(Instant::now() + AGAIN);
            }
        }
    }

    async fn put(&self, status: &EtcdClusterStatus) -> Result<(), kube::Error> {
        let object = json!({
            "apiVersion": "etcd.etcd.io/v1alpha1",
            "kind": "EtcdCluster",
            "metadata": { "name": self.name },
            "status": status,
        });
        call::change(self.resources.patch_status(&self.name, &call::apply(), &Patch::Apply(&object))).await.map(drop)
    }

    /// The status of a cluster that cannot be looked at.
    pub(super) async fn blocked(&mut self, cluster: &Cluster, why: String, aside: &Aside) {
        if let Some(foreign) = &aside.in_the_way {
            self.shared.events.tell(cluster, vec![Happening::in_the_way(foreign)]);
        }
        let known = self.written.as_ref().is_some_and(|status| status.message.as_ref() == Some(&why));
        if !known {
            self.plain(Some(cluster.generation), Phase::Pending, Some(why)).await;
        }
    }

    /// The status of a resource that is not looked after.
    pub(super) async fn plain(&mut self, generation: Option<i64>, phase: Phase, message: Option<String>) {
        self.set_aside = None;
        let before = self.written.clone().unwrap_or_default();
        self.next = Some(EtcdClusterStatus {
            observed_generation: generation,
            phase: Some(phase),
            message,
            operation: None,
            ..before
        });
        self.last_write = None;
        self.write().await;
    }

    async fn keep_around_if_changed(&mut self, cluster: &Arc<Cluster>, published: &Published, summary: &Summary) {
        let voters = match &published.observation.roster {
            Probe::Known { value, .. } => value.members.iter().filter(|member| member.role == Role::Voter).count(),
            // What was known is kept to: a budget must not shrink because nobody can count.
            Probe::Unknown { .. } => self.kept.as_ref().map_or(0, |kept| kept.voters),
        };
        let wanted = Around { cluster: Arc::clone(cluster), voters, formed: summary.cluster_id.is_some() };
        if self.kept.as_ref() != Some(&wanted) && self.hold_again.is_none_or(|again| again <= Instant::now()) {
            self.hold(wanted).await;
        }
    }

    /// Somebody touched what is around the members.
    pub(super) async fn keep_around(&mut self, cluster: &Arc<Cluster>) {
        if let Some(kept) = self.kept.clone() {
            self.hold(Around { cluster: Arc::clone(cluster), ..kept }).await;
        }
    }

    async fn hold(&mut self, wanted: Around) {
        let Around { cluster, voters, formed } = &wanted;
        match upkeep::hold(&self.shared.around, cluster, *voters, *formed).await {
            Ok(()) => {
                self.kept = Some(wanted);
                self.around_lacks = None;
            }
            Err(why) => {
                tracing::warn!(why, "Services and budgets are not as they should be, tried again");
                self.around_lacks = Some(why);
                self.hold_again = Some(Instant::now() + HOLD_AGAIN);
            }
        }
    }
}
