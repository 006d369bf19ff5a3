//! The binary `etcdop` as a user meets it: words, exit codes, and what real clusters do.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; this reaches their helpers")]

mod bad_input;
mod clock;
mod cluster;
mod commands;
mod etcd;
#[cfg(feature = "failpoints")]
mod failpoints;
mod home;
mod logs;
mod manager;
mod terminal;
mod up;
