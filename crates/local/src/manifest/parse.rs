//! From YAML to a checked manifest. Every mistake is reported at its line and column, also those that are none for YAML. The
//! YAML library is known in this file alone.

use std::path::Path;

use etcdop_core::{
    desired::{CompactOnNoSpace, Maintenance, Recovery},
    launch::EtcdOptions,
    size::Size,
};
use serde::Deserialize;
use serde_saphyr::{Error, Location, Spanned};

use crate::binaries::WishError;

use super::{Manifest, ManifestError, Position, nearest::nearest, quantity};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    size: Spanned<String>,
    version: Spanned<String>,
    #[serde(default)]
    etcd: Option<Spanned<EtcdOptions>>,
    #[serde(default)]
    recovery: Option<RawRecovery>,
    #[serde(default)]
    maintenance: Option<RawMaintenance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRecovery {
    replace_after: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMaintenance {
    compact_on_no_space: Option<CompactOnNoSpace>,
    defragment_above: Option<Spanned<String>>,
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Manifest, ManifestError> {
    let wrong = |at: Position, why: String| ManifestError::Wrong { path: path.to_owned(), at, why };
    let options = serde_saphyr::options! { with_snippet: false };
    let raw: Raw = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or(Position { line: 1, column: 1 }, |location| position(&location));
        wrong(at, explain(&error))
    })?;
    let size =
        raw.size.value.parse::<Size>().map_err(|error| wrong(position(&raw.size.referenced), error.to_string()))?;
    let version_at = position(&raw.version.referenced);
    let version = raw.version.value.parse();
    let version = version.map_err(|error: WishError| wrong(version_at, error.to_string()))?;
    let (options, options_at) = match raw.etcd {
        Some(etcd) => (etcd.value, position(&etcd.referenced)),
        None => (EtcdOptions::default(), version_at),
    };
    let mut recovery = Recovery::default();
    if let Some(after) = raw.recovery.and_then(|recovery| recovery.replace_after) {
        recovery.replace_after =
            quantity::duration(&after.value).map_err(|why| wrong(position(&after.referenced), why))?;
    }
    let mut maintenance = Maintenance::default();
    if let Some(raw) = raw.maintenance {
        maintenance.compact_on_no_space = raw.compact_on_no_space.unwrap_or_default();
        let above = raw.defragment_above.map(|above| (quantity::bytes(&above.value), position(&above.referenced)));
        maintenance.defragment_above = above.map(|(bytes, at)| bytes.map_err(|why| wrong(at, why))).transpose()?;
    }
    let path = path.to_owned();
    Ok(Manifest { size, version, options, recovery, maintenance, path, version_at, options_at })
}

fn position(location: &Location) -> Position {
    Position { line: location.line(), column: location.column() }
}

fn explain(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => unknown("field", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        Error::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
        Error::InvalidScalar { ty: "u64", .. } => "expected a whole number, zero or more".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("`{key}` is there twice"),
        Error::Eof { .. } => "the file is empty: `size` and `version` are needed".to_owned(),
        Error::MultipleDocuments { .. } => {
            "more than one document: one file declares one cluster, remove the `---`".to_owned()
        }
        other => one_line(&other.to_string()),
    }
}

fn unknown(kind: &str, word: &str, possible: &[&'static str]) -> String {
    match nearest(word, possible) {
        Some(meant) => format!("unknown {kind} `{word}`, did you mean `{meant}`?"),
        None => format!("unknown {kind} `{word}`: expected one of {}", possible.join(", ")),
    }
}

/// Without the place, which stands in front already.
fn one_line(text: &str) -> String {
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    text.rsplit_once(" at line ").map_or_else(|| text.clone(), |(what, _)| what.to_owned())
}
