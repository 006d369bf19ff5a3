//! The only place that prints. Results go to stdout in the format asked for; failures and remarks to stderr. Colours are dropped
//! by `anstream` where the stream is no terminal or `NO_COLOR` is set.

use std::{
    error::Error,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For people with a wide terminal: all columns
    Wide,
    /// One JSON document; a stream prints one per line
    Json,
    /// One YAML document; a stream prints several
    Yaml,
}

/// How much a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// What matters most.
    Narrow,
    /// Everything.
    Wide,
}

/// Who reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Somebody may.
    There,
    /// They have seen enough, as `head` has: no failure, and a reason to end what has no other end.
    Gone,
}

/// Prints results in one format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether a program reads what is printed.
    pub(crate) const fn is_data(self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// Prints one result: the value for programs, `text` of it for people.
    pub(crate) fn show(self, value: &impl Serialize, text: impl FnOnce(Width) -> String) -> Result<(), Failure> {
        let printed = match self.format {
            Format::Table => text(Width::Narrow),
            Format::Wide => text(Width::Wide),
            Format::Json => serde_json::to_string_pretty(value).map_err(|source| unprintable(&source))?,
            Format::Yaml => serde_saphyr::to_string(value).map_err(|source| unprintable(&source))?,
        };
        raw(printed.trim_end().as_bytes())?;
        raw(b"\n")
    }

    /// Prints a line on the way to a result, for people.
    pub(crate) fn note(self, line: &str) -> Result<(), Failure> {
        if self.is_data() { Ok(()) } else { raw(format!("{line}\n").as_bytes()) }
    }

    /// Prints one event of a stream, and says whether anybody reads it.
    pub(crate) fn event(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<Reader, Failure> {
        let mut printed = match self.format {
            Format::Table | Format::Wide => text(),
            Format::Json => serde_json::to_string(value).map_err(|source| unprintable(&source))?,
            Format::Yaml => {
                let document = serde_saphyr::to_string(value).map_err(|source| unprintable(&source))?;
                format!("---\n{}", document.trim_end())
            }
        };
        printed.push('\n');
        write(printed.as_bytes())
    }

    /// Prints a failure: what, why, and what to try.
    pub(crate) fn failure(self, failure: &Failure) {
        let printed = match self.format {
            Format::Json | Format::Yaml => {
                serde_json::to_string(&Told::of(failure)).unwrap_or_else(|_| failure.to_string())
            }
            Format::Table | Format::Wide => told(failure),
        };
        remark(&printed);
    }
}

/// Prints bytes as they are, whatever the format.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), Failure> {
    write(bytes).map(drop)
}

fn write(bytes: &[u8]) -> Result<Reader, Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        printed => printed.map(|()| Reader::There).map_err(Failure::Unprintable),
    }
}

/// Says something that is no result: what comes next, or what to do.
pub(crate) fn remark(text: &str) {
    // Nobody can be told that stderr is gone.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

fn unprintable(source: &dyn Error) -> Failure {
    Failure::Unprintable(io::Error::other(source.to_string()))
}

#[derive(Debug, Serialize)]
struct Told {
    error: String,
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Told {
    fn of(failure: &Failure) -> Self {
        Self { error: failure.to_string(), causes: failure.causes(), hint: failure.hint() }
    }
}

fn told(failure: &Failure) -> String {
    let label = |text: &str, color: AnsiColor| {
        let style = Style::new().bold().fg_color(Some(color.into()));
        format!("{style}{text}:{style:#}")
    };
    let Told { error, causes, hint } = Told::of(failure);
    let mut lines = vec![format!("{} {error}", label("error", AnsiColor::Red))];
    lines.extend(causes.iter().map(|cause| format!("  {} {cause}", label("cause", AnsiColor::Yellow))));
    lines.extend(hint.iter().map(|hint| format!("  {} {hint}", label("hint", AnsiColor::Cyan))));
    lines.join("\n")
}
