//! The report: a table for people, JSON for programs.

use std::{fmt, io, path::Path};

use serde::Serialize;

use crate::figure::{Figure, Series, Unit, Verdict};

/// One figure of one step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    step: String,
    figure: &'static str,
    unit: Unit,
    floor: Summary,
    ours: Summary,
    /// Our median over the floor's.
    ratio: Option<f64>,
    bars: Vec<Held>,
}

#[derive(Clone, Debug, Serialize)]
struct Summary {
    minimum: Option<f64>,
    median: Option<f64>,
    maximum: Option<f64>,
    values: Vec<f64>,
}

#[derive(Clone, Debug, Serialize)]
struct Held {
    bar: String,
    verdict: Verdict,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// One for each figure.
    pub rows: Vec<Row>,
    /// Repetitions that gave no figure, and why.
    pub failures: Vec<String>,
}

impl Row {
    /// Judges a figure.
    pub fn new(step: String, figure: &Figure, floor: Series, ours: Series) -> Self {
        let bars = figure
            .bars
            .iter()
            .map(|bar| Held { bar: bar.text(figure.unit), verdict: bar.judge(&floor, &ours) })
            .collect();
        let ratio = ours.median().zip(floor.median()).map(|(ours, floor)| ours / floor);
        let (name, unit) = (figure.name, figure.unit);
        Self { step, figure: name, unit, floor: floor.into(), ours: ours.into(), ratio, bars }
    }

    /// Whether no bar is missed.
    pub fn is_met(&self) -> bool {
        self.bars.iter().all(|held| held.verdict != Verdict::Missed)
    }
}

impl From<Series> for Summary {
    fn from(series: Series) -> Self {
        Self { minimum: series.minimum(), median: series.median(), maximum: series.maximum(), values: series.values }
    }
}

impl Report {
    /// Writes it as JSON, in one go.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let draft = path.with_extension("json.part");
        std::fs::write(&draft, text + "\n")?;
        std::fs::rename(&draft, path)
    }
}

/// The head of the table.
pub struct Head;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:22} {:20}  {:^26}  {:^26}  {:>5}  bar\n{:43}  {:>8} {:>8} {:>8}  {:>8} {:>8} {:>8}",
            "step", "", "floor", "ours", "ratio", "", "min", "median", "max", "min", "median", "max"
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:22} {:20} ", self.step, self.figure)?;
        for side in [&self.floor, &self.ours] {
            for value in [side.minimum, side.median, side.maximum] {
                write!(f, " {:>8}", value.map_or_else(|| "-".to_owned(), |value| self.unit.show(value)))?;
            }
            f.write_str(" ")?;
        }
        write!(f, " {:>5}", self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")))?;
        for (at, held) in self.bars.iter().enumerate() {
            let lead = if at == 0 { "  " } else { "; " };
            write!(f, "{lead}{}: {}", held.bar, held.verdict)?;
        }
        Ok(())
    }
}
