//! The real planner, asked about a state; its one step in the model's terms.

use etcdop_core::{
    observation::SlotPolicy,
    permit::ClusterState,
    plan::{Plan, plan},
    record::{Before, Birth as CoreBirth, Mutation, Record},
    step::{DowngradeOp, EtcdStep, GroundStep, Step},
};

use crate::{
    mutants::{self, Mutant},
    names,
    observe::{self, Clock, NOW},
    quick_hash::QuickMap,
    state::{Birth, Era, Founding, Holder, Id, Open, Permit, Release, SLOTS, Seat, State},
};

/// The step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Add this slot as a learner.
    AddLearner(u8),
    /// Make it a voter.
    Promote(Id),
    /// Take it out of the list.
    Remove(Id),
    /// Hand leadership over.
    MoveLeader(Id),
    /// Switch etcd's downgrade mode on.
    EnableDowngrade,
    /// Switch it off.
    CancelDowngrade,
    /// Hold these slots.
    Ensure([Option<Release>; SLOTS]),
    /// Hand out permits.
    Permit([Option<Permit>; SLOTS]),
    /// Stop the process in this slot.
    Retire(u8),
    /// Destroy the disk in this slot.
    Discard(u8),
    /// Commit the record.
    Commit(NextRecord),
    /// Something that no scope of the model asks for.
    Other,
}

/// A record to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextRecord {
    /// Seats.
    pub seats: [Option<Seat>; SLOTS],
    /// Birth.
    pub birth: Birth,
    /// Learner limit.
    pub limit: u8,
    /// Open mutation.
    pub open: Open,
    /// What was tried in vain.
    pub rejected: Option<Release>,
    /// Whether the incarnation is another one than before.
    pub era: Era,
}

/// Asks the planner, and remembers what it said: it is a function.
#[derive(Debug)]
pub(crate) struct Planner {
    policy: SlotPolicy,
    mutant: Option<Mutant>,
    plans: QuickMap<(State, Clock), Option<Act>>,
}

impl Planner {
    /// A planner for a platform with this policy, perhaps with one rule broken.
    pub(crate) fn new(policy: SlotPolicy, mutant: Option<Mutant>) -> Self {
        Self { policy, mutant, plans: QuickMap::default() }
    }

    /// The step that a manager takes in this state.
    pub(crate) fn step(&mut self, state: &State, clock: Clock) -> Option<Act> {
        let (policy, mutant) = (self.policy, self.mutant);
        *self.plans.entry((observe::visible(state), clock)).or_insert_with(|| {
            let said = explain(state, policy, mutant, clock);
            let act = said.act.map(|(step, _)| convert(&step))?;
            Some(mutants::act(mutant, state, act))
        })
    }

    /// How many different plans were made.
    pub(crate) fn plans(&self) -> usize {
        self.plans.len()
    }
}

/// The plan itself, with its reasons.
pub fn explain(state: &State, policy: SlotPolicy, mutant: Option<Mutant>, clock: Clock) -> Plan {
    let seen = mutants::observation(mutant, observe::observation(state, policy, clock), state);
    plan(&observe::desired(state), &seen, NOW)
}

fn convert(step: &Step) -> Act {
    match step {
        Step::Etcd(step) => convert_etcd(step),
        Step::Ground(step) => convert_ground(step),
        Step::Record(record) => Act::Commit(convert_record(record)),
    }
}

fn convert_etcd(step: &EtcdStep) -> Act {
    match step {
        EtcdStep::AddLearner(slot, _) => Act::AddLearner(slot.0),
        EtcdStep::Promote(member) => Act::Promote(names::id(*member)),
        EtcdStep::Remove(member) => Act::Remove(names::id(*member)),
        EtcdStep::MoveLeader { to } => Act::MoveLeader(names::id(*to)),
        EtcdStep::Downgrade(DowngradeOp::Enable(_)) => Act::EnableDowngrade,
        EtcdStep::Downgrade(DowngradeOp::Cancel) => Act::CancelDowngrade,
        EtcdStep::Compact { .. }
        | EtcdStep::Defragment(_)
        | EtcdStep::Disarm(_)
        | EtcdStep::PadLog { .. }
        | EtcdStep::Snapshot { .. } => Act::Other,
    }
}

fn convert_ground(step: &GroundStep) -> Act {
    match step {
        GroundStep::Ensure(layout) => {
            let mut slots = [None; SLOTS];
            for (slot, launch) in &layout.slots {
                slots[usize::from(slot.0)] = Some(names::release(launch.version()));
            }
            Act::Ensure(slots)
        }
        GroundStep::Permit(permits) => {
            let mut slots = [None; SLOTS];
            for permit in permits {
                let named = permit.initial_cluster.iter().filter_map(|(_, url)| names::slot_at(url.as_str()));
                slots[usize::from(permit.slot.0)] = Some(Permit {
                    holder: Holder::Current,
                    era: names::era(&permit.incarnation),
                    generation: names::r#gen(permit.generation),
                    member: permit.member.map(names::id),
                    state: match permit.state {
                        ClusterState::New => Founding::New,
                        ClusterState::Existing => Founding::Existing,
                    },
                    list: named.fold(0, |bits, slot| bits | 1 << slot),
                });
            }
            Act::Permit(slots)
        }
        GroundStep::Retire(slot, _) => Act::Retire(slot.0),
        GroundStep::Discard(slot, _) => Act::Discard(slot.0),
    }
}

fn convert_record(record: &Record) -> NextRecord {
    let mut seats = [None; SLOTS];
    for (slot, seat) in &record.slots {
        seats[usize::from(slot.0)] = Some(Seat {
            generation: names::r#gen(seat.generation),
            member: seat.member.map(names::id),
            epoch: u8::try_from(seat.epoch.min(2)).unwrap_or(2),
            release: names::release(seat.launch.version()),
            founder: seat.founder.as_ref().map(|founder| {
                let current = *founder == observe::instance(slot.0, Holder::Current);
                if current { Holder::Current } else { Holder::Former }
            }),
        });
    }
    let open = match &record.open {
        None => Open::Nothing,
        Some(Mutation::Leave { members }) => {
            let mut leaving = [None; SLOTS];
            for (member, slot) in members {
                leaving[usize::from(slot.0)] = Some(names::id(*member));
            }
            Open::Leave(leaving)
        }
        Some(Mutation::Restart { slot, from, before }) => Open::Restart {
            slot: slot.0,
            from: names::release(from.version()),
            before: match before {
                Before::Serving => Before::Serving,
                Before::Sick => Before::Sick,
            },
        },
    };
    NextRecord {
        seats,
        birth: match record.birth {
            CoreBirth::Unborn => Birth::Unborn,
            CoreBirth::Forming => Birth::Forming,
            CoreBirth::Formed(_) => Birth::Formed,
        },
        limit: record.max_learners,
        open,
        rejected: record.rejected.as_ref().map(|template| names::release(&template.version)),
        era: names::era(&record.incarnation),
    }
}
