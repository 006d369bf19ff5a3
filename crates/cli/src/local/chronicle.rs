//! What is new between two published passes, as values: the lines of a log, for people and for programs alike.
//!
//! Reasons are told when they have held for a second, once until they vanish: most of them last for a few passes and are no news.

use std::{
    collections::{BTreeMap, HashMap},
    mem::{Discriminant, discriminant},
    sync::Arc,
    time::Duration,
};

use etcdop_core::{
    id::{Mono, Slot},
    reason::Reason,
    step::{GroundStep, Step},
    summary::{ClusterPhase, MemberHealth, Summary},
};
use etcdop_engine::{
    outcome::Outcome,
    publish::{Published, StepReport},
};
use serde::Serialize;

use crate::table::{health_word, phase_word};

/// How long a reason must hold to be news.
const NEWS_AFTER: Duration = Duration::from_secs(1);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Event {
    /// The cluster is about something else now.
    Phase { phase: ClusterPhase, ready: usize, size: u8, version: String },
    /// A member is another way now.
    Member { name: String, health: MemberHealth, leader: bool },
    /// A step was taken, or was not.
    Step { text: String, outcome: Outcome, took_millis: u64 },
    /// Why something does not happen.
    Waiting { why: String },
    /// The declaration was edited to something that cannot be used; the last good one stays.
    BadManifest { why: String },
    /// And it can be used again.
    GoodManifest,
    /// The manager itself.
    Manager { what: String },
}

impl Event {
    /// Whether it is worth a line where the members are shown anyway.
    pub(crate) const fn is_headline(&self) -> bool {
        match self {
            Self::Phase { .. } | Self::BadManifest { .. } | Self::GoodManifest | Self::Manager { .. } => true,
            Self::Step { outcome, .. } => !matches!(outcome, Outcome::Done),
            Self::Member { .. } | Self::Waiting { .. } => false,
        }
    }

    /// One line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Phase { phase, ready, size, version } => {
                format!("{}: {ready} of {size} ready, etcd {version}", phase_word(*phase))
            }
            Self::Member { name, health, leader } => {
                let leads = if *leader { ", leader" } else { "" };
                format!("{name} is {}{leads}", health_word(*health))
            }
            Self::Step { text, outcome, took_millis } => match outcome {
                Outcome::Done => format!("{text} ({took_millis} ms)"),
                Outcome::NotApplied(why) | Outcome::NotYet(why) => {
                    format!("{text}: not applied after {took_millis} ms: {why}")
                }
                Outcome::Unknown(why) => format!("{text}: outcome unknown after {took_millis} ms: {why}"),
            },
            Self::Waiting { why } => format!("waiting: {why}"),
            Self::BadManifest { why } => format!("cluster.yaml: {why}; going on with what was declared before"),
            Self::GoodManifest => "cluster.yaml can be used again".to_owned(),
            Self::Manager { what } => what.clone(),
        }
    }
}

/// What was told already.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    phase: Option<ClusterPhase>,
    members: BTreeMap<Slot, (MemberHealth, bool)>,
    last_step: u64,
    reasons: HashMap<Discriminant<Reason>, Held>,
}

#[derive(Debug)]
struct Held {
    since: Mono,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Yes,
    NotYet,
}

/// Keeping books is no news while it works.
fn is_news(report: &StepReport) -> bool {
    let books = matches!(report.step, Step::Record(_) | Step::Ground(GroundStep::Ensure(_)));
    !books || report.outcome != Outcome::Done
}

impl Chronicle {
    /// What was not told before.
    pub(crate) fn news(&mut self, published: &Published, summary: &Summary) -> Vec<Event> {
        let mut news = Vec::new();
        let untold = |step: &&Arc<StepReport>| step.seq > self.last_step && is_news(step);
        for step in published.steps.iter().filter(untold) {
            news.push(Event::Step {
                text: step.text.clone(),
                outcome: step.outcome.clone(),
                took_millis: u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
            });
        }
        self.last_step = published.steps.last().map_or(self.last_step, |step| step.seq);
        self.members(summary, &mut news);
        if self.phase.replace(summary.phase) != Some(summary.phase) {
            let Summary { phase, ready, size, version, .. } = summary;
            news.push(Event::Phase { phase: *phase, ready: *ready, size: *size, version: version.to_string() });
        }
        self.reasons(&published.plan.reasons, published.at, &mut news);
        news
    }

