//! The linearizable member list. The leader is asked first, because it confirms with one round trip; when it takes long the others
//! are asked as well, one after the other, and the first answer counts: any of them is as good, a quorum stands behind it.

use etcdop_core::{
    id::{ClusterId, MemberId},
    observation::{Blocker, Roster, RosterMember},
};
use etcdop_etcd::{Answer, Client, Consistency, Member};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{contact::Routes, observe::status::role, tuning::Tuning};

/// Asks for the member list. A list of another cluster than ours is returned only when nobody has ours: the planner says what
/// that means.
pub(crate) async fn ask(routes: Routes, tuning: &Tuning) -> Result<Roster, Blocker> {
    let late = || Err(Blocker(format!("no member could confirm it within {:?}", tuning.roster)));
    timeout(tuning.roster, hedged(routes, tuning)).await.unwrap_or_else(|_| late())
}

async fn hedged(routes: Routes, tuning: &Tuning) -> Result<Roster, Blocker> {
    let mut next = routes.in_turn.into_iter().map(|route| route.client.deadline(tuning.roster));
    let mut asked = FuturesUnordered::new();
    let mut failure = None;
    let mut stranger = None;
    asked.extend(next.next().map(ask_one));
    while !asked.is_empty() {
        let hedge = Instant::now() + tuning.hedge;
        let answer = tokio::select! {
            Some(answer) = asked.next() => Some(answer),
            () = sleep_until(hedge), if next.len() > 0 => None,
        };
        match answer {
            Some(Ok(roster)) if routes.cluster.is_none_or(|cluster| cluster == roster.cluster) => return Ok(roster),
            Some(Ok(roster)) => stranger = Some(roster),
            // The first one asked is the leader: its words tell most.
            Some(Err(why)) => failure = failure.or(Some(why)),
            None => {}
        }
        asked.extend(next.next().map(ask_one));
    }
    let nobody = || Blocker("no member runs".to_owned());
    stranger.ok_or_else(|| failure.unwrap_or_else(nobody))
}

async fn ask_one(client: Client) -> Result<Roster, Blocker> {
    // Without a leader there is nothing to wait for: the next pass asks again.
    let answer = client.require_leader().member_list(Consistency::Linearizable).await;
    answer.map(convert).map_err(|error| Blocker(error.to_string()))
}

fn convert(answer: Answer<Vec<Member>>) -> Roster {
    let mut members: Vec<RosterMember> = answer
        .value
        .into_iter()
        .map(|member| RosterMember {
            id: MemberId(member.id.0),
            name: member.name,
            peer_urls: member.peer_urls,
            role: role(member.role),
        })
        .collect();
    members.sort();
    Roster { cluster: ClusterId(answer.header.cluster_id.0), members }
}
