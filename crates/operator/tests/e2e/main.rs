//! The operator against a real control plane: `$KUBECONFIG`, as `make testground-up` or kind leave it. Each test has a namespace of its
//! own that enforces the `restricted` Pod Security level, and an operator of its own that sees only this namespace, run from outside of
//! the cluster. What became of a cluster is asked of etcd itself; witnesses write all the time, and no acknowledged write may be lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

mod admission;
mod alone;
mod binding;
mod commands;
mod copies;
mod create;
mod deployed;
mod disk;
mod election;
mod facts;
#[cfg(feature = "failpoints")]
mod failpoints;
mod ground;
mod guide;
mod hibernate;
mod lacking;
mod lived;
mod metrics;
mod network;
mod objects;
mod operator;
mod paused;
mod pod;
mod process;
mod quorum;
mod requests;
mod roll;
mod scale;
mod stage;