    fn members(&mut self, summary: &Summary, news: &mut Vec<Event>) {
        self.members.retain(|slot, _| summary.members.iter().any(|row| row.slot == *slot));
        for row in &summary.members {
            let now = (row.health, row.leader);
            if self.members.insert(row.slot, now) != Some(now) {
                news.push(Event::Member { name: row.name.clone(), health: row.health, leader: row.leader });
            }
        }
    }

    fn reasons(&mut self, reasons: &[Reason], now: Mono, news: &mut Vec<Event>) {
        self.reasons.retain(|kind, _| reasons.iter().any(|reason| discriminant(reason) == *kind));
        for reason in reasons {
            let held = self.reasons.entry(discriminant(reason)).or_insert(Held { since: now, told: Told::NotYet });
            if held.told == Told::NotYet && now.since(held.since) >= NEWS_AFTER {
                held.told = Told::Yes;
                news.push(Event::Waiting { why: reason.to_string() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{id::MemberId, summary::MemberRow};

    use super::*;

    const ALMOST: Duration = Duration::from_millis(999);

    fn summary(health: MemberHealth) -> Summary {
        let row = MemberRow {
            slot: Slot(0),
            name: "a-0".to_owned(),
            id: None,
            role: None,
            health,
            leader: false,
            version: None,
            db_size: None,
            db_in_use: None,
            applied: None,
            instance: None,
            endpoint: String::new(),
        };
        Summary {
            phase: ClusterPhase::Running,
            converged: true,
            size: 1,
            ready: 1,
            version: "3.6.16".parse().unwrap(),
            cluster_id: None,
            leader: None,
            step: None,
            reasons: Vec::new(),
            members: vec![row],
        }
    }

    fn members(chronicle: &mut Chronicle, summary: &Summary) -> Vec<String> {
        let mut news = Vec::new();
        chronicle.members(summary, &mut news);
        news.iter().map(Event::text).collect()
    }

    fn reasons(chronicle: &mut Chronicle, reasons: &[Reason], at: Duration) -> usize {
        let mut news = Vec::new();
        chronicle.reasons(reasons, Mono::default().after(at), &mut news);
        news.len()
    }

    #[test]
    fn a_member_is_news_when_it_changes_and_when_it_comes_back() {
        let mut chronicle = Chronicle::default();
        assert_eq!(members(&mut chronicle, &summary(MemberHealth::Joining)), ["a-0 is joining"]);
        assert_eq!(members(&mut chronicle, &summary(MemberHealth::Joining)).len(), 0);
        assert_eq!(members(&mut chronicle, &summary(MemberHealth::Healthy)), ["a-0 is healthy"]);
        let gone = Summary { members: Vec::new(), ..summary(MemberHealth::Healthy) };
        assert_eq!(members(&mut chronicle, &gone).len(), 0);
        assert_eq!(members(&mut chronicle, &summary(MemberHealth::Healthy)), ["a-0 is healthy"]);
    }

    #[test]
    fn a_reason_is_news_once_when_it_has_held_for_a_second() {
        let behind = |entries| Reason::CatchingUp { member: MemberId(1), behind: entries };
        let mut chronicle = Chronicle::default();
        assert_eq!(reasons(&mut chronicle, &[behind(1)], Duration::ZERO), 0);
        assert_eq!(reasons(&mut chronicle, &[behind(1)], ALMOST), 0);
        assert_eq!(reasons(&mut chronicle, &[behind(1)], NEWS_AFTER), 1);
        // The same with other figures is no news.
        assert_eq!(reasons(&mut chronicle, &[behind(2)], NEWS_AFTER * 2), 0);
        // Gone in between: it has to hold again.
        assert_eq!(reasons(&mut chronicle, &[], NEWS_AFTER * 3), 0);
        assert_eq!(reasons(&mut chronicle, &[behind(2)], NEWS_AFTER * 4), 0);
        assert_eq!(reasons(&mut chronicle, &[behind(2)], NEWS_AFTER * 5), 1);
    }
}
