//! Random texts and numbers that tell things of one kind apart.

use std::{
    fs::File,
    io::{self, Read},
};

/// 64 random bits in hexadecimal.
pub(crate) fn random() -> io::Result<String> {
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes()?)))
}

/// Any number.
pub(crate) fn number() -> io::Result<usize> {
    Ok(usize::from_ne_bytes(bytes()?))
}

fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
