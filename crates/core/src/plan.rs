//! The planner: from what was declared and what one pass saw to at most one step.
//!
//! One module per concern, asked in one fixed order. A concern either acts, or is idle (with reasons when it waits for
//! something), or holds: only a hold stops the concerns below it (DESIGN §2). An act that failed just now is passed over until it
//! is due again, where that is safe (`plan/setback.rs`), and so is a long one that is under way already. Nothing is remembered
//! between two calls.

use serde::Serialize;

use crate::{
    desired::Desired,
    fence::Fence,
    id::Mono,
    observation::Observation,
    reason::Reason,
    record::Birth,
    situation::Situation,
    step::{GroundStep, Step},
};

mod admission;
mod alarm;
mod birth;
mod defragmentation;
mod joining;
mod layout;
mod log_age;
mod mutation;
mod promotion;
mod quorum_loss;
mod rebuild;
mod replacement;
mod roll;
mod scale_in;
mod setback;
mod vacancy;

#[cfg(test)]
mod deadlocks;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rules;
#[cfg(test)]
pub(crate) mod scenario;

/// What one concern has to say in one pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Do this now.
    Act(Step),
    /// Nothing to do now. The reasons are empty when there is nothing to wait for either.
    Idle(Vec<Reason>),
    /// Nothing below may act either.
    Hold(Vec<Reason>),
}

impl Verdict {
    /// Nothing to do and nothing to wait for.
    pub(crate) const DONE: Self = Self::Idle(Vec::new());

    fn wait(reason: Reason) -> Self {
        Self::Idle(vec![reason])
    }

    fn hold(reason: Reason) -> Self {
        Self::Hold(vec![reason])
    }
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wake {
    /// At once: something is about to be changed.
    Now,
    /// At the platform's pace: something is in flight.
    Soon,
    /// When something changes, or with the slow health probe: nothing is in flight.
    OnChange,
}

/// What to do next, why other things wait, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The step, and what must still hold right before it.
    pub act: Option<(Step, Fence)>,
    /// Why other things do not happen now.
    pub reasons: Vec<Reason>,
    /// When to look again.
    pub next: Wake,
}

type Concern = fn(&Situation<'_>) -> Verdict;

/// Before the cluster is formed there is no member list to decide by. A lost record comes first: without it the layout would be
/// empty, and stop every member.
const BEFORE_BIRTH: &[Concern] =
    &[rebuild::rebuild, layout::ensure, layout::refresh, birth::create, birth::clear, birth::form];

/// In this order (DESIGN §2): instances run; the open mutation is resolved; then quorum, joiners that hold permits, dead members,
/// alarms, promotion, scaling, rolling, defragmentation.
const AFTER_BIRTH: &[Concern] = &[
    layout::ensure,
    layout::refresh,
    mutation::resolve_restart,
    quorum_loss::guard,
    alarm::guard_corruption,
    mutation::resolve_leave,
    vacancy::clean,
    joining::join,
    replacement::replace,
    alarm::regain_space,
    promotion::promote,
    admission::admit,
    scale_in::shrink,
    roll::roll,
    defragmentation::defragment,
    vacancy::note_epochs,
];

/// Decides what to do next. Pure, total and deterministic.
pub fn plan(desired: &Desired, observation: &Observation, now: Mono) -> Plan {
    let situation = Situation::new(desired, observation, now);
    let concerns = match situation.record.birth {
        Birth::Unborn | Birth::Forming => BEFORE_BIRTH,
        Birth::Formed(_) => AFTER_BIRTH,
    };
    let mut reasons = Vec::new();
    for concern in concerns {
        match concern(&situation) {
            Verdict::Act(step) if observation.errand.as_ref() == Some(&step) => {
                reasons.push(Reason::UnderWay(Box::new(step)));
            }
            Verdict::Act(step) => {
                let Some(setback) = setback::puts_off(&situation, &step) else {
                    let fence = fence(&step, observation);
                    return Plan { act: Some((step, fence)), reasons, next: Wake::Now };
                };
                reasons.push(setback::reason(setback));
            }
            Verdict::Idle(more) => reasons.extend(more),
            Verdict::Hold(more) => {
                reasons.extend(more);
                break;
            }
        }
    }
    reasons.dedup();
    let next = if reasons.iter().all(is_at_rest) { Wake::OnChange } else { Wake::Soon };
    Plan { act: None, reasons, next }
}

/// What the step rests on: the record always, the member list for everything that touches etcd or destroys a disk, the
/// instance where one is stopped.
fn fence(step: &Step, observation: &Observation) -> Fence {
    let roster = || observation.roster.known().map(crate::observation::Roster::digest);
    let (roster, instance) = match step {
        Step::Etcd(_) | Step::Ground(GroundStep::Discard(..) | GroundStep::Permit(_)) => (roster(), None),
        Step::Ground(GroundStep::Retire(slot, instance)) => (None, Some((*slot, instance.clone()))),
        Step::Ground(GroundStep::Ensure(_)) | Step::Record(_) => (None, None),
    };
    Fence { record: observation.record.revision.clone(), roster, instance }
}

/// Whether only the user can change what the reason says, so that looking again soon would show the same.
fn is_at_rest(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NothingToCreate
            | Reason::Hibernating
            | Reason::RecordLostAsleep
            | Reason::LearnerLimitUnknown
            | Reason::LearnerLimitsDiffer { .. }
            | Reason::DataInTheWay { .. }
            | Reason::BadOption(_)
            | Reason::VersionPath(_)
            | Reason::StillRejected { .. }
            | Reason::MixedIncarnations { .. }
            | Reason::TwinDisks { .. }
    )
}
