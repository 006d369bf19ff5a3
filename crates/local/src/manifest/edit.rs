//! Changes one value of a manifest: the line of a top-level key, found as text, so that comments, order and spaces stay.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::{Manifest, ManifestError};

/// Sets the top-level `key` to `value`, which `holds` checks in the result before it takes the place of the file.
pub(super) fn set(
    path: &Path,
    key: &str,
    value: &str,
    holds: impl FnOnce(&Manifest) -> bool,
) -> Result<(), ManifestError> {
    let unreadable = |source| ManifestError::Unreadable { path: path.to_owned(), source };
    let unwritable = |source| ManifestError::Unwritable { path: path.to_owned(), source };
    let not_editable = |why: String| ManifestError::NotEditable { path: path.to_owned(), why };
    // Two commands at once must not undo each other. The directory, because the file is about to be another one.
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let lock = File::open(directory).map_err(unreadable)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| unwritable(error.into()))?;
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let changed = with_value(&text, key, value);
    let changed = changed.ok_or_else(|| not_editable(format!("`{key}:` does not stand on one line of its own")))?;
    // A file that was wrong before is shown as it is wrong, and not touched.
    let manifest = Manifest::parse(path, &changed)?;
    if !holds(&manifest) {
        return Err(not_editable(format!("after the change, `{key}` would not be {value}")));
    }
    replace(path, &changed).map_err(unwritable)
}

/// The text with another value behind the key; `None` when the key is not at the beginning of exactly one line.
fn with_value(text: &str, key: &str, value: &str) -> Option<String> {
    let of_key = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'));
    let mut lines = text.split_inclusive('\n').filter(of_key);
    let line = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    let at = line.as_ptr() as usize - text.as_ptr() as usize;
    let colon = line.find(':')?;
    let (head, rest) = line.split_at(colon + 1);
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let old = scalar_length(&rest[spaces..])?;
    let gap = if spaces == 0 { " " } else { &rest[..spaces] };
    let (before, after) = (&text[..at], &text[at + line.len()..]);
    Some(format!("{before}{head}{gap}{value}{}{after}", &rest[spaces + old..]))
}

/// How long the scalar at the beginning is; `None` for what is no scalar on this line.
fn scalar_length(text: &str) -> Option<usize> {
    match text.chars().next()? {
        quote @ ('"' | '\'') => text[1..].find(quote).map(|end| end + 2),
        '{' | '[' | '|' | '>' | '&' | '*' | '!' | '#' | '\n' => None,
        _ => {
            let end = text.find(" #").unwrap_or(text.len());
            Some(text[..end].trim_end().len())
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A symbolic link stays one.
    let path = fs::canonicalize(path)?;
    let beside = path.with_extension("yaml.new");
    let mode = fs::metadata(&path)?.mode();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode & 0o777).open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Whether it can be removed or not, it was never the manifest.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    fs::rename(&beside, &path)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("size: 3\n", Some("size: 5\n"))]
    #[case::comment("# size: 1\nsize:  3   # voters\n", Some("# size: 1\nsize:  5   # voters\n"))]
    #[case::quoted("size: \"3\" # x", Some("size: 5 # x"))]
    #[case::windows("size: 3\r\nversion: x\r\n", Some("size: 5\r\nversion: x\r\n"))]
    #[case::nested("etcd:\n  size: 3\n", None)]
    #[case::twice("size: 1\nsize: 3\n", None)]
    #[case::flow("{size: 3}", None)]
    #[case::other_key("sizes: 3\n", None)]
    #[case::next_line("size:\n  3\n", None)]
    #[case::anchor("size: &a 3\n", None)]
    fn only_the_value_changes(#[case] text: &str, #[case] changed: Option<&str>) {
        assert_eq!(with_value(text, "size", "5").as_deref(), changed);
    }
}
