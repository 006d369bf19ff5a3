//! The rows of the report: what is done, what is measured of it, and the bars. One table.

mod create;
mod disk;
mod kept;
mod minor;
mod pods;
mod restart;
mod scale;
mod steady;

use std::fmt;

use etcdop_bench::run::{Repetitions, Sample};

use crate::{
    Bench,
    failure::Failure,
    figure::{Bar, Figure, Unit},
    load::Age,
    run::Side,
    subject::{Kind, Subject},
};

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Three members from nothing.
    Create,
    /// One becomes three.
    Grow(Age),
    /// One becomes seven, and one again.
    GrowAndShrink(Age),
    /// A follower's Pod is deleted.
    DeletePod,
    /// A setting that restarts every member, the leader among them.
    Restart,
    /// A follower's disk and Pod are deleted.
    LoseDisk(Age),
    /// To the next minor.
    NewMinor,
    /// The leader's Pod and another one, at once.
    DeleteTwo,
    /// Ten clusters of three from nothing, at once.
    Ten,
    /// A hundred clusters with nothing to do.
    Steady,
}

impl Row {
    /// All of them, in the order of the report.
    pub(crate) fn all() -> Vec<Self> {
        use Age::{Aged, Fresh};
        vec![
            Self::Create,
            Self::Grow(Fresh),
            Self::Grow(Aged),
            Self::GrowAndShrink(Fresh),
            Self::GrowAndShrink(Aged),
            Self::DeletePod,
            Self::Restart,
            Self::LoseDisk(Fresh),
            Self::LoseDisk(Aged),
            Self::NewMinor,
            Self::DeleteTwo,
            Self::Ten,
            Self::Steady,
        ]
    }

    /// What is measured, and its bars. A bar that says nothing of median or maximum is held against both.
    pub(crate) fn figures(self) -> Vec<Figure> {
        use Bar::{Maximum, Median, TimesFloor};
        let within = |seconds| [Median(seconds), Maximum(seconds)];
        let lag = || time("status says so after", []);
        match self {
            Self::Create => vec![time("3 healthy", [TimesFloor(1.3)]), lag()],
            Self::Grow(Age::Fresh) => vec![time("1 to 3", [Median(2.0), Maximum(4.0)]), lag()],
            Self::Grow(Age::Aged) => vec![time("1 to 3", [Median(3.0)]), lag()],
            Self::GrowAndShrink(Age::Fresh) => {
                vec![time("1 to 7", [Median(5.0), Maximum(8.0)]), time("7 to 1", within(2.0)), lag()]
            }
            Self::GrowAndShrink(Age::Aged) => {
                vec![time("1 to 7", [Median(6.0)]), time("7 to 1", within(2.0)), lag()]
            }
            Self::DeletePod => {
                vec![time("3 healthy again", [TimesFloor(1.3)]), time("from the next Pod on", [TimesFloor(1.3)])]
            }
            Self::Restart => {
                vec![time("no write for", [Maximum(0.2)]), time("worst call", []), time("all restarted", [])]
            }
            Self::LoseDisk(_) => vec![time("3 healthy again", within(2.0))],
            Self::NewMinor => vec![time("after the preflight", within(8.0)), time("with the preflight", [])],
            Self::DeleteTwo => vec![time("writes back", [TimesFloor(1.2)]), time("3 healthy again", [])],
            Self::Ten => vec![time("30 healthy", [TimesFloor(1.3)])],
            Self::Steady => vec![
                Figure { name: "API writes a minute", unit: Unit::PerMinute, bars: vec![Maximum(0.0)] },
                Figure { name: "API reads a minute", unit: Unit::PerMinute, bars: vec![] },
                Figure { name: "resident", unit: Unit::Megabytes, bars: vec![Maximum(steady::RESIDENT)] },
                Figure { name: "of a core", unit: Unit::Percent, bars: vec![Median(1.0)] },
            ],
        }
    }

