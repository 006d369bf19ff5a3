//! The binary that is copied into containers and onto hosts: it must run where no library is, and be small.
//!
//! It is built by the Makefile, which passes its path in `ETCDOP_STATIC_GUARD`; under CI it has to be there.

use std::{env, fs, path::PathBuf};

use crate::slot::Slot;

const MAX_BYTES: usize = 2_000_000;
/// The program header that names a dynamic loader (ELF, `p_type`).
const PT_INTERP: u32 = 3;

fn static_guard() -> Option<PathBuf> {
    let path = env::var_os("ETCDOP_STATIC_GUARD").map(PathBuf::from);
    let ci = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(path.is_some() || !ci, "ETCDOP_STATIC_GUARD is not set: run `make guard` and pass its path");
    if path.is_none() {
        eprintln!("not checked: ETCDOP_STATIC_GUARD is not set");
    }
    path
}

/// A little-endian number of `N` bytes at `at`.
fn number<const N: usize>(elf: &[u8], at: usize) -> usize {
    elf[at..at + N].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[test]
fn it_asks_for_no_loader_and_is_small() {
    let Some(path) = static_guard() else { return };
    let elf = fs::read(path).unwrap();
    assert!(elf.len() < MAX_BYTES, "{} bytes", elf.len());
    assert_eq!(elf[..6], *b"\x7fELF\x02\x01", "not a 64-bit little-endian program");
    let (table, size, count) = (number::<8>(&elf, 32), number::<2>(&elf, 54), number::<2>(&elf, 56));
    assert!(count > 0);
    for header in (0..count).map(|index| table + index * size) {
        assert_ne!(number::<4>(&elf, header), PT_INTERP as usize, "it asks for a dynamic loader");
    }
}

#[test]
fn it_resolves_names_and_starts_etcd() {
    let Some(guard) = static_guard() else { return };
    let mut slot = Slot::fresh();
    slot.guard = guard;
    slot.give_permit("me");
    let end = slot.run("me");
    assert!(end.exit.success(), "{end:?}");
    assert!(slot.has_log());
}
