//! The loop that keeps a cluster: observe, plan, take one step behind its fence, report. Written once, for every platform.

pub mod outcome;
pub mod platform;
