//! The client against real etcd of every supported minor version. `make etcd` brings the binaries; without them every test here
//! fails and says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this is test code, also what stands outside of test functions"
)]

mod support;

mod auth;
mod basics;
mod connection;
mod downgrade;
mod errors;
mod every_call;
mod http;
mod keep_alive;
mod lease;
mod membership;
mod snapshot;
mod tls;
mod watch;
