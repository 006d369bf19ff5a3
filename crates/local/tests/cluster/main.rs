//! The whole engine on real etcd processes: the driver in this process, the local platform, members in a temporary home.
//!
//! What a test believes is etcd's own word: its member list, its hashes, the keys that a witness wrote. What the engine says of itself
//! is only waited for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

mod cancellation;
mod crash;
mod create;
mod disk;
mod edits;
mod freeze;
mod hibernation;
mod labs;
mod process;
mod roll;
mod roll_call;
mod scale;
mod stage;
