//! A hash for states: many small fields, no adversary. The default one takes most of the time of a search.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map keyed by states.
pub(crate) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// Multiplies and rotates.
#[derive(Debug, Default)]
pub(crate) struct QuickHasher(u64);

/// Odd, with its bits spread evenly.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl QuickHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.add(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte));
    }

    fn write_isize(&mut self, discriminant: isize) {
        self.add(discriminant.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, length: usize) {
        self.add(length as u64);
    }
}
