//! What an operator on call wants to have been told: one event for each thing that happened, once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use etcdop_api::{Cluster, EtcdCluster, Phase};
use etcdop_core::{
    id::{MemberId, Slot},
    reason::Reason,
    record::Mutation,
    step::{EtcdStep, GroundStep, Step},
    summary::Summary,
};
use etcdop_engine::{outcome::Outcome, publish::StepReport};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Api, Client, Resource, api::ObjectMeta};

use crate::{
    clock,
    platform::{call, words},
    status::Picture,
};

/// For how long the same words about the same cluster are not said again.
const QUIET: Duration = Duration::from_mins(10);
/// Longest note that the API server takes.
const LONGEST: usize = 1000;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Happening {
    pub(crate) grave: Gravity,
    pub(crate) reason: &'static str,
    pub(crate) note: String,
}

impl Happening {
    fn warning(reason: &'static str, note: String) -> Self {
        Self { grave: Gravity::Warning, reason, note }
    }

    /// An object of one of our names is somebody else's.
    pub(crate) fn in_the_way(foreign: &str) -> Self {
        Self::warning("ObjectInTheWay", foreign.to_owned())
    }
}

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gravity {
    Normal,
    Warning,
}

impl Gravity {
    const fn word(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What was told of one cluster, to tell what is new.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    seq: u64,
    phase: Option<Phase>,
    leader: Option<MemberId>,
    names: BTreeMap<MemberId, String>,
}

impl Told {
    /// What has happened since the last picture.
    pub(crate) fn news(&mut self, picture: &Picture<'_>) -> Vec<Happening> {
        let summary = picture.summary;
        for row in &summary.members {
            if let Some(id) = row.id {
                self.names.insert(id, row.name.clone());
            }
        }
        let mut news = Vec::new();
        for report in picture.published.steps.iter().filter(|report| report.seq > self.seq) {
            news.extend(self.step(report, picture));
        }
        self.seq = picture.published.steps.last().map_or(self.seq, |report| report.seq.max(self.seq));
        news.extend(self.turn(picture));
        news.extend(self.election(summary));
        news.extend(refusals(picture));
        news
    }

    fn step(&self, report: &StepReport, picture: &Picture<'_>) -> Option<Happening> {
        if report.outcome != Outcome::Done {
            return None;
        }
        let name =
            |id: &MemberId| self.names.get(id).map_or_else(|| format!("member {id}"), |name| format!("{name} ({id})"));
        let pod = |slot: &Slot| crate::resource::names::pod(&picture.cluster.name, *slot);
        let (reason, note) = match &report.step {
            Step::Etcd(EtcdStep::AddLearner(slot, _)) => {
                ("MemberAdded", format!("{} was added as a learner", pod(slot)))
            }
            Step::Etcd(EtcdStep::Promote(id)) => ("MemberPromoted", format!("{} votes now", name(id))),
            Step::Etcd(EtcdStep::Remove(id)) => ("MemberRemoved", format!("{} was removed", name(id))),
            Step::Etcd(EtcdStep::MoveLeader { to }) => {
                ("LeaderMoved", format!("leadership was handed to {}", name(to)))
            }
            Step::Etcd(
                EtcdStep::Downgrade(_)
                | EtcdStep::Snapshot { .. }
                | EtcdStep::Compact { .. }
                | EtcdStep::Defragment(_)
                | EtcdStep::Disarm(_),
            ) => ("Maintenance", format!("done: {}", report.text)),
            Step::Ground(GroundStep::Discard(slot, _)) => {
                ("DiskDiscarded", format!("the disk of {} was discarded", pod(slot)))
            }
            Step::Ground(GroundStep::Retire(slot, _)) => {
                ("MemberRestarted", format!("{} was stopped, to start again", pod(slot)))
            }
            Step::Record(record) => match &record.open {
                Some(Mutation::Restart { slot, .. }) => {
                    let version =
                        record.slots.get(slot).map(|seat| seat.launch.version().to_string()).unwrap_or_default();
                    ("MemberUpdating", format!("{} restarts with etcd {version}", pod(slot)))
                }
                Some(Mutation::Leave { members }) => {
                    let leavers: Vec<String> = members.keys().map(name).collect();
                    ("MembersLeaving", format!("to be removed: {}", leavers.join(", ")))
                }
                None => return None,
            },
            Step::Etcd(EtcdStep::PadLog { .. }) | Step::Ground(GroundStep::Ensure(_) | GroundStep::Permit(_)) => {
                return None;
            }
        };
        Some(Happening { grave: Gravity::Normal, reason, note })
    }

