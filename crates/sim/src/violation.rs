//! What must never happen, by the numbers of reliability.md §4.1 and the rules of DESIGN §3.

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// I1: a step of ours took the live quorum away.
    LiveQuorumLost,
    /// I2: a step of ours took the quorum of logs away.
    RecoverableQuorumLost,
    /// I3: voters without the last acknowledged write could elect one of theirs.
    AcknowledgedWriteLost,
    /// I4: more learners than every member that applies the change allows (F5).
    TooManyLearners,
    /// I5: a member that was started before runs on a disk that is not its own.
    Amnesia,
    /// I6: an incarnation was bootstrapped again, or given up while it held data.
    SecondBootstrap,
    /// I7: a founder starts under the token of an incarnation that was given up.
    SharedToken,
    /// I8: the disk of a listed member was destroyed, or one in use.
    LiveDiskDestroyed,
    /// I8: etcd runs on a retired disk.
    RetiredDiskStarted,
    /// I9: the record gives a slot to a member that etcd lists elsewhere, or one URL was to be given to two.
    IdentityMixedUp,
    /// I10: somebody was removed whom no open mutation names.
    WrongMemberRemoved,
    /// Rules 4 and 7: a voter that is neither dead nor to leave was removed.
    NeededMemberRemoved,
    /// Rule 4: a member was removed that led others.
    LeaderRemoved,
    /// I11: a member was taken out or stopped while another voter was not live, or far behind.
    SecondDisruption,
    /// I14: a release joined a cluster that has moved on.
    ReleaseTooOld,
    /// Rule 3: logs that were written under one learner limit are to be replayed under another.
    LearnerLimitChanged,
    /// The planner asked for a step that has no place in the model.
    UnknownStep,
    /// L1: a recoverable state never comes to its goal.
    NeverConverges,
}
