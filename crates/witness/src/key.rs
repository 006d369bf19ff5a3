//! The keys of a run. Every write has a key of its own, so that nothing can overwrite the evidence; a counter beside them changes in
//! the same transaction and shows writes that were lost together with their keys.

use std::fmt;

use etcdop_etcd::Keys;
use serde::{Serialize, Serializer};

/// One of the writers, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct WriterId(pub u16);

/// A key of the run, without the run's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The `n`-th write of a writer; its value is `n`.
    Write {
        /// Whose write.
        writer: WriterId,
        /// Counted from 1.
        n: u64,
    },
    /// How far a writer got.
    Counter(WriterId),
    /// Written once, after the last write.
    End,
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { writer, n } => write!(f, "{writer}/{n}"),
            Self::Counter(writer) => write!(f, "{writer}/counter"),
            Self::End => f.write_str("end"),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the keys of one run are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    prefix: String,
}

impl Run {
    /// A run is told from others on the same cluster by the revision that it began at.
    pub(crate) fn beginning_at(revision: i64) -> Self {
        Self { prefix: format!("/witness/{revision}/") }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// All keys of the run that are not before `from`.
    pub(crate) fn keys_from(&self, from: Vec<u8>) -> Keys {
        let mut end = self.prefix.clone().into_bytes();
        // The prefix ends in a slash; what follows a slash in the order of bytes is a zero.
        end.pop();
        end.push(b'/' + 1);
        Keys::Between(from.into(), end.into())
    }

    pub(crate) fn path(&self, key: Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key that [`Self::path`] made this of.
    pub(crate) fn key(&self, path: &[u8]) -> Option<Key> {
        let rest = std::str::from_utf8(path).ok()?.strip_prefix(&self.prefix)?;
        if rest == "end" {
            return Some(Key::End);
        }
        let (writer, rest) = rest.split_once('/')?;
        let writer = WriterId(writer.parse().ok()?);
        Some(if rest == "counter" { Key::Counter(writer) } else { Key::Write { writer, n: rest.parse().ok()? } })
    }
}

/// How a number is written as a value: with leading zeros, because etcd compares values as text.
pub(crate) fn value(n: u64) -> String {
    format!("{n:020}")
}

/// The number that [`value`] made this of.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_write(Key::Write { writer: WriterId(3), n: 17 }, "/witness/8/3/17")]
    #[case::a_counter(Key::Counter(WriterId(0)), "/witness/8/0/counter")]
    #[case::the_end(Key::End, "/witness/8/end")]
    fn a_key_is_read_from_its_path(#[case] key: Key, #[case] path: &str) {
        let run = Run::beginning_at(8);
        assert_eq!(run.path(key), path);
        assert_eq!(run.key(path.as_bytes()), Some(key));
    }

    #[rstest]
    #[case::of_another_run("/witness/9/3/17")]
    #[case::of_somebody_else("/registry/pods")]
    #[case::no_number("/witness/8/3/x")]
    fn other_paths_are_no_keys(#[case] path: &str) {
        assert_eq!(Run::beginning_at(8).key(path.as_bytes()), None);
    }

    #[test]
    fn values_compare_as_their_numbers_do() {
        assert!(value(9) < value(10));
        assert_eq!(number(value(u64::MAX).as_bytes()), Some(u64::MAX));
    }
}
