//! The failure situations of reliability.md, Appendix A, that concern membership, each met on purpose. What plain etcd did there is in
//! that table; here is what the engine and the guard do. LAB 10, 12 and 19 are in [`disk`](crate::disk) and [`crash`](crate::crash).

mod amnesia;
mod learner;
mod reconfiguration;
mod space;
