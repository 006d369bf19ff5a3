//! Changes of who is a member and who votes. What etcd says to a change that was made already is "done" (rule 8).

use std::{future::Future, time::Duration};

use etcdop_core::id::{MemberId, PeerUrl};
use etcdop_etcd::{Client, Error, Role};

use super::Attempt;
use crate::contact::Routes;

/// Adds a learner that will be reached at `url`.
pub(super) async fn add_learner(routes: &Routes, url: &PeerUrl, deadline: Duration) -> Attempt {
    let added = ask(routes, deadline, async |voter| voter.member_add_learner(&[url.as_str()]).await).await;
    match added {
        Ok(answer) => {
            let member = &answer.value.member;
            if member.role == Role::Learner && member.peer_urls == [url.as_str()] {
                Attempt::done()
            } else {
                Attempt::unknown(&format!("asked for a learner at {url}, etcd answered with {member:?}"))
            }
        }
        // etcd makes the ID of the URL and the second: twice within one second is the same ID.
        Err(Error::PeerUrlExists | Error::MemberExists) => Attempt::done(),
        Err(error) => error.into(),
    }
}

/// Makes a learner a voter.
pub(super) async fn promote(routes: &Routes, member: MemberId, deadline: Duration) -> Attempt {
    let member = etcdop_etcd::MemberId(member.0);
    match ask(routes, deadline, async |voter| voter.member_promote(member).await).await {
        Ok(_) | Err(Error::NotALearner) => Attempt::done(),
        Err(error) => error.into(),
    }
}

/// Takes a member out of the list.
pub(super) async fn remove(routes: &Routes, member: MemberId, deadline: Duration) -> Attempt {
    let member = etcdop_etcd::MemberId(member.0);
    match ask(routes, deadline, async |voter| voter.member_remove(member).await).await {
        Ok(_) | Err(Error::MemberNotFound) => Attempt::done(),
        Err(error) => error.into(),
    }
}

/// Asks the leader, and another voter only when it is certain that nobody has seen the question yet.
async fn ask<T, F>(routes: &Routes, deadline: Duration, question: impl Fn(Client) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut failure = None;
    for voter in routes.voters() {
        match question(voter.deadline(deadline)).await {
            Err(error @ (Error::Unreachable { .. } | Error::NotSupportedForLearner)) => failure = Some(error),
            answer => return answer,
        }
    }
    let nobody = || Error::Unreachable { endpoint: "any voter".to_owned(), reason: "none answered lately".to_owned() };
    Err(failure.unwrap_or_else(nobody))
}
