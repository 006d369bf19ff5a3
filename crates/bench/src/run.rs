//! A run: repetitions of floor and ours in turns, what they gave, and what becomes of it on the terminal and in a file.

use std::{
    error::Error,
    future::{Future, pending},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

use crate::{
    failure::Failure,
    figure::{Figure, Series},
    report::{Head, Report, Row},
};

/// One repetition of one step: a value for each of its figures, in their order.
pub type Sample = Vec<f64>;

/// Everything measured, and some bar missed.
const MISSED: u8 = 3;

/// Which sides are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    /// Floor and ours.
    Both,
    /// The floor alone.
    Floor,
    /// Ours alone.
    Ours,
}

/// The repetitions of both sides of one step.
#[derive(Debug)]
pub struct Repetitions {
    step: String,
    floor: Vec<Sample>,
    ours: Vec<Sample>,
    failures: Vec<String>,
}

impl Repetitions {
    /// None yet.
    pub fn of(step: String) -> Self {
        Self { step, floor: Vec::new(), ours: Vec::new(), failures: Vec::new() }
    }

    /// Takes a repetition of the floor; nothing where there is no such thing.
    pub fn floor(&mut self, outcome: Result<Option<Sample>, Failure>) {
        match outcome {
            Ok(sample) => self.floor.extend(sample),
            Err(failure) => self.failures.push(format!("{}, floor: {}", self.step, chain(&failure))),
        }
    }

    /// Takes a repetition of ours.
    pub fn ours(&mut self, outcome: Result<Sample, Failure>) {
        match outcome {
            Ok(sample) => self.ours.push(sample),
            Err(failure) => self.failures.push(format!("{}, ours: {}", self.step, chain(&failure))),
        }
    }

    /// Prints a row for each figure, and keeps it.
    pub fn report(self, figures: Vec<Figure>, report: &mut Report) {
        let series = |side: &[Sample], at: usize| Series {
            values: side.iter().filter_map(|sample| sample.get(at).copied()).collect(),
        };
        for (at, figure) in figures.into_iter().enumerate() {
            let row = Row::new(self.step.clone(), &figure, series(&self.floor, at), series(&self.ours, at));
            say(&row.to_string());
            report.rows.push(row);
        }
        report.failures.extend(self.failures);
    }
}

/// Prints the head of the table.
pub fn begin() -> Report {
    say(&Head.to_string());
    Report::default()
}

/// Saves the report, prints what went wrong, and says how it went.
pub fn end(report: &Report, path: &Path) -> Result<ExitCode, Failure> {
    report.save(path).map_err(Failure::io("write the report"))?;
    for failure in &report.failures {
        say(failure);
    }
    say(&format!("written to {}", path.display()));
    let met = report.failures.is_empty() && report.rows.iter().all(Row::is_met);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::from(MISSED) })
}

/// Runs until it ends or is told to; what is dropped then takes its processes along.
pub async fn until_told_to_stop(run: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    let outcome = tokio::select! {
        outcome = run => outcome,
        code = told_to_stop() => Ok(code),
    };
    outcome.unwrap_or_else(|failure| {
        say(&chain(&failure));
        ExitCode::FAILURE
    })
}

/// Until Ctrl-C or SIGTERM.
async fn told_to_stop() -> ExitCode {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return pending().await };
    tokio::select! {
        _ = ctrl_c() => ExitCode::from(130),
        _ = terminate.recv() => ExitCode::from(143),
    }
}

/// A failure with its causes.
pub fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// One line for people. Whoever closed the pipe does not want it.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
