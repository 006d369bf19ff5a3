//! One pass's observation, joined: each row of etcd's member list with its seat, its slot, its disk and its own answer.
//!
//! Members are joined by ID, and by peer URL only where etcd has just given the ID (rule 5); never by name or position.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    desired::Desired,
    id::{ClusterId, MemberId, Mono, Slot},
    launch::LaunchSpec,
    observation::{
        Alarm, Blocker, Instance, Marker, MemberStatus, Observation, PeerPort, PermitView, Phase, Probe, Role, Roster,
        RosterMember, SlotPolicy, SlotView, Volume,
    },
    quorum::quorum,
    reason::{Reason, SerialReason},
    record::{Birth, Record, Seat},
};

/// Evidence older than this does not carry a promotion (reliability.md, P4).
const FRESH: Duration = Duration::from_secs(1);

/// How long a running member has not answered before it counts as one that serves nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// Raft entries that a voter may be behind and still make up for another one that is taken down: what a busy leader commits in
/// the second that an answer may be old.
const IN_STEP: u64 = 1_000;

/// Bytes of database that may be on their way to learners at once: each takes a snapshot of its own from the leader.
const BYTES_IN_FLIGHT: u64 = 1 << 30;

/// One member of the list with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) row: &'a RosterMember,
    pub(crate) slot: Option<Slot>,
    pub(crate) seat: Option<&'a Seat>,
    pub(crate) view: Option<&'a SlotView>,
    /// Its own answer in this pass, checked to be its own and of this cluster.
    pub(crate) status: Option<&'a MemberStatus>,
    /// When that was asked.
    asked: Mono,
}

/// Why a member is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Death {
    /// Its disk is gone, empty, or an older copy: it must never run again under this identity.
    DiskLost,
    /// Silent for longer than the user wants to wait, and a second witness says so too.
    Unreachable,
}

impl<'a> Member<'a> {
    pub(crate) const fn id(&self) -> MemberId {
        self.row.id
    }

    pub(crate) const fn is_voter(&self) -> bool {
        matches!(self.row.role, Role::Voter)
    }

    pub(crate) const fn is_learner(&self) -> bool {
        matches!(self.row.role, Role::Learner)
    }

    /// Whether it ever published itself (F3): such a member has a log to lose.
    pub(crate) fn is_named(&self) -> bool {
        !self.row.name.is_empty()
    }

    pub(crate) fn instance(&self) -> Option<&'a Instance> {
        self.view?.instance.known()?.as_ref()
    }

    pub(crate) fn volume(&self) -> Option<&'a Volume> {
        self.view?.volume.known()?.as_ref()
    }
}

/// Everything that a concern decides by.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observation: &'a Observation,
    pub(crate) record: &'a Record,
    pub(crate) now: Mono,
    /// Empty while the member list is unknown.
    pub(crate) members: Vec<Member<'a>>,
    /// Whom a quorum of voters believes to lead, in one term.
    pub(crate) leader: Option<MemberId>,
}

impl<'a> Situation<'a> {
    pub(crate) fn new(desired: &'a Desired, observation: &'a Observation, now: Mono) -> Self {
        let record = &observation.record.value;
        let members = observation.roster.known().map(|roster| join(observation, record, roster)).unwrap_or_default();
        let leader = agreed_leader(&members);
        Self { desired, observation, record, now, members, leader }
    }

