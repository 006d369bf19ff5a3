//! Who belongs to the cluster, and changing that.
//!
//! The list exists in two kinds and the difference is a split brain: a member that is cut off still answers the serializable one, from
//! memory. There is no default here; the caller says which.

use crate::{
    answer::Answer,
    client::Client,
    error::Error,
    generated::etcdserverpb::{
        self as pb, MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
        MemberUpdateRequest, cluster_client::ClusterClient,
    },
    id::MemberId,
};

/// Which truth a read asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Confirmed by a quorum; does not answer without one.
    Linearizable,
    /// What this member knows, however old.
    Serializable,
}

/// Whether a member votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Counts for the quorum.
    Voter,
    /// Receives the log and counts for nothing.
    Learner,
}

/// A member as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identity.
    pub id: MemberId,
    /// Empty until the member has started and published itself; stays when it dies.
    pub name: String,
    /// Where the others reach it.
    pub peer_urls: Vec<String>,
    /// Where it says that clients reach it; empty like the name.
    pub client_urls: Vec<String>,
    /// Whether it votes.
    pub role: Role,
}

/// A member that was added, and the list that this made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The new member, with the ID that etcd gave it.
    pub member: Member,
    /// All members, the new one too.
    pub members: Vec<Member>,
}

impl Client {
    /// Who belongs to the cluster.
    pub async fn member_list(&self, consistency: Consistency) -> Result<Answer<Vec<Member>>, Error> {
        let question = MemberListRequest { linearizable: consistency == Consistency::Linearizable };
        let got = self
            .call(question, |channel, request| async move { ClusterClient::new(channel).member_list(request).await })
            .await?;
        self.answer(got.header, members(got.members))
    }

    /// Adds a member without a vote.
    pub async fn member_add_learner(&self, peer_urls: &[impl ToString]) -> Result<Answer<Added>, Error> {
        self.member_add(peer_urls, Role::Learner).await
    }

    /// Adds a member that votes at once: from then on the quorum counts it, running or not. For tests; see [`Self::member_promote`].
    pub async fn member_add_voter(&self, peer_urls: &[impl ToString]) -> Result<Answer<Added>, Error> {
        self.member_add(peer_urls, Role::Voter).await
    }

    async fn member_add(&self, peer_urls: &[impl ToString], role: Role) -> Result<Answer<Added>, Error> {
        let question = MemberAddRequest { peer_ur_ls: texts(peer_urls), is_learner: role == Role::Learner };
        let got = self
            .call(question, |channel, request| async move { ClusterClient::new(channel).member_add(request).await })
            .await?;
        let member = got.member.ok_or_else(|| Error::InvalidAnswer { reason: "it lacks the new member".to_owned() })?;
        self.answer(got.header, Added { member: member.into(), members: members(got.members) })
    }

    /// Gives a learner its vote. etcd asks only whether its log is near the leader's, not whether it is alive.
    pub async fn member_promote(&self, member: MemberId) -> Result<Answer<Vec<Member>>, Error> {
        let question = MemberPromoteRequest { id: member.0 };
        let got = self
            .call(question, |channel, request| async move { ClusterClient::new(channel).member_promote(request).await })
            .await?;
        self.answer(got.header, members(got.members))
    }

    /// Changes where the others reach a member. Not for learners: up to 3.5.30 and 3.6.11 it makes them look like voters.
    pub async fn member_update(
        &self,
        member: MemberId,
        peer_urls: &[impl ToString],
    ) -> Result<Answer<Vec<Member>>, Error> {
        let question = MemberUpdateRequest { id: member.0, peer_ur_ls: texts(peer_urls) };
        let got = self
            .call(question, |channel, request| async move { ClusterClient::new(channel).member_update(request).await })
            .await?;
        self.answer(got.header, members(got.members))
    }

    /// Removes a member for ever: its ID never comes back.
    pub async fn member_remove(&self, member: MemberId) -> Result<Answer<Vec<Member>>, Error> {
        let question = MemberRemoveRequest { id: member.0 };
        let got = self
            .call(question, |channel, request| async move { ClusterClient::new(channel).member_remove(request).await })
            .await?;
        self.answer(got.header, members(got.members))
    }
}

fn texts(urls: &[impl ToString]) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

fn members(members: Vec<pb::Member>) -> Vec<Member> {
    members.into_iter().map(Member::from).collect()
}

impl From<pb::Member> for Member {
    fn from(member: pb::Member) -> Self {
        Self {
            id: MemberId(member.id),
            name: member.name,
            peer_urls: member.peer_ur_ls,
            client_urls: member.client_ur_ls,
            role: if member.is_learner { Role::Learner } else { Role::Voter },
        }
    }
}
