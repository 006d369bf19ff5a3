//! More members, fewer members.

use std::{collections::BTreeMap, time::Instant};

use etcdop_bench::run::Sample;

use crate::{
    Bench,
    done::Wanted,
    failure::Failure,
    figure::seconds,
    load::Age,
    subject::{Kind, Subject},
    wait::settle,
};

/// From one member to three.
pub(super) async fn grow(bench: &Bench, kind: Kind, age: Age) -> Result<Sample, Failure> {
    let subject = Subject::standing(bench, kind, 1).await?;
    let took = to(&subject, 3, age).await?;
    let mut sample = vec![took];
    if kind == Kind::Ours {
        sample.push(seconds(subject.shows(3).await?));
    }
    subject.end().await?;
    Ok(sample)
}

/// From one member to seven; and back to one, where somebody is there who can.
pub(super) async fn grow_and_shrink(bench: &Bench, kind: Kind, age: Age) -> Result<Sample, Failure> {
    let subject = Subject::standing(bench, kind, 1).await?;
    let took = to(&subject, 7, age).await?;
    let mut sample = vec![took];
    if kind == Kind::Ours {
        let lag = seconds(subject.shows(7).await?);
        settle(7).await;
        let began = Instant::now();
        subject.scale(1).await?;
        subject.is(&Wanted::voters(1)).await?;
        sample.extend([seconds(began.elapsed()), lag]);
    }
    subject.end().await?;
    Ok(sample)
}

/// From one member to so many; no voter may be restarted for that.
async fn to(subject: &Subject, size: usize, age: Age) -> Result<f64, Failure> {
    age.put_on(&subject.endpoints().borrow().clone()).await?;
    let before = subject.place(0)?;
    let began = Instant::now();
    subject.scale(size).await?;
    subject.is(&Wanted::voters(size)).await?;
    let took = seconds(began.elapsed());
    let after = subject.place(0)?;
    if (&after.uid, after.restarts) == (&before.uid, before.restarts) {
        Ok(took)
    } else {
        Err(Failure::VoterRestarted { slot: "0".to_owned() })
    }
}

/// The Pods that stand in these slots, for whoever waits for others there.
pub(super) fn former(subject: &Subject, slots: &[usize]) -> BTreeMap<usize, String> {
    let places = subject.places().into_iter().filter(|place| slots.contains(&place.slot) && !place.ends);
    places.map(|place| (place.slot, place.uid)).collect()
}
