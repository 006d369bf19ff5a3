//! What is measured, in which unit, and what it is held against.

use std::{fmt, time::Duration};

use serde::Serialize;

/// One measured quantity of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is called.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it is held against.
    pub bars: Vec<Bar>,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Of memory.
    Megabytes,
    /// How often.
    PerMinute,
    /// Of one core.
    Percent,
}

/// What ours is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Our median against the floor's.
    TimesFloor(f64),
    /// Our median.
    Median(f64),
    /// Our worst repetition.
    Maximum(f64),
}

/// The repetitions of one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// In the order in which they were measured.
    pub values: Vec<f64>,
}

/// Whether a bar is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// A side was not measured.
    Unknown,
}

impl Figure {
    /// A time.
    pub fn time(name: &'static str, bars: impl IntoIterator<Item = Bar>) -> Self {
        Self { name, unit: Unit::Seconds, bars: bars.into_iter().collect() }
    }
}

impl Series {
    /// The smallest.
    pub fn minimum(&self) -> Option<f64> {
        self.values.iter().copied().reduce(f64::min)
    }

    /// The largest.
    pub fn maximum(&self) -> Option<f64> {
        self.values.iter().copied().reduce(f64::max)
    }

    /// The one in the middle; of two the mean.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        Some(f64::midpoint(*sorted.get(last / 2)?, *sorted.get(last.div_ceil(2))?))
    }
}

impl Bar {
    /// Whether ours holds it.
    pub fn judge(self, floor: &Series, ours: &Series) -> Verdict {
        let held = match self {
            Self::TimesFloor(times) => ours.median().zip(floor.median()).map(|(ours, floor)| ours <= floor * times),
            Self::Median(limit) => ours.median().map(|ours| ours <= limit),
            Self::Maximum(limit) => ours.maximum().map(|ours| ours <= limit),
        };
        match held {
            Some(true) => Verdict::Met,
            Some(false) => Verdict::Missed,
            None => Verdict::Unknown,
        }
    }

    /// In words.
    pub fn text(self, unit: Unit) -> String {
        match self {
            Self::TimesFloor(times) => format!("median <= {times} x floor"),
            Self::Median(limit) => format!("median <= {}", unit.show(limit)),
            Self::Maximum(limit) => format!("max <= {}", unit.show(limit)),
        }
    }
}

impl Unit {
    /// A value for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 0.001 => format!("{:.1} us", value * 1e6),
            Self::Seconds if value < 1.0 => format!("{:.0} ms", value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::PerMinute => format!("{value:.1}"),
            Self::Percent => format!("{value:.2} %"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Unknown => "-",
        })
    }
}

/// Seconds.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn series(values: &[f64]) -> Series {
        Series { values: values.to_vec() }
    }

    #[rstest]
    #[case::odd(&[3.0, 1.0, 2.0], Some(2.0))]
    #[case::even(&[4.0, 1.0, 2.0, 3.0], Some(2.5))]
    #[case::one(&[7.0], Some(7.0))]
    #[case::none(&[], None)]
    fn the_median_is_in_the_middle(#[case] values: &[f64], #[case] median: Option<f64>) {
        assert_eq!(series(values).median(), median);
    }

    #[rstest]
    #[case::within_the_ratio(Bar::TimesFloor(1.5), &[1.5, 9.0, 1.0], Verdict::Met)]
    #[case::beyond_the_ratio(Bar::TimesFloor(1.4), &[1.5, 9.0, 1.0], Verdict::Missed)]
    #[case::the_median_forgives_an_outlier(Bar::Median(2.0), &[1.5, 9.0, 1.0], Verdict::Met)]
    #[case::the_maximum_does_not(Bar::Maximum(2.0), &[1.5, 9.0, 1.0], Verdict::Missed)]
    #[case::nothing_measured(Bar::Maximum(2.0), &[], Verdict::Unknown)]
    fn a_bar_is_met_or_missed(#[case] bar: Bar, #[case] ours: &[f64], #[case] verdict: Verdict) {
        assert_eq!(bar.judge(&series(&[1.0, 1.0, 1.0]), &series(ours)), verdict);
    }
}
