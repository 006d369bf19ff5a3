//! One state of the model: everything that the planner, the guard and etcd can tell apart, in a form that is small, comparable
//! and finite.
//!
//! Member IDs and generations are renumbered after every transition (see [`State::canonical`]), epochs stop counting at two, and
//! time does not exist: whether something has lasted long is chosen by the environment when it is looked at.

use etcdop_core::{observation::Role, quorum::quorum, record::Before};

/// Slots of the model: the largest size is five, and no scope ever needs a sixth.
pub(crate) const SLOTS: usize = 5;

/// A member ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u8);

/// A generation of a slot's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gen(pub u8);

/// How much of what was acknowledged a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Data {
    /// Next to nothing.
    Far,
    /// All but the last acknowledged write: near enough to be promoted.
    Near,
    /// All.
    Fresh,
}

/// The present incarnation, or one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// Of the record.
    Now,
    /// Given up.
    Past,
}

/// The two releases of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// 3.5: one learner at a time.
    V3_5,
    /// 3.6.
    V3_6,
}

/// A seat of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// Tells the slot's disks apart.
    pub generation: Gen,
    /// Who holds it.
    pub member: Option<Id>,
    /// 0, 1, or 2 for more.
    pub epoch: u8,
    /// What its instance is to run.
    pub release: Release,
    /// Whether the process in the slot, or one before it, was to get the founder's permit.
    pub founder: Option<Holder>,
}

/// A disk with a log on it, or about to get one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owned {
    /// Of which incarnation.
    pub era: Era,
    /// Of which seat.
    pub generation: Gen,
    /// Whom the marker names.
    pub marker: Option<Id>,
    /// Whose log it really is; nobody's until etcd has joined or formed a cluster.
    pub log: Option<Id>,
    /// 1, or 2 for more.
    pub epoch: u8,
    /// What the log holds.
    pub data: Data,
}

/// A data volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disk {
    /// Not made yet.
    Absent,
    /// Nothing on it.
    Empty,
    /// A marker without a log.
    Hollow {
        /// Of which incarnation.
        era: Era,
        /// Of which seat.
        generation: Gen,
    },
    /// A marker and a log.
    Owned(Owned),
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The guard waits.
    Gate,
    /// The guard refused.
    Refused,
    /// etcd was started for the first time and has no log yet.
    Starting,
    /// etcd runs on its log and serves its peers.
    Serving,
    /// Ended; the platform starts it again.
    Exited,
}

/// A process in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// How far it is.
    pub phase: Phase,
    /// What it runs.
    pub release: Release,
}

/// Whose permit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The process that is in the slot.
    Current,
    /// One before it.
    Former,
}

/// How a permit lets etcd start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Founding {
    /// `--initial-cluster-state=new`
    New,
    /// `--initial-cluster-state=existing`
    Existing,
}

/// The permit that lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permit {
    /// Who may use it.
    pub holder: Holder,
    /// In which incarnation.
    pub era: Era,
    /// For which seat.
    pub generation: Gen,
    /// As whom.
    pub member: Option<Id>,
    /// Into what.
    pub state: Founding,
    /// Slots of the members that it names, as bits.
    pub list: u8,
}

/// Whether the guard's ledger says that the slot's permit was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ledger {
    /// It says nothing of this permit.
    Blank,
    /// Used.
    Used,
}

/// What a member of the list has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// Never had a log.
    Unstarted,
    /// Has had one.
    Started,
    /// Published its name.
    Named,
}

/// A row of etcd's true member list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed {
    /// Who.
    pub id: Id,
    /// Whether it votes.
    pub role: Role,
    /// What it has done.
    pub life: Life,
    /// Whether the leader saw this learner catch up; it forgets nothing when the learner dies (F6).
    pub matched: bool,
}

/// Who can talk to a running etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Everybody.
    Everyone,
    /// Its peers, and not the manager.
    Peers,
    /// Nobody: frozen or cut off, the platform still sees its process.
    Nobody,
}

/// Everything about one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// In the record.
    pub seat: Option<Seat>,
    /// What the platform was told to run.
    pub declared: Option<Release>,
    /// What runs.
    pub process: Option<Process>,
    /// Who can talk to it.
    pub reach: Reach,
    /// Its disk.
    pub disk: Disk,
    /// Its permit.
    pub permit: Option<Permit>,
    /// Outside the disk.
    pub ledger: Ledger,
    /// The member that etcd lists at this slot's peer URL.
    pub listed: Option<Listed>,
}

impl Place {
    /// Nothing.
    pub const VOID: Self = Self {
        seat: None,
        declared: None,
        process: None,
        reach: Reach::Everyone,
        disk: Disk::Absent,
        permit: None,
        ledger: Ledger::Blank,
        listed: None,
    };

    /// The log on its disk, when it is that of the listed member.
    pub fn own_log(&self) -> Option<Owned> {
        match (self.disk, self.listed) {
            (Disk::Owned(owned), Some(listed)) if owned.log == Some(listed.id) => Some(owned),
            _ => None,
        }
    }

    /// Whether etcd runs.
    pub fn serves(&self) -> bool {
        self.process.is_some_and(|process| process.phase == Phase::Serving)
    }

