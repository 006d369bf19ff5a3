//! Which ports the slots of a cluster have; chosen once, in one file.
//!
//! They lie outside the range from which the kernel takes ports for outgoing connections, since one of those could sit on
//! a member's port just when the member restarts; and no other cluster of the same home has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    ops::RangeInclusive,
};

use etcdop_core::id::Slot;
use rustix::fs::{FlockOperation, flock};

use crate::{
    directory::ClusterDir,
    home::Home,
    ports::{PortError, Ports, bind},
    state_file::{self, StateError},
    token,
};

/// Below are services that are installed, not chosen.
const LOWEST: u16 = 10_000;
/// What Linux takes for outgoing connections when it does not say otherwise.
const USUAL_EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// The ports of every slot that has any.
pub(crate) fn read(dir: &ClusterDir) -> Result<BTreeMap<Slot, Ports>, StateError> {
    Ok(state_file::read(&dir.ports())?.unwrap_or_default())
}

/// The ports of these slots and all others; chosen now for those that have none.
pub(crate) fn assign(
    home: &Home,
    dir: &ClusterDir,
    slots: impl Iterator<Item = Slot>,
) -> Result<BTreeMap<Slot, Ports>, PortError> {
    let mut book = read(dir)?;
    let new: Vec<Slot> = slots.filter(|slot| !book.contains_key(slot)).collect();
    if new.is_empty() {
        return Ok(book);
    }
    let home_error = |source| PortError::Home { path: home.root().to_owned(), source };
    // Two managers that choose at the same time would find the same ports free.
    let lock = File::create(home.root().join(".ports.lock")).map_err(home_error)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| home_error(error.into()))?;
    let used = all_used(home)?;
    let ephemeral = ephemeral();
    let start = token::number().map_err(home_error)?;
    let mut free = candidates(&ephemeral, start).filter(|port| !used.contains(port) && bind(*port).is_ok());
    let mut next = || free.next().ok_or_else(|| PortError::NoneLeft { ephemeral: ephemeral.clone() });
    for slot in new {
        book.insert(slot, Ports { client: next()?, peer: next()?, metrics: next()? });
    }
    state_file::write_durably(&dir.ports(), &book)?;
    Ok(book)
}

fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => first..=last,
        _ => USUAL_EPHEMERAL,
    }
}

/// Every port that may be chosen, once each, from a random one on. Clusters of other homes and users, which nobody can list,
/// begin elsewhere, so that two do not choose alike while neither listens yet.
fn candidates(ephemeral: &RangeInclusive<u16>, start: usize) -> impl Iterator<Item = u16> {
    let all: Vec<u16> = (LOWEST..=u16::MAX).filter(|port| !ephemeral.contains(port)).collect();
    let (turn, start) = (all.len(), start % all.len().max(1));
    all.into_iter().cycle().skip(start).take(turn)
}

/// The ports of every cluster of the home, whether it runs or not. A file that cannot be read costs the knowledge of its
/// ports, which the check by listening makes up for while their members run.
fn all_used(home: &Home) -> Result<BTreeSet<u16>, PortError> {
    let books = home.clusters()?.into_iter().filter_map(|name| read(&home.cluster(&name)).ok());
    Ok(books.flat_map(BTreeMap::into_values).flat_map(Ports::all).collect())
}

#[cfg(test)]
mod tests {
    use etcdop_core::size::Size;

    use super::*;
    use crate::open::Cluster;

    #[test]
    fn every_candidate_comes_once_and_none_is_ephemeral() {
        let found: Vec<u16> = candidates(&(20_000..=60_000), 123_456_789).collect();
        let distinct: BTreeSet<u16> = found.iter().copied().collect();
        assert_eq!(found.len(), distinct.len());
        assert_eq!(distinct.len(), 10_000 + 5_535);
        assert!(distinct.iter().all(|port| *port >= LOWEST && !(20_000..=60_000).contains(port)));
        assert_eq!(candidates(&(0..=u16::MAX), 7).next(), None);
    }

    #[test]
    fn slots_keep_their_ports_and_no_two_of_a_home_share_one() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path()).unwrap();
        let mut all = Vec::new();
        for name in ["a", "b"] {
            let wish = "3.6".parse().unwrap();
            let cluster = Cluster::create(&home, &name.parse().unwrap(), Size::ZERO, &wish).unwrap();
            let first = assign(&home, cluster.directory(), [Slot(0), Slot(4)].into_iter()).unwrap();
            let later = assign(&home, cluster.directory(), [Slot(4), Slot(200)].into_iter()).unwrap();
            assert_eq!((first[&Slot(0)], first[&Slot(4)]), (later[&Slot(0)], later[&Slot(4)]));
            assert_eq!(read(cluster.directory()).unwrap(), later);
            all.extend(later.into_values().flat_map(Ports::all));
        }
        let distinct: BTreeSet<u16> = all.iter().copied().collect();
        assert_eq!((all.len(), distinct.len()), (18, 18));
    }
}
