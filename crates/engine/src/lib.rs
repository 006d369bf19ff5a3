//! The loop that keeps a cluster: observe, plan, take one step behind its fence, report. Written once, for every platform.

mod clock;
pub mod complaint;
mod contact;
#[cfg(test)]
mod double;
pub mod driver;
mod execute;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
mod fence;
pub mod gate;
mod observe;
pub mod outcome;
pub mod platform;
pub mod publish;
pub mod safeguards;
pub mod tuning;
