//! The local platform: etcd members as processes on this machine's loopback, one directory per cluster, no root.
//!
//! [`Cluster`](open::Cluster) is the way in. Its manager holds the directory's lock, keeps the members running and is the
//! [`Platform`](etcdop_engine::platform::Platform) that the engine works on; readers and faults need no manager. Members
//! outlive the manager, however it ends, and the next one adopts them.

mod aside;
mod backoff;
pub mod binaries;
mod command;
pub mod directory;
mod discarded;
pub mod down;
pub mod faults;
pub mod home;
mod inotify;
mod instance;
mod keeper;
pub mod lock;
mod log_words;
pub mod logs;
mod look;
pub mod manifest;
pub mod member_name;
mod members;
pub mod open;
pub mod platform;
mod port_book;
pub mod ports;
pub mod process;
mod readable;
pub mod reader;
mod record_file;
mod seats;
pub mod state_file;
pub mod supervisor;
mod token;
pub mod volume;
pub mod watch;
