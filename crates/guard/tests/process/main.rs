//! The guard as a process, with a script in etcd's place: what it starts, when it waits, what it refuses, and what it
//! leaves on the disk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

mod command_line;
mod first_start;
mod hand_over;
mod refusal;
mod rehearsal;
mod report;
mod restart;
mod slot;
mod static_binary;
mod waiting;
