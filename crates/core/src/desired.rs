//! What the user declared, already checked: nothing in here can be wrong by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{launch::Template, size::Size};

/// The declared cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Voters; zero hibernates.
    pub size: Size,
    /// What every member runs.
    pub template: Template,
    /// When a silent member is given up.
    pub recovery: Recovery,
    /// Space on disk.
    pub maintenance: Maintenance,
    /// How long the planner waits for things that can hang.
    pub patience: Patience,
}

/// When a silent member is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How long a member with a disk must have been silent, with a second witness, before it is replaced (rule 7).
    pub replace_after: Duration,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { replace_after: Duration::from_mins(5) }
    }
}

/// Whether history may be compacted to get out of a NOSPACE alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompactOnNoSpace {
    /// Watchers may need it: ask a human.
    #[default]
    Never,
    /// Down to the newest revision.
    ToLatest,
}

/// Space on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// What to do when defragmenting alone does not help.
    pub compact_on_no_space: CompactOnNoSpace,
    /// Defragment a member when it holds at least this many bytes that it does not use; never by itself when unset.
    pub defragment_above: Option<u64>,
}

/// How long the planner waits for things that can hang, before it does something else or says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a slot to reach the gate, before the others are added without it.
    pub gate: Duration,
    /// For a permit holder to serve its peer URL, before the next permit is handed out.
    pub permit: Duration,
    /// For a permit holder to serve at all, before its learner is removed.
    pub join: Duration,
    /// For a learner that has the data to publish itself, before it is restarted once; a healthy one takes 20-130 ms.
    pub nudge: Duration,
    /// For a restarted member to serve, before its old launch spec is put back.
    pub restart: Duration,
    /// For an answer to a membership call whose outcome is unknown to have taken effect.
    pub settle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            gate: Duration::from_secs(2),
            permit: Duration::from_secs(2),
            join: Duration::from_mins(1),
            nudge: Duration::from_millis(200),
            restart: Duration::from_mins(1),
            settle: Duration::from_secs(3),
        }
    }
}
