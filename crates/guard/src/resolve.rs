//! Whether every peer of a permit has an address. One that has none stalls a joining etcd for 30 s (DESIGN §3, rule 3).
//!
//! The system's resolver is asked, as etcd will ask it: what counts is what etcd would get. Its own timeouts bound a
//! question; nothing is used up meanwhile, and a signal ends the process in the middle of it.

use std::net::{IpAddr, ToSocketAddrs};

use etcdop_guard::{Permit, WaitReason};

/// The first peer of `permit` without an address, if any.
pub(crate) fn unresolved(permit: &Permit) -> Option<WaitReason> {
    permit.initial_cluster.iter().find_map(|(_, url)| {
        let host = url.host();
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let why = match (host, url.port()).to_socket_addrs().map(|mut addresses| addresses.next()) {
            Ok(Some(_)) => return None,
            Ok(None) => "no address".to_owned(),
            Err(error) => error.to_string(),
        };
        Some(WaitReason::NameUnresolved { host: host.to_owned(), why })
    })
}