    /// The cluster turned to something else.
    fn turn(&mut self, picture: &Picture<'_>) -> Option<Happening> {
        let phase = picture.phase();
        let before = self.phase.replace(phase)?;
        if before == phase {
            return None;
        }
        let say = |grave, reason, note: String| Some(Happening { grave, reason, note });
        match (before, phase) {
            (_, Phase::QuorumLost) => say(
                Gravity::Warning,
                "QuorumLost",
                picture.message().unwrap_or_else(|| "no majority of members runs".to_owned()),
            ),
            (Phase::QuorumLost, _) => {
                say(Gravity::Normal, "QuorumRegained", "a majority of members answers again".to_owned())
            }
            (Phase::Creating, Phase::Running) => {
                say(Gravity::Normal, "Created", format!("{} members serve", picture.summary.ready))
            }
            (_, Phase::Running) => {
                say(Gravity::Normal, "AsDeclared", format!("{} members serve, as declared", picture.summary.ready))
            }
            (_, Phase::Hibernated) => {
                say(Gravity::Normal, "Hibernating", "every member is stopped, every disk is kept".to_owned())
            }
            _ => None,
        }
    }

    fn election(&mut self, summary: &Summary) -> Option<Happening> {
        let leader = summary.leader?;
        let before = self.leader.replace(leader)?;
        let name = |id: MemberId| self.names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        let note = format!("{} leads, after {}", name(leader), name(before));
        (before != leader).then_some(Happening { grave: Gravity::Normal, reason: "LeaderElected", note })
    }
}

/// What is refused, and what keeps failing. The same words are not said again for a while.
pub(crate) fn refusals(picture: &Picture<'_>) -> Vec<Happening> {
    let warning = Happening::warning;
    let mut found: Vec<Happening> = Vec::new();
    found.extend(picture.in_the_way.map(Happening::in_the_way));
    found.extend(picture.lacks.map(|lacks| warning("Lacking", lacks.to_owned())));
    for reason in &picture.published.plan.reasons {
        let slug = match reason {
            Reason::GateRefused { .. } => "DiskRefused",
            Reason::VersionPath(_) | Reason::BadOption(_) | Reason::StillRejected { .. } | Reason::NoWayBack { .. } => {
                "Refused"
            }
            Reason::Corrupt(_) | Reason::OutOfSpace { .. } => "Alarm",
            Reason::DataInTheWay { .. }
            | Reason::MixedIncarnations { .. }
            | Reason::WrongCluster { .. }
            | Reason::FounderLost { .. } => "DataInTheWay",
            Reason::ForeignMember { .. } => "ForeignMember",
            _ => continue,
        };
        found.push(warning(slug, reason.to_string()));
    }
    let stuck = picture.published.setback.as_ref().filter(|setback| setback.tries == 3);
    found.extend(stuck.map(|setback| warning("StepFails", format!("cannot {}: {}", setback.step, setback.why))));
    found
}

/// Writes events. Nothing depends on them, so nothing waits for them.
#[derive(Clone)]
pub(crate) struct Events {
    client: Client,
    said: Arc<Mutex<BTreeMap<(String, Happening), Instant>>>,
}

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, said: Arc::default() }
    }

    /// Tells what has happened to a cluster.
    pub(crate) fn tell(&self, cluster: &Cluster, news: Vec<Happening>) {
        let fresh: Vec<Happening> = news.into_iter().filter(|happening| self.is_fresh(cluster, happening)).collect();
        if fresh.is_empty() {
            return;
        }
        let events: Api<Event> = Api::namespaced(self.client.clone(), &cluster.namespace);
        let objects: Vec<Event> = fresh.iter().map(|happening| event(cluster, happening)).collect();
        tokio::spawn(async move {
            for event in objects {
                if let Err(error) = call::change(events.create(&call::post(), &event)).await {
                    tracing::debug!(why = words(&error), "event not written");
                }
            }
        });
    }

    fn is_fresh(&self, cluster: &Cluster, happening: &Happening) -> bool {
        if happening.grave == Gravity::Normal {
            // It was derived from a change, which happens once.
            return true;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, at| at.elapsed() < QUIET);
        said.insert((cluster.uid.clone(), happening.clone()), Instant::now()).is_none()
    }
}

