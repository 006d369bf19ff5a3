//! The steps, what is measured of each, and the bars: one table.

use std::fmt;

use etcdop_bench::run::Sample;
use etcdop_core::version::Minor;

use crate::{
    failure::Failure,
    figure::{Bar, Figure, Unit, seconds},
    floor,
    ground::Ground,
    load::Age,
    ours::{self, Workshop},
    writers::{Cost, Killed},
};

/// etcd's election timeout, which we leave at its default: an election begins after one to two of it.
const ELECTION_TIMEOUT: f64 = 1.0;
const V3_5: Minor = Minor::new(3, 5);
const V3_7: Minor = Minor::new(3, 7);

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    Grow {
        from: u8,
        to: u8,
        minor: Minor,
        age: Age,
    },
    GrowOneByOne,
    Shrink,
    /// In a roll. A scale-in gives the leader up only where the platform prescribes the slot, which this one does not.
    HandOver,
    KillLeader,
    Replace,
    Plan,
    Manager,
}

impl Step {
    /// All of them, in the order of the report.
    pub(crate) fn all() -> Vec<Self> {
        let grow = |(from, to)| {
            [Age::Fresh, Age::Aged]
                .into_iter()
                .flat_map(move |age| [Minor::V3_6, V3_7].map(|minor| Self::Grow { from, to, minor, age }))
        };
        let grows = [(1, 3), (3, 5), (1, 7)].into_iter().flat_map(grow);
        let others = [
            Self::GrowOneByOne,
            Self::Shrink,
            Self::HandOver,
            Self::KillLeader,
            Self::Replace,
            Self::Plan,
            Self::Manager,
        ];
        [Self::Create].into_iter().chain(grows).chain(others).collect()
    }

    /// What is measured, and its bars.
    pub(crate) fn figures(self) -> Vec<Figure> {
        match self {
            Self::Create => vec![Figure::time("time", [Bar::TimesFloor(1.3)])],
            Self::Grow { from, to, age, .. } => vec![Figure::time("time", grow_bars(from, to, age))],
            Self::GrowOneByOne => vec![Figure::time("time", [Bar::TimesFloor(1.15)])],
            Self::Shrink => vec![Figure::time("time", [Bar::Maximum(0.5)])],
            Self::HandOver => vec![Figure::time("gap", [Bar::Maximum(0.150)]), Figure::time("worst call", [])],
            Self::KillLeader => vec![
                Figure::time("gap", [Bar::Maximum(2.0 * ELECTION_TIMEOUT + 0.3), Bar::TimesFloor(1.1)]),
                Figure::time("worst call", []),
                // Its clients it can serve only when there is a leader again: that is in the gap.
                Figure::time("peers served", [Bar::Maximum(1.0)]),
                Figure::time("all healthy", []),
            ],
            Self::Replace => vec![Figure::time("time", [Bar::TimesFloor(1.5)])],
            Self::Plan => {
                vec![Figure::time("steady", [Bar::Median(20e-6)]), Figure::time("longest", [Bar::Median(20e-6)])]
            }
            Self::Manager => vec![
                Figure { name: "resident", unit: Unit::Megabytes, bars: vec![Bar::Maximum(25.0)] },
                Figure { name: "of a core", unit: Unit::Percent, bars: vec![Bar::Maximum(0.5)] },
            ],
        }
    }

    /// With plain etcd processes; nothing where there is no such thing.
    pub(crate) async fn floor(self, ground: &Ground) -> Result<Option<Sample>, Failure> {
        Ok(Some(match self {
            Self::Create => vec![seconds(floor::create(ground, Minor::V3_6, 3).await?)],
            Self::Grow { from, to, minor, age } => {
                vec![seconds(floor::grow(ground, minor, from.into(), to.into(), age).await?)]
            }
            Self::GrowOneByOne => vec![seconds(floor::grow_one_by_one(ground, V3_5, 1, 3).await?)],
            Self::Shrink => vec![seconds(floor::shrink(ground, Minor::V3_6, 7).await?)],
            Self::HandOver => cost(floor::hand_over(ground, Minor::V3_6).await?),
            Self::KillLeader => killed(floor::kill(ground, Minor::V3_6).await?),
            Self::Replace => vec![seconds(floor::replace(ground, Minor::V3_6).await?)],
            Self::Plan | Self::Manager => return Ok(None),
        }))
    }

    /// With ours.
    pub(crate) async fn ours(self, shop: &Workshop) -> Result<Sample, Failure> {
        Ok(match self {
            Self::Create => vec![seconds(ours::create(shop, Minor::V3_6, 3).await?)],
            Self::Grow { from, to, minor, age } => vec![seconds(ours::grow(shop, minor, from, to, age).await?)],
            Self::GrowOneByOne => vec![seconds(ours::grow(shop, V3_5, 1, 3, Age::Fresh).await?)],
            Self::Shrink => vec![seconds(ours::shrink(shop, Minor::V3_6, 7).await?)],
            Self::HandOver => cost(ours::hand_over(shop, Minor::V3_6).await?),
            Self::KillLeader => killed(ours::kill(shop, Minor::V3_6).await?),
            Self::Replace => vec![seconds(ours::replace(shop, Minor::V3_6).await?)],
            Self::Plan => {
                let decisions = ours::plan(shop, Minor::V3_6, 9).await?;
                vec![seconds(decisions.steady), seconds(decisions.longest)]
            }
            Self::Manager => ours::manager(shop, 9).await?,
        })
    }
}

/// On an aged cluster the time is bounded by itself: its floor holds a restart that not everybody knows of.
fn grow_bars(from: u8, to: u8, age: Age) -> Vec<Bar> {
    match (from, to, age) {
        (1, 3, Age::Aged) => vec![Bar::Maximum(2.5)],
        (1, 7, Age::Aged) => vec![Bar::Maximum(4.0)],
        (_, _, Age::Aged) => vec![],
        (1, 7, Age::Fresh) => vec![Bar::TimesFloor(1.5), Bar::Maximum(1.5)],
        (_, _, Age::Fresh) => vec![Bar::TimesFloor(1.5)],
    }
}

fn cost(cost: Cost) -> Sample {
    vec![seconds(cost.gap), seconds(cost.worst_call)]
}

fn killed(killed: Killed) -> Sample {
    let mut sample = cost(killed.cost);
    sample.extend([seconds(killed.back), seconds(killed.healthy)]);
    sample
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create-3"),
            Self::Grow { from, to, minor, age } => {
                let age = match age {
                    Age::Fresh => "fresh",
                    Age::Aged => "aged",
                };
                write!(f, "grow-{from}-{to}-{minor}-{age}")
            }
            Self::GrowOneByOne => f.write_str("grow-1-3-3.5"),
            Self::Shrink => f.write_str("shrink-7-1"),
            Self::HandOver => f.write_str("move-leader"),
            Self::KillLeader => f.write_str("kill-leader"),
            Self::Replace => f.write_str("replace-disk"),
            Self::Plan => f.write_str("plan-9"),
            Self::Manager => f.write_str("manager-9"),
        }
    }
}
