//! When a step is over: etcd itself says so. Every member is asked at its Pod's own address, in the same way for the floor and for ours.
//! Whoever was not as wanted is asked first the next time, so that waiting costs a call or two at a time.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use etcdop_etcd::{Client, Consistency, Endpoint, Http, MemberId, Options, Role};
use tokio::time::sleep;

use crate::{
    failure::Failure,
    ground::PATIENCE,
    pods::{Place, Pods},
};

/// Between two looks; small against every figure.
const PACE: Duration = Duration::from_millis(10);
/// For one answer: a member that hangs is asked again.
const LOOK: Duration = Duration::from_millis(250);

/// What a cluster is to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Voters, one in each Pod of the first slots, and no other member.
    pub(crate) size: usize,
    /// Pods that must have been followed by others.
    pub(crate) former: BTreeMap<usize, String>,
    /// Members that must have been followed by others.
    pub(crate) replaced: BTreeMap<usize, MemberId>,
    /// What every member runs.
    pub(crate) version: Option<&'static str>,
    /// What every member's container asks for.
    pub(crate) memory: Option<&'static str>,
    /// Each Pod is a cluster of its own.
    pub(crate) alone: bool,
}

impl Wanted {
    pub(crate) fn voters(size: usize) -> Self {
        Self { size, ..Self::default() }
    }

    /// Whether the Pods alone are as wanted.
    fn fits(&self, places: &[Place]) -> bool {
        let stands = |slot: usize| {
            places.iter().find(|place| place.slot == slot).is_some_and(|place| {
                place.address.is_some()
                    && !place.ends
                    && self.former.get(&slot) != Some(&place.uid)
                    && self.memory.is_none_or(|memory| place.memory.as_deref() == Some(memory))
            })
        };
        (0..self.size).all(stands)
    }
}

/// Until the cluster is as wanted.
pub(crate) async fn done(pods: &Pods, cluster: &str, wanted: &Wanted) -> Result<(), Failure> {
    let mut pods = pods.clone();
    let mut contacts: HashMap<String, Contact> = HashMap::new();
    let mut first = 0;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let places = pods.of(cluster);
        if !wanted.fits(&places) {
            pods.changed(PACE).await;
            continue;
        }
        let mut missing = None;
        for turn in 0..wanted.size {
            let slot = (first + turn) % wanted.size;
            let place = places.iter().find(|place| place.slot == slot);
            let asked = place.and_then(|place| Some((place, contact(&mut contacts, place)?)));
            let fits = match asked {
                Some((place, contact)) => contact.is_as_wanted(place, wanted).await,
                None => false,
            };
            if !fits {
                missing = Some(slot);
                break;
            }
        }
        match missing {
            None => return Ok(()),
            Some(slot) => first = slot,
        }
        sleep(PACE).await;
    }
    let trouble = pods.trouble(cluster).map(|why| format!(" ({why})")).unwrap_or_default();
    Err(Failure::NotInTime { what: format!("{cluster} as wanted with {}{trouble}", wanted.size), after: PATIENCE })
}

/// The slot of the member that leads.
pub(crate) async fn leader(pods: &Pods, cluster: &str) -> Result<usize, Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for place in pods.of(cluster) {
            let Some(client) = place.client() else { continue };
            if let Ok(status) = client.status().await
                && status.value.leader == Some(status.header.member_id)
            {
                return Ok(place.slot);
            }
        }
        sleep(PACE).await;
    }
    Err(Failure::NotInTime { what: format!("a leader of {cluster}"), after: PATIENCE })
}

impl Place {
    fn endpoint(&self) -> Option<Endpoint> {
        format!("http://{}:2379", self.address.as_ref()?).parse().ok()
    }

    pub(crate) fn client(&self) -> Option<Client> {
        Some(Client::new(self.endpoint()?, &options()))
    }
}

fn options() -> Options {
    Options { connect_timeout: LOOK, call_timeout: LOOK, ..Options::default() }
}

/// One member's ports.
struct Contact {
    client: Client,
    page: Http,
}

fn contact<'a>(contacts: &'a mut HashMap<String, Contact>, place: &Place) -> Option<&'a Contact> {
    if !contacts.contains_key(&place.uid) {
        let contact = Contact { client: place.client()?, page: Http::new(place.endpoint()?, &options()) };
        contacts.insert(place.uid.clone(), contact);
    }
    contacts.get(&place.uid)
}

impl Contact {
    async fn is_as_wanted(&self, place: &Place, wanted: &Wanted) -> bool {
        let Ok(list) = self.client.member_list(Consistency::Linearizable).await else { return false };
        let size = if wanted.alone { 1 } else { wanted.size };
        let own = list.value.iter().find(|member| member.id == list.header.member_id);
        let listed = list.value.len() == size
            && list.value.iter().all(|member| member.role == Role::Voter)
            && own.is_some_and(|own| own.name == place.name && wanted.replaced.get(&place.slot) != Some(&own.id));
        if !listed || !self.page.health().await.is_ok_and(|health| health.passed) {
            return false;
        }
        match wanted.version {
            None => true,
            Some(version) => self.client.status().await.is_ok_and(|status| status.value.version == version),
        }
    }
}
