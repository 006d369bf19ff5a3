//! The live view of `up`: one line for the cluster, one for each member, redrawn in place; what is worth keeping scrolls away above.

use std::{io::stderr, time::Duration};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use etcdop_core::summary::Summary;
use etcdop_engine::publish::Published;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use crate::{
    local::report::{headline, members},
    output::Width,
    progress::style,
};

/// Redraws per second; a scaling shows more passes than eyes can follow.
const FRAMES: u8 = 15;
/// The spinner turns while nothing else moves: whoever looks sees that the manager lives.
const TURN: Duration = Duration::from_millis(120);

/// Lines that are redrawn in place.
#[derive(Debug)]
pub(crate) struct View {
    name: String,
    all: MultiProgress,
    head: ProgressBar,
    rows: Vec<ProgressBar>,
    /// What blocks, or keeps failing.
    notes: ProgressBar,
    colors: ColorChoice,
}

impl View {
    /// An empty view on stderr.
    pub(crate) fn new(name: &str) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(FRAMES));
        let head = all.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}")));
        head.enable_steady_tick(TURN);
        let notes = all.add(ProgressBar::new_spinner().with_style(style("  {wide_msg}")));
        Self { name: name.to_owned(), all, head, rows: Vec::new(), notes, colors: AutoStream::choice(&stderr()) }
    }

    /// Draws a pass.
    pub(crate) fn draw(&mut self, published: &Published, summary: &Summary) {
        let busy = published.busy.as_ref().map(|busy| format!(", busy: {busy}")).unwrap_or_default();
        self.head.set_message(headline(&self.name, summary) + &busy);
        let table = members(&summary.members, Width::Narrow);
        let lines: Vec<&str> = if summary.members.is_empty() { Vec::new() } else { table.lines().collect() };
        while self.rows.len() > lines.len() {
            if let Some(row) = self.rows.pop() {
                self.all.remove(&row);
            }
        }
        while self.rows.len() < lines.len() {
            let row = ProgressBar::new_spinner().with_style(style("  {wide_msg}"));
            self.rows.push(self.all.insert_before(&self.notes, row));
        }
        for (row, line) in self.rows.iter().zip(&lines) {
            row.set_message(self.painted(line));
        }
        self.notes.set_message(note(published, summary));
    }

    /// Says in the first line that the cluster is about its end.
    pub(crate) fn stopping(&self) {
        self.head.set_message(format!("{}: stopping the members", self.name));
    }

    /// Keeps a line above the view.
    pub(crate) fn keep(&self, line: &str) {
        // A terminal that is gone needs no lines.
        let _ = self.all.println(line);
    }

    /// Takes the view away.
    pub(crate) fn end(&self) {
        let _ = self.all.clear();
    }

    fn painted(&self, line: &str) -> String {
        match self.colors {
            ColorChoice::Never => strip_str(line).to_string(),
            ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => line.to_owned(),
        }
    }
}

/// The one thing to know: what keeps failing, else what blocks.
fn note(published: &Published, summary: &Summary) -> String {
    match &published.setback {
        Some(setback) => format!("tried {} times: {}: {}", setback.tries, setback.step, setback.why),
        None => summary.reasons.first().cloned().unwrap_or_default(),
    }
}
