//! Calls that change no membership: leadership, space, alarms, downgrade.

use std::time::Duration;

use etcdop_core::{
    id::MemberId,
    observation::{Alarm, AlarmKind},
    step::DowngradeOp,
};
use etcdop_etcd::{Client, Compaction, Content, DowngradeAction, Error, Keys, Range};
use futures::{StreamExt, TryStreamExt, future, stream};

use super::Attempt;
use crate::{contact::Routes, tuning::Tuning};

/// Hands leadership over.
pub(super) async fn move_leader(routes: &Routes, to: MemberId, deadline: Duration) -> Attempt {
    if routes.leader == Some(to) {
        return Attempt::done();
    }
    match leader(routes, deadline) {
        Ok(leader) => leader.move_leader(etcdop_etcd::MemberId(to.0)).await.into(),
        Err(nobody) => nobody,
    }
}

/// Drops history up to the newest revision that `at` knows.
pub(super) async fn compact(routes: &Routes, at: MemberId, tuning: &Tuning) -> Attempt {
    let Some(client) = routes.to(at) else { return Attempt::not_applied(&format!("member {at} does not answer")) };
    // Linearizable: so that the revision is one that a quorum has.
    let newest = Range { content: Content::Count, ..Range::new(Keys::one("\0")) };
    let revision = match client.deadline(tuning.call).range(newest).await {
        Ok(answer) => answer.header.revision,
        Err(error) => return Attempt::not_applied(&error),
    };
    // Physical, because a defragmentation is to follow: it answers when the space is free, so it has a defragmentation's patience.
    let within = tuning.for_bytes(routes.database(at));
    match client.deadline(within).compact(revision, Compaction::Physical).await {
        Ok(_) => Attempt::done(),
        // Not done: whoever asks again at once would ask for ever.
        Err(Error::Compacted { .. }) => Attempt::not_applied("there is no history left to drop"),
        Err(error) => error.into(),
    }
}

/// Gives free pages of a member back to the file system.
pub(super) async fn defragment(routes: &Routes, member: MemberId, tuning: &Tuning) -> Attempt {
    match routes.to(member) {
        Some(client) => client.defragment(tuning.for_bytes(routes.database(member))).await.into(),
        None => Attempt::not_applied(&format!("member {member} does not answer")),
    }
}

/// How many empty entries are on their way at once: enough for the log to write them in batches, few beside what users write.
const PADDING_IN_FLIGHT: usize = 256;

/// Makes the log longer by entries that change nothing: asking for the alarms is one (it goes through the log).
pub(super) async fn pad_log(routes: &Routes, at: MemberId, entries: u64, deadline: Duration) -> Attempt {
    let Some(client) = routes.to(at) else { return Attempt::not_applied(&format!("member {at} does not answer")) };
    let client = client.deadline(deadline);
    let asked = stream::iter(0..entries).map(|_| client.alarms()).buffer_unordered(PADDING_IN_FLIGHT);
    // The first failure ends it; what was written stays, and the next pass asks for the rest.
    asked.try_for_each(|_| future::ready(Ok(()))).await.into()
}

/// Clears an alarm.
pub(super) async fn disarm(routes: &Routes, alarm: Alarm, deadline: Duration) -> Attempt {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => etcdop_etcd::AlarmKind::NoSpace,
        AlarmKind::Corrupt => etcdop_etcd::AlarmKind::Corrupt,
    };
    match leader(routes, deadline) {
        Ok(leader) => {
            leader.disarm(etcdop_etcd::Alarm { member: etcdop_etcd::MemberId(alarm.member.0), kind }).await.into()
        }
        Err(nobody) => nobody,
    }
}

/// Enters or leaves downgrade mode.
pub(super) async fn downgrade(routes: &Routes, op: DowngradeOp, deadline: Duration) -> Attempt {
    let leader = match leader(routes, deadline) {
        Ok(leader) => leader,
        Err(nobody) => return nobody,
    };
    match op {
        DowngradeOp::Enable(minor) => {
            let target = format!("{minor}.0");
            if let Err(error) = leader.downgrade(DowngradeAction::Validate, &target).await {
                return Attempt::not_applied(&error);
            }
            leader.downgrade(DowngradeAction::Enable, &target).await.into()
        }
        DowngradeOp::Cancel => match leader.downgrade(DowngradeAction::Cancel, "").await {
            Ok(_) | Err(Error::NoDowngradeInProgress) => Attempt::done(),
            Err(error) => error.into(),
        },
    }
}

fn leader(routes: &Routes, deadline: Duration) -> Result<Client, Attempt> {
    let leader = routes.leader.and_then(|leader| routes.to(leader));
    leader.map(|leader| leader.deadline(deadline)).ok_or_else(|| Attempt::not_applied("no leader answers"))
}