    /// Whether its member takes part in the cluster.
    pub fn is_live(&self) -> bool {
        self.serves() && self.reach != Reach::Nobody && self.own_log().is_some()
    }

    /// Whether it is listed as a voter.
    pub fn votes(&self) -> bool {
        self.listed.is_some_and(|listed| listed.role == Role::Voter)
    }

    /// Whether it is listed as a learner.
    pub fn learns(&self) -> bool {
        self.listed.is_some_and(|listed| listed.role == Role::Learner)
    }

    /// Ends the process, whatever it was.
    pub fn stop(&mut self) {
        self.process = None;
        self.reach = Reach::Everyone;
    }
}

/// How far the bootstrap has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Birth {
    /// Not begun.
    Unborn,
    /// Founders may start.
    Forming,
    /// Done.
    Formed,
}

/// The open mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Open {
    /// None.
    Nothing,
    /// Who leaves, by slot.
    Leave([Option<Id>; SLOTS]),
    /// Which slot is restarted.
    Restart {
        /// Where.
        slot: u8,
        /// What ran before.
        from: Release,
        /// How it was.
        before: Before,
    },
}

/// Faults and edits that are still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Disks to be wiped.
    pub wipes: u8,
    /// Processes to be killed; all at once counts as one.
    pub crashes: u8,
    /// Members to fall silent.
    pub silences: u8,
    /// Changes of the declared size or release.
    pub edits: u8,
    /// Times that the record is lost.
    pub records: u8,
}

/// One state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Slot by slot.
    pub places: [Place; SLOTS],
    /// In the record.
    pub birth: Birth,
    /// The record's learner limit.
    pub limit: u8,
    /// The learner limit that every disk and process of the incarnation was started under, whatever the record says.
    pub born: u8,
    /// The record's open mutation.
    pub open: Open,
    /// What the record says was tried in vain.
    pub rejected: Option<Release>,
    /// Who leads; somebody whenever a quorum is live.
    pub leader: Option<u8>,
    /// etcd's cluster version.
    pub cluster: Release,
    /// Whether etcd's downgrade mode is on.
    pub downgrade: bool,
    /// The declared size.
    pub size: u8,
    /// The declared release.
    pub release: Release,
    /// What may still happen.
    pub left: Budget,
}

impl State {
    /// The places with their slots.
    pub fn each(&self) -> impl Iterator<Item = (u8, &Place)> {
        (0..).zip(self.places.iter())
    }

    /// The place of `slot`.
    pub fn at(&self, slot: u8) -> &Place {
        &self.places[usize::from(slot)]
    }

    /// The place of `slot`, to be changed.
    pub fn at_mut(&mut self, slot: u8) -> &mut Place {
        &mut self.places[usize::from(slot)]
    }

    /// The voters that are listed.
    pub fn voters(&self) -> usize {
        self.places.iter().filter(|place| place.votes()).count()
    }

    /// The learners that are listed.
    pub fn learners(&self) -> usize {
        self.places.iter().filter(|place| place.learns()).count()
    }

    /// The voters that take part.
    pub fn live_voters(&self) -> usize {
        self.places.iter().filter(|place| place.votes() && place.is_live()).count()
    }

    /// Whether a majority takes part.
    pub fn has_live_quorum(&self) -> bool {
        self.live_voters() >= quorum(self.voters())
    }

    /// Whether a majority still has its logs.
    pub fn has_recoverable_quorum(&self) -> bool {
        let with_log = self.places.iter().filter(|place| place.votes() && place.own_log().is_some()).count();
        with_log >= quorum(self.voters())
    }

    /// The slots of the member list, as bits.
    pub fn list(&self) -> u8 {
        self.each().filter(|(_, place)| place.listed.is_some()).fold(0, |bits, (slot, _)| bits | 1 << slot)
    }

    /// Where a listed member lives.
    pub fn slot_of(&self, id: Id) -> Option<u8> {
        self.each().find(|(_, place)| place.listed.is_some_and(|listed| listed.id == id)).map(|(slot, _)| slot)
    }

    /// An ID that nobody has.
    pub fn new_id(&self) -> Id {
        let used = self.ids().fold(0_u32, |bits, id| bits | 1 << id.0);
        Id(u8::try_from(used.trailing_ones()).unwrap_or(u8::MAX))
    }

    /// Every ID that anything in it names, in a fixed order: first those of the list, slot by slot.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        let listed = self.places.iter().filter_map(|place| Some(place.listed?.id));
        let rest = self.places.iter().flat_map(|place| {
            let disk = match place.disk {
                Disk::Owned(owned) => [owned.marker, owned.log],
                Disk::Absent | Disk::Empty | Disk::Hollow { .. } => [None, None],
            };
            let seat = place.seat.and_then(|seat| seat.member);
            let permit = place.permit.and_then(|permit| permit.member);
            [seat, disk[0], disk[1], permit].into_iter().flatten()
        });
        let leaving = match self.open {
            Open::Leave(ids) => ids,
            Open::Nothing | Open::Restart { .. } => [None; SLOTS],
        };
        listed.chain(rest).chain(leaving.into_iter().flatten())
    }
}
