//! Holds a cluster to its word while somebody changes it.
//!
//! Writers with keys of their own write all the time and note of every write whether it was acknowledged, definitely failed or stayed
//! unknown; a watcher follows. At the end everything is read back from every member, and [`Bill`] says what was promised and not
//! kept. Nothing here asks the engine or the operator how they think it went: etcd's own answers decide.
//!
//! ```text
//! writers ─┐
//! watcher ─┼─► History (values) ─► check (pure) ─► Bill
//! reading ─┘
//! ```

mod bill;
mod check;
mod history;
mod key;
mod reading;
mod watching;
mod witness;
mod writing;

pub use self::{
    bill::{Bill, MemberLine, PhaseLine},
    check::{Breach, Lost},
    history::{Consistency, Outcome, Write},
    key::{Key, WriterId},
    witness::{Options, StartError, Tally, Witness},
};