    pub(crate) fn roster(&self) -> Option<&'a Roster> {
        self.observation.roster.known()
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        match self.record.birth {
            Birth::Formed(cluster) => Some(cluster),
            Birth::Unborn | Birth::Forming => None,
        }
    }

    pub(crate) fn voters(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(|member| member.is_voter())
    }

    pub(crate) fn learners(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(|member| member.is_learner())
    }

    pub(crate) fn member(&self, id: MemberId) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.id() == id)
    }

    /// Whether etcd's list has a member for the slot.
    pub(crate) fn is_listed(&self, slot: Slot) -> bool {
        self.members.iter().any(|member| member.slot == Some(slot))
    }

    pub(crate) fn view(&self, slot: Slot) -> Option<&'a SlotView> {
        self.observation.ground.get(&slot)
    }

    pub(crate) fn instance(&self, slot: Slot) -> Option<&'a Instance> {
        self.view(slot)?.instance.known()?.as_ref()
    }

    pub(crate) fn volume(&self, slot: Slot) -> Option<&'a Volume> {
        self.view(slot)?.volume.known()?.as_ref()
    }

    pub(crate) fn peer_port(&self, slot: Slot) -> Option<&'a PeerPort> {
        self.observation.peer_ports.get(&slot)?.known()
    }

    /// A voter that answers for itself, follows the agreed leader, and was asked just now.
    pub(crate) fn is_healthy(&self, member: &Member<'_>) -> bool {
        self.is_fresh(member)
            && self.leader.is_some()
            && member.status.is_some_and(|status| status.leader == self.leader)
    }

    pub(crate) fn is_fresh(&self, member: &Member<'_>) -> bool {
        member.status.is_some() && self.now.since(member.asked) <= FRESH
    }

    /// Raft entries that the member has to apply still, by its own answer and that of the voter that knows of most.
    pub(crate) fn behind(&self, member: &Member<'_>) -> Option<u64> {
        let committed = self.voters().filter_map(|voter| voter.status).map(|status| status.committed).max()?;
        Some(committed.saturating_sub(member.status?.applied))
    }

    /// A healthy voter that has about what was acknowledged. One that lacks much of it answers and votes, but without the voter
    /// that is taken down nothing is acknowledged before it has caught up, and it could not lead.
    pub(crate) fn is_in_step(&self, voter: &Member<'_>) -> bool {
        self.is_healthy(voter) && self.behind(voter).is_some_and(|behind| behind <= IN_STEP)
    }

    /// The first voter, other than `except`, that could not make up for `except` being stopped or removed.
    pub(crate) fn unfit_voter(&self, except: Option<MemberId>) -> Option<&Member<'a>> {
        self.voters().find(|voter| Some(voter.id()) != except && !self.is_in_step(voter))
    }

    /// The first voter, other than `except`, that is not healthy.
    pub(crate) fn sick_voter(&self, except: Option<MemberId>) -> Option<&Member<'a>> {
        self.voters().find(|voter| Some(voter.id()) != except && !self.is_healthy(voter))
    }

    /// Voters besides `without` that are healthy, and how many there are in all.
    pub(crate) fn remaining(&self, without: MemberId) -> (usize, usize) {
        let rest = || self.voters().filter(|voter| voter.id() != without);
        (rest().filter(|voter| self.is_healthy(voter)).count(), rest().count())
    }

    /// Whether taking `member` out keeps a quorum of healthy voters among those that remain (rule 6).
    pub(crate) fn survives_without(&self, member: MemberId) -> bool {
        let (up, voters) = self.remaining(member);
        up >= quorum(voters)
    }

    /// Why this member did not answer, and since when.
    pub(crate) fn silence(&self, member: &Member<'_>) -> Option<(&'a Blocker, Mono)> {
        match self.observation.status.get(&member.slot?)? {
            Probe::Unknown { why, since } => Some((why, *since)),
            Probe::Known { .. } => None,
        }
    }

    /// What a person is told of a voter that is not healthy, or not in step.
    pub(crate) fn sickness(&self, voter: &Member<'_>) -> Option<Reason> {
        let (member, slot) = (voter.id(), voter.slot?);
        if let Some(astray) = self.follows_nobody(voter) {
            return Some(astray);
        }
        if let Some(behind) = self.behind(voter).filter(|_| self.is_healthy(voter)) {
            return Some(Reason::VoterBehind { member, slot, behind });
        }
        let stale = || Blocker("no fresh answer of its own".to_owned());
        let why = self.silence(voter).map_or_else(stale, |(why, _)| why.clone());
        Some(Reason::VoterSilent { member, slot, why })
    }

    /// A voter that answers, and does not follow the leader of the others: cut off from its peers, not from us.
    pub(crate) fn follows_nobody(&self, voter: &Member<'_>) -> Option<Reason> {
        let (slot, leader) = (voter.slot?, self.leader?);
        let follows = voter.status.filter(|_| self.is_fresh(voter))?.leader;
        (follows != Some(leader)).then(|| Reason::VoterAlone { member: voter.id(), slot, follows, leader })
    }

    /// Whether the member is to be given up (rule 7: unreachable is not dead).
    pub(crate) fn death(&self, member: &Member<'_>) -> Option<Death> {
        if self.lost_its_disk(member) {
            return Some(Death::DiskLost);
        }
        let (_, since) = self.silence(member)?;
        // Nobody answers before he was allowed to start: the time at the gate is no silence.
        let allowed = member.view.and_then(|view| view.permit.as_ref()).map_or(since, |permit| permit.since);
        let overdue = self.now.since(since.max(allowed)) >= self.desired.recovery.replace_after;
        // A learner that never published itself is the joiners' business.
        let counts = member.is_voter() || member.is_named();
        (counts && overdue && self.second_witness(member)).then_some(Death::Unreachable)
    }

    /// Someone else than our own failed call says that the member is gone: the leader has no connection with it, or its
    /// platform sees no process.
    pub(crate) fn second_witness(&self, member: &Member<'_>) -> bool {
        let links = self.observation.links.known();
        let unlinked =
            links.is_some_and(|links| Some(links.leader) == self.leader && !links.active.contains(&member.id()));
        let stopped = match member.view.map(|view| &view.instance) {
            Some(Probe::Known { value, .. }) => {
                !value.as_ref().is_some_and(|i| matches!(i.phase, Phase::Running | Phase::Pending(_)))
            }
            Some(Probe::Unknown { .. }) | None => false,
        };
        unlinked || stopped
    }

    /// A member that may hold a log, on a disk that is not its own any more.
    fn lost_its_disk(&self, member: &Member<'_>) -> bool {
        let (Some(seat), Some(view)) = (member.seat, member.view) else { return false };
        let Some(volume) = view.volume.known() else { return false };
        let has_history = member.is_named() || member.is_voter() || seat.epoch > 0;
        match volume.as_ref().map(|volume| &volume.marker) {
            None | Some(Marker::Empty) => has_history,
            Some(Marker::Hollow { .. }) => true,
            Some(Marker::Owned { incarnation, generation, epoch, .. }) => {
                *incarnation == self.record.incarnation && (*generation < seat.generation || *epoch < seat.epoch)
            }
            Some(Marker::Foreign(_)) => false,
        }
    }

    /// Whether the slot's etcd serves its peers, or its clients.
    pub(crate) fn is_serving(&self, slot: Slot) -> bool {
        let answers = self.observation.status.get(&slot).is_some_and(|status| status.known().is_some());
        answers || self.peer_port(slot).is_some_and(|port| port.cluster.is_none_or(|c| Some(c) == self.cluster()))
    }

    /// Whether the slot's etcd may serve, or be about to: a manager that has just begun, an answer that came late or a process that
    /// was just started says nothing against it. Nobody is stopped for one answer that was missed.
    pub(crate) fn was_heard_lately(&self, slot: Slot) -> bool {
        let began = self.instance(slot).map_or(self.now, |instance| instance.since);
        let status = self.observation.status.get(&slot);
        let silent = |since: Mono| self.now.since(since.max(began)) >= SILENCE;
        !status.and_then(Probe::unknown_since).is_some_and(silent)
    }

    /// The permit that was written for the seat that the slot has now; one of an earlier seat says nothing.
    pub(crate) fn permit(&self, slot: Slot) -> Option<&'a PermitView> {
        let view = self.view(slot)?.permit.as_ref()?;
        let seat = self.record.slots.get(&slot)?;
        let (generation, incarnation) = (view.permit.generation, &view.permit.incarnation);
        (generation == seat.generation && *incarnation == self.record.incarnation).then_some(view)
    }

    /// Whether the slot's permit was written this long ago.
    pub(crate) fn was_permitted(&self, slot: Slot, ago: Duration) -> bool {
        self.permit(slot).is_some_and(|view| self.now.since(view.since) >= ago)
    }

    /// Whether a permit was handed to the instance that is in the slot now.
    pub(crate) fn holds_permit(&self, slot: Slot) -> bool {
        let permit = self.permit(slot).map(|view| &view.permit.instance);
        permit.is_some() && permit == self.instance(slot).map(|instance| &instance.id)
    }

    /// Learners that may be starting on the member list of their permits: until they serve, the list must not move (rule 3).
    pub(crate) fn permits_in_use(&self) -> impl Iterator<Item = Slot> {
        // One that published itself has started, whatever became of it since.
        let unstarted = self.learners().filter(|learner| !learner.is_named());
        let slots = unstarted.filter_map(|learner| learner.slot);
        slots.filter(|&slot| self.holds_permit(slot) && !self.is_serving(slot))
    }

    /// The first of them.
    pub(crate) fn permit_in_use(&self) -> Option<Slot> {
        self.permits_in_use().next()
    }

    /// The slots that the cluster is to live in. What it has is kept where the policy allows: healthy voters first, the
    /// leader before others, so that scaling in moves no leadership.
    pub(crate) fn target(&self) -> BTreeSet<Slot> {
        let size = self.desired.size.get();
        if size == 0 {
            return self.record.slots.keys().copied().collect();
        }
        if self.observation.slots == SlotPolicy::Prefix {
            return (0..size).map(Slot).collect();
        }
        let mut seats: Vec<Slot> = self.record.slots.keys().copied().collect();
        seats.sort_by_key(|&slot| {
            let member = self.members.iter().find(|member| member.slot == Some(slot));
            let voter = member.is_some_and(Member::is_voter);
            let dead = member.is_some_and(|member| self.death(member).is_some());
            let healthy = member.is_some_and(|member| self.is_healthy(member));
            let leads = member.is_some_and(|member| Some(member.id()) == self.leader);
            (!voter, dead, !healthy, !leads, slot)
        });
        let free = (0..=u8::MAX).map(Slot).filter(|slot| !self.record.slots.contains_key(slot));
        seats.into_iter().chain(free).take(size.into()).collect()
    }

    /// What a member that joins now is started with: what was asked for once a healthy voter runs it, until then what the
    /// voters run (F32: never the old version while an upgrade may complete, never an unproven one).
    pub(crate) fn launch_for_joiner(&self) -> LaunchSpec {
        let wanted = self.wanted_launch();
        let running = self.voters().filter(|voter| self.is_healthy(voter)).filter_map(Member::instance);
        let newest = running
            .map(|instance| &instance.launch)
            .max_by_key(|launch| (**launch == wanted, launch.version().clone()));
        newest.cloned().unwrap_or(wanted)
    }

    /// What every member is to run in the end.
    pub(crate) fn wanted_launch(&self) -> LaunchSpec {
        LaunchSpec { template: self.desired.template.clone(), max_learners: self.record.max_learners }
    }

    /// Whether several learners may be in flight: every member runs with the incarnation's limit, on one minor, and no
    /// downgrade is on (rule 3). Members apply the limit each on its own, so different ones would diverge (F5).
    pub(crate) fn takes_parallel_learners(&self) -> Result<(), SerialReason> {
        if self.record.max_learners <= 1 {
            return Err(SerialReason::Limit);
        }
        // A learner counts before it publishes itself: it applies the changes of the list as well.
        let launch = |member: &Member<'a>| match member.instance() {
            Some(instance) => Some(&instance.launch),
            None if member.is_learner() && !member.is_named() => member.seat.map(|seat| &seat.launch),
            None => None,
        };
        let running: Option<Vec<&LaunchSpec>> = self.members.iter().map(launch).collect();
        let first = running.as_ref().and_then(|running| running.first().copied());
        let uniform = running.as_ref().is_some_and(|running| {
            running.iter().all(|launch| {
                launch.learner_limit() == self.record.max_learners
                    && first.is_some_and(|first| first.version().minor() == launch.version().minor())
            })
        });
        let downgrading =
            self.members.iter().filter_map(|member| member.status).any(|status| status.downgrade.is_some());
        if uniform && !downgrading { Ok(()) } else { Err(SerialReason::Mixed) }
    }

    /// How many learners may be in flight, and why not more when it is one.
    pub(crate) fn learner_limit(&self) -> (usize, Option<SerialReason>) {
        if let Err(serial) = self.takes_parallel_learners() {
            return (1, Some(serial));
        }
        if self.record.open.is_some() {
            return (1, Some(SerialReason::Mixed));
        }
        let size =
            self.members.iter().filter_map(|member| member.status).map(|status| status.db_size).max().unwrap_or(0);
        // Two at least: an odd number of voters takes learners in pairs.
        let by_bytes = usize::try_from(BYTES_IN_FLIGHT / size.max(1)).unwrap_or(usize::MAX).max(2);
        (by_bytes.min(self.record.max_learners.into()), None)
    }

    pub(crate) fn alarms(&self) -> BTreeSet<Alarm> {
        self.observation.alarms.known().cloned().unwrap_or_default()
    }
}

