//! An exhaustive model: the real planner and the real guard among everything that can happen to a cluster.
//!
//! Every state that a small cluster can get into is visited: processes and managers that die at every point, disks that are lost,
//! members that fall silent, writes that reach as few members as they may, sizes that are edited at any time. At each step of the
//! planner the promises of reliability.md §4.1 are checked; from each state the cluster must come to its goal once the faults end.
//!
//! | file | decides |
//! |---|---|
//! | `state`, `canonical` | what is told apart |
//! | `scope` | what one run explores |
//! | `observe`, `planner`, `gate` | how the real code is asked |
//! | `environment`, `etcd_rules` | what happens by itself, and what etcd does and refuses |
//! | `action`, `violation` | what a step does, and what it must not do |
//! | `converge` | whether the goal is reached from everywhere |
//! | `landmark` | what a run must have gone through to mean anything |
//! | `mutants` | rules broken on purpose, each of which must be noticed |

mod action;
mod canonical;
mod converge;
mod environment;
mod etcd_rules;
mod explore;
mod gate;
mod landmark;
mod mutants;
mod names;
mod observe;
mod picture;
mod planner;
mod quick_hash;
mod scope;
mod state;
mod violation;

pub use environment::Event;
pub use explore::{Counterexample, Move, Promises, Report, explore};
pub use landmark::Landmark;
pub use mutants::Mutant;
pub use observe::Clock;
pub use picture::draw;
pub use planner::{Act, NextRecord, explain};
pub use scope::{Patience, Permits, Restarts, Scope, SilentOnes, Writers, formed, mixed, unborn};
pub use state::{Budget, Reach, Release, State};
pub use violation::Violation;
