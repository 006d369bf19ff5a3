//! How soon to look again while something is in flight: at the platform's pace while plans change, and more and more slowly while
//! the same plan is made again and again. The wait grows with the time that nothing moved, so it adds an eighth to what is
//! waited for, whether that takes 80 ms or 3 s.

use std::time::Duration;

use etcdop_core::{id::Mono, plan::Plan, reason::Reason, step::Step};

/// A wait is this part of the time that nothing moved.
const SHARE: u32 = 8;

/// Since when the same plan has been made.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    unmoved: Option<(Gist, Mono)>,
}

/// A plan without what time alone changes in it.
#[derive(Debug, PartialEq, Eq)]
struct Gist {
    act: Option<Step>,
    reasons: Vec<Reason>,
}

impl Gist {
    fn of(plan: &Plan) -> Self {
        let timeless = |reason: &Reason| match reason.clone() {
            Reason::NotDeadYet { member, slot, limit, .. } => {
                Reason::NotDeadYet { member, slot, silent: Duration::ZERO, limit }
            }
            reason => reason,
        };
        Self {
            act: plan.act.as_ref().map(|(step, _)| step.clone()),
            reasons: plan.reasons.iter().map(timeless).collect(),
        }
    }
}

impl Pace {
    /// How long to wait after this plan, of which nothing was carried out.
    pub(crate) fn wait(&mut self, plan: &Plan, now: Mono, quickest: Duration, slowest: Duration) -> Duration {
        let gist = Gist::of(plan);
        let since = match &self.unmoved {
            Some((before, since)) if *before == gist => *since,
            _ => {
                self.unmoved = Some((gist, now));
                now
            }
        };
        (now.since(since) / SHARE).clamp(quickest, slowest.max(quickest))
    }

    /// Something was done.
    pub(crate) fn moved(&mut self) {
        self.unmoved = None;
    }
}
