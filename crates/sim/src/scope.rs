//! What one run of the model explores: where it begins, what may happen, and which rule is broken on purpose.

use etcdop_core::{
    observation::{Role, SlotPolicy},
    record::MAX_LEARNERS,
};

use crate::{
    canonical::Ages,
    mutants::Mutant,
    state::{
        Birth, Budget, Data, Disk, Era, Gen, Id, Ledger, Life, Listed, Open, Owned, Phase, Place, Process, Reach,
        Release, SLOTS, Seat, State,
    },
};

/// Whether a restarted process is another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restarts {
    /// As every platform of ours has it.
    GetANewName,
    /// The worst that a platform could do: then the ledger alone tells a restart from a first start.
    KeepTheirName,
}

/// What becomes of a permit when its process is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permits {
    /// It is left behind, as a file beside the disk is.
    Stay,
    /// It is gone, and what was noted of its use, as with a Pod and its annotation.
    GoWithTheirProcess,
}

/// What becomes of silent members when faults end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilentOnes {
    /// They are heard again.
    ComeBack,
    /// They stay silent, and are replaced after the user's time where their peers miss them too.
    StaySilent,
}

impl SilentOnes {
    pub(crate) const fn come_back(self) -> bool {
        matches!(self, Self::ComeBack)
    }
}

/// Whether anything ever lasts too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Everything that is waited for may have lasted longer than anybody wants to wait.
    Ends,
    /// Nothing does, for runs that are about something else.
    Endless,
}

/// Whether clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// At any moment, and no member has more of it than must.
    Busy,
    /// Never: all logs are equal, for runs that are about something else.
    Quiet,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What the platform can give up.
    pub policy: SlotPolicy,
    /// Sizes that may be declared.
    pub sizes: &'static [u8],
    /// Releases that may be declared.
    pub releases: &'static [Release],
    /// Faults and edits.
    pub budget: Budget,
    /// Names of instances.
    pub restarts: Restarts,
    /// Permits of processes that are gone.
    pub permits: Permits,
    /// Clients.
    pub writers: Writers,
    /// Time.
    pub patience: Patience,
    /// For the way to the goal.
    pub silent_ones: SilentOnes,
    /// The rule that is broken.
    pub mutant: Option<Mutant>,
    /// Where it begins.
    pub start: Vec<State>,
}

impl Scope {
    /// A run without faults, beginning at these states.
    pub fn new(start: Vec<State>) -> Self {
        Self {
            policy: SlotPolicy::Prefix,
            sizes: &[],
            releases: &[],
            budget: Budget::default(),
            restarts: Restarts::GetANewName,
            permits: Permits::Stay,
            writers: Writers::Busy,
            patience: Patience::Ends,
            silent_ones: SilentOnes::ComeBack,
            mutant: None,
            start,
        }
    }

    /// With this slot policy.
    #[must_use]
    pub fn policy(mut self, policy: SlotPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// With these sizes to choose from.
    #[must_use]
    pub fn sizes(mut self, sizes: &'static [u8]) -> Self {
        self.sizes = sizes;
        self
    }

    /// With these faults and edits.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// With this rule broken.
    #[must_use]
    pub fn mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    /// What tells two states apart.
    pub(crate) fn ages(&self) -> Ages {
        if self.mutant == Some(Mutant::NewestLeaves) { Ages::Kept } else { Ages::PerSlot }
    }

    /// Whether the guard writes down first starts.
    pub(crate) fn notes_first_starts(&self) -> bool {
        self.mutant != Some(Mutant::StartsUnnoted)
    }
}

/// A cluster that was never created, wanted with this size.
pub fn unborn(size: u8) -> State {
    State {
        places: [Place::VOID; SLOTS],
        birth: Birth::Unborn,
        limit: 1,
        born: 1,
        open: Open::Nothing,
        rejected: None,
        leader: None,
        cluster: Release::V3_6,
        downgrade: false,
        size,
        release: Release::V3_6,
        left: Budget::default(),
    }
}

/// A healthy cluster of this size whose leader is the first member.
pub fn formed(size: u8) -> State {
    let mut state = unborn(size);
    state.birth = Birth::Formed;
    (state.limit, state.born) = (MAX_LEARNERS, MAX_LEARNERS);
    state.leader = Some(0);
    for slot in 0..size {
        *state.at_mut(slot) = voter(slot, Release::V3_6);
    }
    state
}

/// A healthy cluster whose members run these releases, wanted with this one.
pub fn mixed(releases: &[Release], wanted: Release) -> State {
    let mut state = unborn(u8::try_from(releases.len()).unwrap_or(0));
    state.birth = Birth::Formed;
    (state.limit, state.born) = (MAX_LEARNERS, MAX_LEARNERS);
    state.leader = Some(0);
    state.cluster = releases.iter().copied().min().unwrap_or(Release::V3_6);
    state.release = wanted;
    for (slot, release) in (0..).zip(releases) {
        *state.at_mut(slot) = voter(slot, *release);
    }
    state
}

fn voter(slot: u8, release: Release) -> Place {
    let (id, generation) = (Id(slot), Gen(1 + slot));
    let owned = Owned { era: Era::Now, generation, marker: Some(id), log: Some(id), epoch: 2, data: Data::Fresh };
    Place {
        seat: Some(Seat { generation, member: Some(id), epoch: 2, release, founder: None }),
        declared: Some(release),
        process: Some(Process { phase: Phase::Serving, release }),
        reach: Reach::Everyone,
        disk: Disk::Owned(owned),
        permit: None,
        ledger: Ledger::Blank,
        listed: Some(Listed { id, role: Role::Voter, life: Life::Named, matched: false }),
    }
}
