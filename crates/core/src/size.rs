//! How many members a cluster may have: none (hibernating), or an odd number, which tolerates as many failures as the next
//! even one at less cost.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number of voters that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Size(u8);

/// A size that cannot be asked for, and what to ask for instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Even and not zero.
    #[error("size {0} is even: it tolerates no more failures than {lower}, use {lower} or {upper}", lower = .0 - 1, upper = .0 + 1)]
    Even(u64),
    /// More than etcd runs well with.
    #[error("size {0} is too large: an etcd cluster has at most 9 voters, use one of 0, 1, 3, 5, 7, 9")]
    TooLarge(u64),
    /// Not a number at all.
    #[error("size `{0}` is not a number: use one of 0, 1, 3, 5, 7, 9")]
    NotANumber(String),
}

impl Size {
    /// Hibernating: no member runs, every disk is kept.
    pub const ZERO: Self = Self(0);
    /// All sizes there are.
    pub const ALL: [Self; 6] = [Self(0), Self(1), Self(3), Self(5), Self(7), Self(9)];

    /// The number of voters.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether no member is wanted to run.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u64> for Size {
    type Error = SizeError;

    fn try_from(size: u64) -> Result<Self, SizeError> {
        match u8::try_from(size) {
            Ok(small @ (0 | 1 | 3 | 5 | 7 | 9)) => Ok(Self(small)),
            Ok(2 | 4 | 6 | 8) => Err(SizeError::Even(size)),
            _ => Err(SizeError::TooLarge(size)),
        }
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        Self::from(size.0)
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        text.trim().parse::<u64>().map_err(|_| SizeError::NotANumber(text.to_owned()))?.try_into()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::even("2", "size 2 is even: it tolerates no more failures than 1, use 1 or 3")]
    #[case::eight("8", "size 8 is even: it tolerates no more failures than 7, use 7 or 9")]
    #[case::eleven("11", "size 11 is too large: an etcd cluster has at most 9 voters, use one of 0, 1, 3, 5, 7, 9")]
    #[case::text("three", "size `three` is not a number: use one of 0, 1, 3, 5, 7, 9")]
    #[case::negative("-1", "size `-1` is not a number: use one of 0, 1, 3, 5, 7, 9")]
    fn a_wrong_size_says_what_to_use(#[case] text: &str, #[case] message: &str) {
        assert_eq!(text.parse::<Size>().unwrap_err().to_string(), message);
    }

    #[test]
    fn every_size_round_trips() {
        for size in Size::ALL {
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
    }
}
