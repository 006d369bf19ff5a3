//! What an etcd cluster is, and what to do next.
//!
//! Values and pure functions only: no I/O, no clock, no randomness. [`plan::plan`] turns what the user declared and what one
//! pass saw into at most one step, with the reasons why other things do not happen. Everything with effects is in other crates.

pub mod desired;
pub mod fence;
pub mod id;
pub mod launch;
pub mod observation;
pub mod permit;
pub mod plan;
pub mod quorum;
pub mod reason;
pub mod record;
pub mod situation;
pub mod size;
pub mod step;
pub mod summary;
pub mod version;
