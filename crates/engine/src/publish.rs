//! What the engine shows of itself, as values. Every user interface draws from this, and from nothing else; nothing in here is ever
//! read back by a decision.

use std::{sync::Arc, time::Duration};

use etcdop_core::{
    desired::Desired,
    id::Mono,
    observation::{Observation, Setback},
    plan::Plan,
    step::Step,
};
use serde::Serialize;

use crate::outcome::Outcome;

/// How many past steps are shown.
pub(crate) const STEPS_KEPT: usize = 64;

/// The newest pass.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its number, from 1; 0 before the first.
    pub pass: u64,
    /// When it looked.
    pub at: Mono,
    /// What was asked for then.
    pub desired: Desired,
    /// What it saw. While the record cannot be read, its part is the last one that was.
    pub observation: Arc<Observation>,
    /// How long members took to answer about themselves: every answer since the pass before.
    pub answered_in: Vec<Duration>,
    /// What it decided.
    pub plan: Plan,
    /// The newest steps, the oldest of them first.
    pub steps: Vec<Arc<StepReport>>,
    /// The step that failed last, if it keeps failing.
    pub setback: Option<Setback>,
    /// The long step that is under way, in words.
    pub busy: Option<String>,
}

/// One step and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// Counts the steps of this manager, from 1.
    pub seq: u64,
    /// The step in words.
    pub text: String,
    /// The step.
    pub step: Step,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// When it began.
    pub at: Mono,
}