fn event(cluster: &Cluster, happening: &Happening) -> Event {
    let now = clock::now();
    let mut note = happening.note.clone();
    if note.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&at| note.is_char_boundary(at)).unwrap_or(0);
        note.truncate(end);
    }
    Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", cluster.name)),
            namespace: Some(cluster.namespace.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(happening.grave.word().to_owned()),
        reason: Some(happening.reason.to_owned()),
        note: Some(note),
        action: Some(happening.reason.to_owned()),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some("etcd.etcd.io/etcd-operator".to_owned()),
        reporting_instance: Some(std::env::var("HOSTNAME").unwrap_or_else(|_| "etcd-operator".to_owned())),
        regarding: Some(ObjectReference {
            api_version: Some(EtcdCluster::api_version(&()).into_owned()),
            kind: Some(EtcdCluster::kind(&()).into_owned()),
            name: Some(cluster.name.clone()),
            namespace: Some(cluster.namespace.clone()),
            uid: Some(cluster.uid.clone()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{
        id::Mono,
        observation::{Blocker, Failure, Setback},
    };
    use etcdop_engine::publish::Published;

    use super::*;
    use crate::status::{
        fixture::{declared, formed, look_at, site, unborn},
        summary,
    };

    fn report(seq: u64, step: Step, outcome: Outcome) -> Arc<StepReport> {
        let took = Duration::from_millis(1);
        Arc::new(StepReport { seq, text: step.to_string(), step, outcome, took, at: Mono::default() })
    }

    fn news(told: &mut Told, published: &Published) -> Vec<(&'static str, String)> {
        let (cluster, site, summary) = (declared(), site(), summary(published));
        let picture = Picture {
            cluster: &cluster,
            published,
            summary: &summary,
            in_the_way: None,
            unproven: None,
            lacks: None,
            site: &site,
        };
        told.news(&picture).into_iter().map(|happening| (happening.reason, happening.note)).collect()
    }

    fn adds() -> Step {
        Step::Etcd(EtcdStep::AddLearner(Slot(2), "http://demo-2:2380".parse().unwrap()))
    }

    #[tokio::test]
    async fn what_was_done_is_told_once_with_the_members_name() {
        let mut pass = look_at(formed(), &declared()).await;
        pass.steps = vec![report(1, adds(), Outcome::Done)];
        let mut told = Told::default();
        let added = ("MemberAdded", "demo-2 was added as a learner".to_owned());
        assert!(news(&mut told, &pass).contains(&added));
        assert!(!news(&mut told, &pass).contains(&added));
        pass.steps.push(report(2, Step::Etcd(EtcdStep::Remove(MemberId(0xfe))), Outcome::Done));
        assert!(news(&mut told, &pass).contains(&("MemberRemoved", "member fe was removed".to_owned())));
    }

    #[tokio::test]
    async fn what_was_not_done_is_not_told() {
        let mut pass = look_at(formed(), &declared()).await;
        pass.steps = vec![report(1, adds(), Outcome::NotApplied("refused".to_owned()))];
        assert!(news(&mut Told::default(), &pass).iter().all(|(reason, _)| *reason != "MemberAdded"));
    }

    #[tokio::test]
    async fn a_step_that_keeps_failing_is_told_when_it_has_failed_three_times() {
        let mut pass = look_at(unborn(), &declared()).await;
        let mut told = Told::default();
        let fails = |tries| {
            Some(Setback {
                step: adds(),
                failure: Failure::NotApplied,
                why: Blocker("quota".to_owned()),
                tries,
                since: Mono::default(),
                due: Mono::default(),
            })
        };
        let said =
            |news: Vec<(&'static str, String)>| news.contains(&("StepFails", format!("cannot {}: quota", adds())));
        for (tries, told_now) in [(2, false), (3, true), (4, false)] {
            pass.setback = fails(tries);
            assert_eq!(said(news(&mut told, &pass)), told_now, "{tries}");
        }
    }
}
