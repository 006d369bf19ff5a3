//! What the benches have in common: figures and their bars, repetitions in turns, writers, the wait until etcd itself says that a step
//! is over, and the report. There are two: `etcdop-bench` for processes on this machine, `etcdop-bench-kubernetes` for the operator.

pub mod failure;
pub mod figure;
pub mod load;
pub mod process;
pub mod report;
pub mod run;
pub mod wait;
pub mod writers;
