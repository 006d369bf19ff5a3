//! Which passes are worth being told. A member that has not answered yet in this pass was healthy a moment ago: under load an answer
//! comes late, and READY is to be what was so within the last two seconds, not what could be learnt in the last millisecond. Whoever is
//! known to have stopped counts as down at once.

use std::{collections::BTreeMap, time::Duration};

use etcdop_core::{
    id::{InstanceId, MemberId, Mono, Slot},
    observation::{MemberStatus, Phase, Probe, Role},
    quorum::quorum,
    summary::{MemberHealth, Summary},
};
use etcdop_engine::publish::Published;

/// For how long the last good answer counts: two seconds, less what the way of the status to a reader takes.
const HOLD: Duration = Duration::from_millis(1700);
/// For how long a first pass without an answer is put aside, however old the last answer is: the next one, which comes sooner, tells
/// whether it was the member that was slow or this process.
const SECOND_LOOK: Duration = Duration::from_millis(300);

/// Who was healthy when that was last known for sure.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    healthy: BTreeMap<MemberId, Sighting>,
    begun: bool,
    /// Since when passes are put aside.
    unsure_since: Option<Mono>,
}

#[derive(Clone, Debug)]
struct Sighting {
    slot: Slot,
    instance: Option<InstanceId>,
    at: Mono,
}

/// What a pass says of somebody who was healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// That he is, or that he is not.
    Sure,
    /// Nothing.
    Unsure,
}

impl Sight {
    /// For how much longer this pass is put aside, because it lacks answers that a later one may have; `None` when it is to be told.
    pub(crate) fn puts_aside(&mut self, published: &Published, summary: &Summary) -> Option<Duration> {
        let now = published.at;
        if !self.begun {
            self.begun = true;
            self.assume(published);
        }
        let unsure = self.healthy.iter().filter(|(id, seen)| word(published, summary, **id, seen) == Word::Unsure);
        let counts_until = unsure.map(|(_, seen)| Mono(seen.at.0 + HOLD)).max();
        let wait = counts_until.and_then(|until| {
            let begun = *self.unsure_since.get_or_insert(now);
            let until = until.min(Mono(begun.0 + HOLD)).max(Mono(begun.0 + SECOND_LOOK));
            Some(until.since(now)).filter(|wait| !wait.is_zero())
        });
        self.note(published, summary, wait.is_some());
        wait
    }

    /// Whoever the record names was healthy before this process began, for all it knows.
    fn assume(&mut self, published: &Published) {
        let seats = &published.observation.record.value.slots;
        let members = seats.iter().filter_map(|(&slot, seat)| {
            Some((seat.member?, Sighting { slot, instance: instance(published, slot), at: published.at }))
        });
        self.healthy = members.collect();
    }

    fn note(&mut self, published: &Published, summary: &Summary, aside: bool) {
        if aside {
            let known = std::mem::take(&mut self.healthy);
            self.healthy =
                known.into_iter().filter(|(id, seen)| word(published, summary, *id, seen) == Word::Unsure).collect();
        } else {
            self.healthy.clear();
            self.unsure_since = None;
        }
        for row in summary.members.iter().filter(|row| row.health == MemberHealth::Healthy) {
            let answer = published.observation.status.get(&row.slot);
            if let (Some(id), Some(Role::Voter), Some(Probe::Known { at, .. })) = (row.id, row.role, answer) {
                let instance = instance(published, row.slot);
                self.healthy.insert(id, Sighting { slot: row.slot, instance, at: *at });
            }
        }
    }
}

fn instance(published: &Published, slot: Slot) -> Option<InstanceId> {
    let view = published.observation.ground.get(&slot)?;
    view.instance.known()?.as_ref().map(|instance| instance.id.clone())
}

fn word(published: &Published, summary: &Summary, id: MemberId, seen: &Sighting) -> Word {
    let observation = &published.observation;
    let Some(view) = observation.ground.get(&seen.slot) else { return Word::Sure };
    let runs = match &view.instance {
        Probe::Known { value: Some(now), .. } => {
            now.phase == Phase::Running && seen.instance.as_ref().is_none_or(|before| *before == now.id)
        }
        Probe::Known { value: None, .. } => false,
        Probe::Unknown { .. } => true,
    };
    let votes = observation
        .roster
        .known()
        .is_none_or(|roster| roster.members.iter().any(|member| member.id == id && member.role == Role::Voter));
    if !runs || !votes {
        return Word::Sure;
    }
    match observation.status.get(&seen.slot).and_then(Probe::known) {
        // Whom the others follow is not known where too few of them have answered, or where nobody could read the list.
        Some(status) if status.member == id && status.leader.is_some() && summary.leader.is_none() => Word::Unsure,
        Some(_) => Word::Sure,
        None => Word::Unsure,
    }
}