    /// All repetitions.
    pub(crate) async fn measure(self, bench: &Bench) -> Repetitions {
        match self {
            Self::Create => self.turns(bench, Some(Kind::Plain), async |kind| create::create(bench, kind).await).await,
            Self::Grow(Age::Fresh) => {
                self.turns(bench, Some(Kind::Alone), async |kind| scale::grow(bench, kind, Age::Fresh).await).await
            }
            // Its floor would be one of Pods alone.
            Self::Grow(age) => self.turns(bench, None, async |kind| scale::grow(bench, kind, age).await).await,
            Self::GrowAndShrink(Age::Fresh) => {
                let once = async |kind| scale::grow_and_shrink(bench, kind, Age::Fresh).await;
                self.turns(bench, Some(Kind::Alone), once).await
            }
            Self::GrowAndShrink(age) => {
                self.turns(bench, None, async |kind| scale::grow_and_shrink(bench, kind, age).await).await
            }
            Self::DeletePod => self.on_kept(bench, Age::Fresh, Some(Kind::Plain), pods::delete_one).await,
            Self::DeleteTwo => self.on_kept(bench, Age::Fresh, Some(Kind::Plain), pods::delete_two).await,
            Self::Restart => self.on_kept(bench, Age::Fresh, Some(Kind::Plain), restart::restart).await,
            Self::LoseDisk(Age::Fresh) => self.on_kept(bench, Age::Fresh, Some(Kind::Plain), disk::lose).await,
            // Who joins by a snapshot often hangs for 7 s: that is no floor.
            Self::LoseDisk(age) => self.on_kept(bench, age, None, disk::lose).await,
            Self::NewMinor => self.turns(bench, Some(Kind::Plain), async |kind| minor::roll(bench, kind).await).await,
            Self::Ten => self.turns(bench, Some(Kind::Plain), async |kind| create::ten(bench, kind).await).await,
            Self::Steady => {
                let mut repetitions = Repetitions::of(self.to_string());
                match steady::steady(bench).await {
                    Ok(samples) => samples.into_iter().for_each(|sample| repetitions.ours(Ok(sample))),
                    Err(failure) => repetitions.ours(Err(failure)),
                }
                repetitions
            }
        }
    }

    /// Floor and ours take turns, so that what else the machine does falls on both.
    async fn turns(
        self,
        bench: &Bench,
        floor: Option<Kind>,
        mut once: impl AsyncFnMut(Kind) -> Result<Sample, Failure>,
    ) -> Repetitions {
        let mut repetitions = Repetitions::of(self.to_string());
        for _ in 0..bench.repetitions {
            if let Some(floor) = floor.filter(|_| bench.side != Side::Ours) {
                repetitions.floor(once(floor).await.map(Some));
            }
            if bench.side != Side::Floor {
                repetitions.ours(once(Kind::Ours).await);
            }
        }
        repetitions
    }

    /// As [`Self::turns`], on one cluster of three for each side that stays.
    async fn on_kept(
        self,
        bench: &Bench,
        age: Age,
        floor: Option<Kind>,
        once: impl AsyncFn(&Subject) -> Result<Sample, Failure>,
    ) -> Repetitions {
        let mut kept = kept::Kept::new(bench, age);
        let repetitions = self
            .turns(bench, floor, async |kind| {
                let outcome = match kept.get(kind).await {
                    Ok(subject) => once(subject).await,
                    Err(failure) => Err(failure),
                };
                if outcome.is_err() {
                    kept.give_up(kind).await;
                }
                outcome
            })
            .await;
        kept.end().await;
        repetitions
    }
}

fn time(name: &'static str, bars: impl IntoIterator<Item = Bar>) -> Figure {
    Figure::time(name, bars)
}

/// Nodes that have every image unpacked, and an operator that has begun: nobody's figure.
pub(crate) async fn warm_up(bench: &Bench) -> Result<(), Failure> {
    let subject = Subject::standing(bench, Kind::Ours, 3).await?;
    subject.end().await
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aged = |age: &Age| if *age == Age::Aged { "aged" } else { "fresh" };
        match self {
            Self::Create => f.write_str("create-3"),
            Self::Grow(age) => write!(f, "grow-1-3-{}", aged(age)),
            Self::GrowAndShrink(age) => write!(f, "scale-1-7-1-{}", aged(age)),
            Self::DeletePod => f.write_str("delete-pod"),
            Self::Restart => f.write_str("restart-leader"),
            Self::LoseDisk(age) => write!(f, "lose-disk-{}", aged(age)),
            Self::NewMinor => f.write_str("new-minor"),
            Self::DeleteTwo => f.write_str("delete-two-pods"),
            Self::Ten => f.write_str("create-10-of-3"),
            Self::Steady => f.write_str("steady-100"),
        }
    }
}
