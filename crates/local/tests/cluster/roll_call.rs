//! What etcd itself says about a cluster: its linearizable member list, each member's own status, and a hash of everything stored.

use std::collections::BTreeMap;

use etcdop_core::{
    id::{MemberId, Slot},
    observation::Address,
};
use etcdop_etcd::{Client, ClusterId, Consistency, Keys, Member, Range, Role};

use crate::stage::Stage;

/// A cluster in which everything is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RollCall {
    pub(crate) cluster: ClusterId,
    /// Who lives where.
    pub(crate) members: BTreeMap<Slot, MemberId>,
    pub(crate) leader: Slot,
    /// What each member runs.
    pub(crate) versions: BTreeMap<Slot, String>,
}

impl RollCall {
    /// A slot that does not lead.
    pub(crate) fn follower(&self) -> Slot {
        *self.members.keys().find(|slot| **slot != self.leader).unwrap()
    }

    /// Everybody's version, when all run the same.
    pub(crate) fn version(&self) -> &str {
        let version = &self.versions[&self.leader];
        assert!(self.versions.values().all(|other| other == version), "{:?}", self.versions);
        version
    }
}

impl Stage {
    /// `size` voters and nobody else, each under the name and at the address of its slot, each with an ID that it says itself, all
    /// behind one leader, and alike in every key.
    pub(crate) async fn roll_call(&self, size: u64) -> RollCall {
        let addresses: BTreeMap<Slot, Address> =
            self.published().observation.ground.iter().map(|(slot, view)| (*slot, view.address.clone())).collect();
        let clients: BTreeMap<Slot, Client> = addresses.keys().map(|slot| (*slot, self.client(*slot))).collect();
        let list = self.eventually("a member list", async || {
            for client in clients.values() {
                if let Ok(list) = client.member_list(Consistency::Linearizable).await {
                    return Some(list);
                }
            }
            None
        });
        let list = list.await;
        let cluster = list.header.cluster_id;
        let rows = list.value;
        assert_eq!(u64::try_from(rows.len()).unwrap(), size, "{rows:#?}\n{}", self.account());
        let mut members = BTreeMap::new();
        for row in rows {
            let slot = place(&addresses, &row);
            members.insert(slot, MemberId(row.id.0));
        }
        assert_eq!(u64::try_from(members.len()).unwrap(), size, "two members in one slot: {members:?}");

        let (leader, versions) = self
            .eventually("one leader that all follow", async || {
                let mut leaders = Vec::new();
                let mut versions = BTreeMap::new();
                for (slot, id) in &members {
                    let status = clients[slot].status().await.ok()?;
                    assert_eq!((status.header.member_id.0, status.header.cluster_id), (id.0, cluster), "slot {slot}");
                    leaders.push(status.value.leader?);
                    versions.insert(*slot, status.value.version);
                }
                leaders.dedup();
                let [leader] = leaders[..] else { return None };
                let leader = members.iter().find(|(_, id)| id.0 == leader.0)?;
                Some((*leader.0, versions))
            })
            .await;
        self.alike(&members, &clients).await;
        RollCall { cluster, members, leader, versions }
    }

    /// Until the member list, asked of whoever answers, is as wanted.
    pub(crate) async fn until_listed(&self, wanted: impl Fn(&[MemberId]) -> bool) {
        self.eventually("the member list changes", async || {
            let slots: Vec<Slot> = self.published().observation.ground.keys().copied().collect();
            for slot in slots {
                if let Ok(list) = self.client(slot).member_list(Consistency::Linearizable).await {
                    let ids: Vec<MemberId> = list.value.iter().map(|row| MemberId(row.id.0)).collect();
                    return wanted(&ids).then_some(());
                }
            }
            None
        })
        .await;
    }

    async fn alike(&self, members: &BTreeMap<Slot, MemberId>, clients: &BTreeMap<Slot, Client>) {
        self.eventually("equal hashes at one revision", async || {
            let first = clients[members.keys().next()?].range(Range::new(Keys::one("/"))).await.ok()?;
            let mut hashes = BTreeMap::new();
            for slot in members.keys() {
                let hash = clients[slot].hash_kv(Some(first.header.revision)).await.ok()?.value;
                hashes.insert(*slot, (hash.hash, hash.compact_revision));
            }
            let all: Vec<_> = hashes.values().collect();
            // A compaction reaches the members one after the other.
            let comparable = all.windows(2).all(|pair| pair[0].1 == pair[1].1);
            comparable.then(|| assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}"))
        })
        .await;
    }
}

/// The slot that a row of the list is about; it says of it what its slot says.
fn place(addresses: &BTreeMap<Slot, Address>, row: &Member) -> Slot {
    let at = addresses.iter().find(|(_, address)| row.peer_urls == [address.peer.as_str()]);
    let Some((slot, address)) = at else { panic!("nobody lives at {:?}", row.peer_urls) };
    assert_eq!(row.role, Role::Voter, "{row:?}");
    assert_eq!(row.name, address.name, "{row:?}");
    assert_eq!(row.client_urls, [address.client.as_str()], "{row:?}");
    *slot
}