/// Voters that answer and follow the leader. While the member list cannot be read, those that say so of themselves: all of them follow
/// one that a majority of the record's members follows.
pub(crate) fn ready(published: &Published, summary: &Summary) -> usize {
    let observation = &published.observation;
    if observation.roster.known().is_some() {
        return summary.ready;
    }
    let seats: BTreeMap<Slot, MemberId> =
        observation.record.value.slots.iter().filter_map(|(&slot, seat)| Some((slot, seat.member?))).collect();
    let answers = seats.iter().filter_map(|(slot, id)| {
        let status = observation.status.get(slot)?.known()?;
        (status.member == *id && status.role == Role::Voter && Some(status.cluster) == summary.cluster_id)
            .then_some(status)
    });
    let answers: Vec<&MemberStatus> = answers.collect();
    let following = |leader| answers.iter().filter(|answer| answer.leader.is_some() && answer.leader == leader).count();
    let most = answers.iter().map(|answer| following(answer.leader)).max().unwrap_or(0);
    if most >= quorum(seats.len()) { most } else { 0 }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::status::{
        fixture::{blind, gone, leaderless, listless, replaced, silent, three_that_serve},
        summary,
    };

    /// Three members that serve, at this time; whatever `blur` does to what was seen of them.
    fn pass(millis: u64, blur: impl Fn(&mut Published)) -> Published {
        let mut published = three_that_serve(Mono(Duration::from_millis(millis)));
        blur(&mut published);
        published
    }

    fn puts_aside(sight: &mut Sight, published: &Published) -> Option<u128> {
        sight.puts_aside(published, &summary(published)).map(|wait| wait.as_millis())
    }

    fn looked_at() -> Sight {
        let mut sight = Sight::default();
        assert_eq!(puts_aside(&mut sight, &pass(1000, |_| {})), None, "all is known");
        sight
    }

    #[rstest]
    #[case::one_is_silent(silent(&[1]), 1600)]
    #[case::all_are_silent(silent(&[0, 1, 2]), 1600)]
    #[case::nobody_lists_the_members(listless(), 1600)]
    #[case::the_api_server_says_nothing(blind(), 1600)]
    fn a_pass_that_lacks_answers_waits_for_a_better_one(#[case] blur: impl Fn(&mut Published), #[case] wait: u128) {
        let mut sight = looked_at();
        assert_eq!(puts_aside(&mut sight, &pass(1100, &blur)), Some(wait));
        assert_eq!(puts_aside(&mut sight, &pass(2000, &blur)), Some(700), "the last answer still counts");
        assert_eq!(puts_aside(&mut sight, &pass(2700, &blur)), None, "no later answer came in time");
        assert_eq!(puts_aside(&mut sight, &pass(2701, &blur)), None, "and none is waited for any more");
    }

    #[rstest]
    #[case::without_a_pod(gone(1))]
    #[case::with_another_pod(replaced(1))]
    #[case::without_a_leader(leaderless(1))]
    fn a_member_that_is_known_to_be_down_is_told_at_once(#[case] blur: impl Fn(&mut Published)) {
        assert_eq!(puts_aside(&mut looked_at(), &pass(1001, blur)), None);
    }

    #[test]
    fn a_better_pass_is_told_at_once() {
        let mut sight = looked_at();
        assert!(puts_aside(&mut sight, &pass(1100, silent(&[0, 1]))).is_some());
        assert_eq!(puts_aside(&mut sight, &pass(1200, |_| {})), None);
    }

    #[test]
    fn at_rest_a_first_silence_is_looked_at_twice() {
        let mut sight = looked_at();
        let after_ten_seconds = pass(11_000, silent(&[2]));
        assert_eq!(puts_aside(&mut sight, &after_ten_seconds), Some(SECOND_LOOK.as_millis()));
        assert_eq!(puts_aside(&mut sight, &pass(11_300, silent(&[2]))), None);
    }

    #[test]
    fn members_that_are_silent_by_turns_do_not_keep_it_from_being_told() {
        let mut sight = looked_at();
        let told = (0..40).map(|step: u64| {
            let turn: &'static [u8] = if step.is_multiple_of(2) { &[0] } else { &[1] };
            puts_aside(&mut sight, &pass(1100 + step * 100, silent(turn))).is_none()
        });
        assert!(told.collect::<Vec<_>>().contains(&true));
    }

    #[test]
    fn an_operator_that_begins_waits_for_the_first_answers_of_members_that_run() {
        let mut sight = Sight::default();
        assert!(puts_aside(&mut sight, &pass(5, silent(&[0, 1, 2]))).is_some());
        assert_eq!(puts_aside(&mut sight, &pass(40, |_| {})), None);
        assert_eq!(puts_aside(&mut Sight::default(), &pass(5, gone(1))), None);
    }

    #[rstest]
    #[case::all_is_known(|_: &mut Published| {}, 3)]
    #[case::by_their_own_words(listless(), 3)]
    #[case::two_of_three_by_their_own_words(|pass: &mut Published| { listless()(pass); silent(&[1])(pass) }, 2)]
    #[case::no_majority(|pass: &mut Published| { listless()(pass); silent(&[1, 2])(pass) }, 0)]
    #[case::nobody_leads(|pass: &mut Published| { listless()(pass); (0..3).for_each(|slot| leaderless(slot)(pass)) }, 0)]
    fn ready_are_those_who_serve_also_while_nobody_lists_the_members(
        #[case] blur: impl Fn(&mut Published),
        #[case] count: usize,
    ) {
        let published = pass(1000, blur);
        assert_eq!(ready(&published, &summary(&published)), count);
    }
}
