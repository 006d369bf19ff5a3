//! The one form of all files at the gate: `key=value` lines with fixed keys, each exactly once, in any order, each line
//! ended by a line break. A key that came with a later release may be missing, and is never rendered last: a file that was
//! cut short must not be taken for one of an earlier release.
//!
//! A file that differs in anything was not written by us, or not whole: it is an error with its line, never a guess.

use std::{fmt, str::FromStr};

/// Why a file of the gate cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1; for a missing key the last line of the file.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The line has no `=`.
    NotAField,
    /// The file has no such key.
    UnknownKey(String),
    /// The key stood on an earlier line already.
    DuplicateKey(&'static str),
    /// The last line has no line break: the file may have been cut in the middle of a number.
    Unfinished,
    /// The file ended without this key.
    MissingKey(&'static str),
    /// The key's value is not of its type.
    BadValue {
        /// Whose value it is.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            Problem::NotAField => f.write_str("not of the form key=value"),
            Problem::UnknownKey(key) => write!(f, "unknown key '{}'", key.escape_debug()),
            Problem::DuplicateKey(key) => write!(f, "key '{key}' is there twice"),
            Problem::Unfinished => f.write_str("the line is not finished"),
            Problem::MissingKey(key) => write!(f, "the file ends without key '{key}'"),
            Problem::BadValue { key, why } => write!(f, "bad value of '{key}': {why}"),
        }
    }
}

impl std::error::Error for ParseError {}

/// One line of a file, its key known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    key: &'static str,
    line: usize,
    /// What stands after the first `=`.
    pub(crate) text: &'a str,
}

impl Field<'_> {
    /// The value as its type.
    pub(crate) fn value<T>(&self) -> Result<T, ParseError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.text.parse().map_err(|why: T::Err| self.bad(&why))
    }

    /// The value as its type, or nothing for `-`.
    pub(crate) fn optional<T>(&self) -> Result<Option<T>, ParseError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        if self.text == "-" { Ok(None) } else { self.value().map(Some) }
    }

    /// The error that this line's value is wrong.
    pub(crate) fn bad(&self, why: &impl fmt::Display) -> ParseError {
        ParseError { line: self.line, problem: Problem::BadValue { key: self.key, why: why.to_string() } }
    }
}

/// The fields of a file, in the order of `keys`.
pub(crate) fn fields<'a, const N: usize>(text: &'a str, keys: [&'static str; N]) -> Result<[Field<'a>; N], ParseError> {
    let (fields, []) = fields_and_later(text, keys, [])?;
    Ok(fields)
}

/// The same, and those fields of `later` that are there: keys that files of earlier releases lack.
pub(crate) fn fields_and_later<'a, const N: usize, const M: usize>(
    text: &'a str,
    keys: [&'static str; N],
    later: [&'static str; M],
) -> Result<([Field<'a>; N], [Option<Field<'a>>; M]), ParseError> {
    let known: Vec<&'static str> = keys.into_iter().chain(later).collect();
    let mut found: Vec<Option<Field<'a>>> = vec![None; known.len()];
    let mut end = 1;
    for (line, content) in (1..).zip(text.lines()) {
        end = line;
        let Some((key, value)) = content.split_once('=') else {
            return Err(ParseError { line, problem: Problem::NotAField });
        };
        let Some(at) = known.iter().position(|known| *known == key) else {
            return Err(ParseError { line, problem: Problem::UnknownKey(key.to_owned()) });
        };
        if found[at].is_some() {
            return Err(ParseError { line, problem: Problem::DuplicateKey(known[at]) });
        }
        found[at] = Some(Field { key: known[at], line, text: value });
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(ParseError { line: end, problem: Problem::Unfinished });
    }
    let mut all = [Field { key: "", line: 0, text: "" }; N];
    for (at, field) in all.iter_mut().enumerate() {
        *field = found[at].ok_or(ParseError { line: end, problem: Problem::MissingKey(known[at]) })?;
    }
    Ok((all, std::array::from_fn(|at| found[N + at])))
}

/// `-` for an unknown value, the value otherwise: what [`Field::optional`] reads.
pub(crate) fn or_dash<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