fn join<'a>(observation: &'a Observation, record: &'a Record, roster: &'a Roster) -> Vec<Member<'a>> {
    let by_url = |row: &RosterMember| {
        let slot = observation.slot_at(row)?;
        // Only a seat that waits for its ID, or has none yet: everybody else is known by ID.
        let seat = record.slots.get(&slot)?;
        seat.member.is_none().then_some(slot)
    };
    let members = roster.members.iter().map(|row| {
        let slot = record.slot_of(row.id).or_else(|| by_url(row));
        let answer = slot.and_then(|slot| observation.status.get(&slot));
        let (status, asked) = match answer {
            Some(Probe::Known { value, at }) if value.member == row.id && value.cluster == roster.cluster => {
                (Some(value), *at)
            }
            _ => (None, Mono::default()),
        };
        let seat = slot.and_then(|slot| record.slots.get(&slot));
        let view = slot.and_then(|slot| observation.ground.get(&slot));
        Member { row, slot, seat, view, status, asked }
    });
    members.collect()
}

/// A leader counts only when a quorum of voters names it in one term (reliability.md, F29).
fn agreed_leader(members: &[Member<'_>]) -> Option<MemberId> {
    let voters: Vec<_> = members.iter().filter(|member| member.is_voter()).collect();
    let beliefs: Vec<_> = voters.iter().filter_map(|v| v.status).filter_map(|s| Some((s.leader?, s.term))).collect();
    let (leader, _) =
        beliefs.iter().find(|b| beliefs.iter().filter(|other| other == b).count() >= quorum(voters.len()))?;
    voters.iter().any(|voter| voter.id() == *leader).then_some(*leader)
}
