//! Connections to members, kept from pass to pass: one client for each URL that the platform's slots are dialled at.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use etcdop_core::{
    id::{ClusterId, MemberId, Slot},
    observation::{Blocker, MemberStatus, Phase, Probe, Role},
};
use etcdop_etcd::{Client, Endpoint, Http, Options};

use crate::platform::{Ground, GroundSlot};

/// Clients by URL. They connect when they are used, and again by themselves.
#[derive(Debug)]
pub(crate) struct Contacts {
    options: Options,
    clients: HashMap<String, Client>,
    pages: HashMap<String, Http>,
}

impl Contacts {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, clients: HashMap::new(), pages: HashMap::new() }
    }

    /// The client of the gRPC port at `url`.
    pub(crate) fn client(&mut self, url: &str) -> Result<Client, Blocker> {
        if let Some(client) = self.clients.get(url) {
            return Ok(client.clone());
        }
        let client = Client::new(endpoint(url)?, &self.options);
        self.clients.insert(url.to_owned(), client.clone());
        Ok(client)
    }

    /// The client of the HTTP port at `url`.
    pub(crate) fn page(&mut self, url: &str) -> Result<Http, Blocker> {
        if let Some(page) = self.pages.get(url) {
            return Ok(page.clone());
        }
        let page = Http::new(endpoint(url)?, &self.options);
        self.pages.insert(url.to_owned(), page.clone());
        Ok(page)
    }

    /// Closes connections to places that are not there any more.
    pub(crate) fn forget_others(&mut self, ground: &Ground) {
        let dials = || ground.slots.values().map(|slot| &slot.dial);
        let urls: BTreeSet<&str> =
            dials().flat_map(|dial| [dial.client.as_str(), dial.peer.as_str(), dial.metrics.as_str()]).collect();
        self.clients.retain(|url, _| urls.contains(url.as_str()));
        self.pages.retain(|url, _| urls.contains(url.as_str()));
    }
}

fn endpoint(url: &str) -> Result<Endpoint, Blocker> {
    url.parse().map_err(|error: etcdop_etcd::EndpointError| Blocker(error.to_string()))
}

/// Whether a member may answer here: its process runs, or its platform cannot tell.
pub(crate) fn may_answer(slot: &GroundSlot) -> bool {
    match &slot.instance {
        Ok(instance) => instance.as_ref().is_some_and(|instance| instance.phase == Phase::Running),
        Err(_) => true,
    }
}

/// One place where a member may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Where.
    pub(crate) slot: Slot,
    /// Which of our members answered there last; nobody where a member of another cluster did.
    pub(crate) member: Option<MemberId>,
    /// Its role, by its own words.
    pub(crate) role: Option<Role>,
    /// Whom it believes to lead.
    pub(crate) follows: Option<MemberId>,
    /// Bytes of its database; 0 where nothing is known.
    pub(crate) database: u64,
    /// How to ask.
    pub(crate) client: Client,
}

/// Where to send a call, by what was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Whose members these are, once the record knows.
    pub(crate) cluster: Option<ClusterId>,
    /// Whom the newest term believes to lead.
    pub(crate) leader: Option<MemberId>,
    /// The leader first, then voters that answer, then others that answer, then the silent and strangers.
    pub(crate) in_turn: Vec<Route>,
}

impl Routes {
    pub(crate) fn new(
        cluster: Option<ClusterId>,
        ground: &Ground,
        statuses: &BTreeMap<Slot, Probe<MemberStatus>>,
        contacts: &mut Contacts,
    ) -> Self {
        // A stranger at one of our addresses leads, votes and promotes in a cluster of its own.
        let is_ours = |status: &&MemberStatus| cluster.is_none_or(|cluster| cluster == status.cluster);
        let leader = leader(statuses.values().filter_map(Probe::known).filter(is_ours));
        let places = ground.slots.iter().filter(|(_, place)| may_answer(place));
        let mut in_turn: Vec<Route> = places
            .filter_map(|(&slot, place)| {
                let status = statuses.get(&slot).and_then(Probe::known).filter(is_ours);
                let (member, role) = (status.map(|status| status.member), status.map(|status| status.role));
                let follows = status.and_then(|status| status.leader);
                let database = status.map_or(0, |status| status.db_size);
                Some(Route { slot, member, role, follows, database, client: contacts.client(&place.dial.client).ok()? })
            })
            .collect();
        in_turn.sort_by_key(|route| {
            let leads = route.member.is_some() && route.member == leader;
            Reverse((leads, route.role == Some(Role::Voter), route.member.is_some()))
        });
        Self { cluster, leader, in_turn }
    }

    /// The client of one member, if it answered.
    pub(crate) fn to(&self, member: MemberId) -> Option<Client> {
        let route = self.in_turn.iter().find(|route| route.member == Some(member))?;
        Some(self.held_to_its_cluster(&route.client))
    }

    /// Bytes of a member's database, as it said last.
    pub(crate) fn database(&self, member: MemberId) -> u64 {
        self.in_turn.iter().find(|route| route.member == Some(member)).map_or(0, |route| route.database)
    }

    /// The voters that answered, the leader first.
    pub(crate) fn voters(&self) -> impl Iterator<Item = Client> {
        let voters = self.in_turn.iter().filter(|route| route.role == Some(Role::Voter));
        voters.map(|route| self.held_to_its_cluster(&route.client))
    }

    /// The same client, that takes no other cluster's answer for ours.
    pub(crate) fn held_to_its_cluster(&self, client: &Client) -> Client {
        match self.cluster {
            Some(cluster) => client.expect_cluster(etcdop_etcd::ClusterId(cluster.0)),
            None => client.clone(),
        }
    }
}

/// Whom most members in the newest term believe to lead.
fn leader<'a>(statuses: impl Iterator<Item = &'a MemberStatus> + Clone) -> Option<MemberId> {
    let newest = statuses.clone().filter(|status| status.leader.is_some()).map(|status| status.term).max()?;
    let mut votes: BTreeMap<MemberId, usize> = BTreeMap::new();
    for leader in statuses.filter(|status| status.term == newest).filter_map(|status| status.leader) {
        *votes.entry(leader).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(leader, _)| leader)
}
