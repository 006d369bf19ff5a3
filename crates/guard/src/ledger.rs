//! The note that a permit was used, kept outside the data volume: a wiped disk must not bring its permit back to life.

use crate::{
    decide::Ledger,
    fields::{ParseError, fields},
    identity::{Generation, InstanceId},
    permit::Permit,
};

const KEYS: [&str; 2] = ["instance", "generation"];

/// The last permit that was used in this slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Who used it.
    pub instance: InstanceId,
    /// For which disk.
    pub generation: Generation,
}

impl LedgerEntry {
    /// The entry that marks `permit` as used.
    pub fn of(permit: &Permit) -> Self {
        Self { instance: permit.instance.clone(), generation: permit.generation }
    }

    /// Reads a ledger file.
    ///
    /// # Errors
    /// Anything that [`LedgerEntry::render`] would not write.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let [instance, generation] = fields(text, KEYS)?;
        Ok(Self { instance: instance.value()?, generation: generation.value()? })
    }

    /// The content of the ledger file.
    pub fn render(&self) -> String {
        format!("instance={}\ngeneration={}\n", self.instance, self.generation)
    }

    /// What this entry says about `permit`.
    pub fn about(&self, permit: &Permit) -> Ledger {
        if *self == Self::of(permit) { Ledger::Used } else { Ledger::Unused }
    }
}
