//! Who is who at the gate: the cluster's incarnation, the member, the running instance, and the two counters of a disk.
//!
//! The texts go into `key=value` files and into a status line whose words are parted by spaces, so they hold none.

use std::{fmt, fs, io, str::FromStr};

/// Why a text cannot be an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadId {
    /// There is nothing in it.
    Empty,
    /// It holds a space or a control character, which would break the line it is written to.
    Blank,
    /// It is not sixteen lower-case hexadecimal digits.
    NotHex16,
    /// It is not a decimal number of 64 bits without sign or leading zeros.
    NotANumber,
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Blank => "it holds a space or a control character",
            Self::NotHex16 => "it is not 16 lower-case hexadecimal digits",
            Self::NotANumber => "it is not a plain decimal number of 64 bits",
        })
    }
}

impl std::error::Error for BadId {}

/// One life of a cluster, from its founding to its restore from a backup; a restored cluster is another incarnation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(String);

/// One run of one process: Pod UID and restart, invocation ID, or boot, PID and start time (see [`process_instance`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(String);

/// etcd's 64-bit member ID; sixteen hexadecimal digits in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// Counts the disks of the cluster, whatever their slots: a disk of an older generation than its slot's is retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Counts the starts on one disk: a disk that counts fewer than the record saw is an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// How many learners etcd lets be in flight at once: `--max-learners`, a constant of the incarnation (F5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnerLimit(pub u8);

impl Incarnation {
    /// The text as it stands in the files.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InstanceId {
    /// The text as it stands in the files.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Incarnation {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        word(text).map(Self)
    }
}

impl FromStr for InstanceId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        word(text).map(Self)
    }
}

impl FromStr for MemberId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !hex {
            return Err(BadId::NotHex16);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| BadId::NotHex16)
    }
}

impl FromStr for Generation {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        number(text).map(Self)
    }
}

impl FromStr for Epoch {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        number(text).map(Self)
    }
}

impl FromStr for LearnerLimit {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        u8::try_from(number(text)?).map(Self).map_err(|_| BadId::NotANumber)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LearnerLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The instance of a live process of this machine: `proc:<boot id>:<pid>:<start time>`.
///
/// The start time counts clock ticks since boot, so a reused PID gives another instance; `exec` keeps all three, so the
/// guard and the etcd that it becomes are one instance.
///
/// # Errors
/// The process is gone, or `/proc` is not there or not what Linux writes.
pub fn process_instance(pid: u32) -> io::Result<InstanceId> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let fields = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    let start = fields.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(22 - 3));
    let start = start.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc stat has no start time"))?;
    let text = format!("proc:{}:{pid}:{start}", boot.trim());
    text.parse().map_err(|bad: BadId| io::Error::new(io::ErrorKind::InvalidData, bad))
}

fn word(text: &str) -> Result<String, BadId> {
    if text.is_empty() {
        return Err(BadId::Empty);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(BadId::Blank);
    }
    Ok(text.to_owned())
}

fn number(text: &str) -> Result<u64, BadId> {
    // `u64::from_str` takes `+7` and `007` as well: a file that is not what we write was not written by us.
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => Ok(number),
        Ok(_) | Err(_) => Err(BadId::NotANumber),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_one_instance_and_another_process_another() {
        let mine = process_instance(std::process::id()).unwrap();
        assert_eq!(mine, process_instance(std::process::id()).unwrap());
        assert!(mine.as_str().starts_with("proc:"));
        assert_eq!(mine.as_str().split(':').count(), 4);
        assert_ne!(mine, process_instance(1).unwrap());
    }

    #[test]
    fn a_process_that_is_gone_has_no_instance() {
        assert!(process_instance(u32::MAX).is_err());
    }

    #[test]
    fn identities_that_would_break_a_line_are_rejected() {
        assert_eq!("".parse::<Incarnation>(), Err(BadId::Empty));
        assert_eq!("a b".parse::<InstanceId>(), Err(BadId::Blank));
        assert_eq!("a\nb".parse::<Incarnation>(), Err(BadId::Blank));
        assert_eq!("8E9E05C52164694D".parse::<MemberId>(), Err(BadId::NotHex16));
        assert_eq!("8e9e05c52164694".parse::<MemberId>(), Err(BadId::NotHex16));
        assert_eq!("+e9e05c52164694d".parse::<MemberId>(), Err(BadId::NotHex16));
        for text in ["", "-1", "+1", "01", "1 ", "18446744073709551616"] {
            assert_eq!(text.parse::<Epoch>(), Err(BadId::NotANumber), "{text:?}");
        }
    }
}
