//! New clusters.

use std::time::Instant;

use etcdop_bench::run::Sample;
use futures::future::try_join_all;

use crate::{
    Bench,
    done::Wanted,
    failure::Failure,
    figure::seconds,
    subject::{Kind, Subject},
};

const SIZE: usize = 3;

/// One cluster of three.
pub(super) async fn create(bench: &Bench, kind: Kind) -> Result<Sample, Failure> {
    let began = Instant::now();
    let subject = Subject::declare(bench, kind, SIZE).await?;
    subject.is(&Wanted::voters(SIZE)).await?;
    let mut sample = vec![seconds(began.elapsed())];
    if kind == Kind::Ours {
        sample.push(seconds(subject.shows(SIZE).await?));
    }
    subject.end().await?;
    Ok(sample)
}

/// Ten clusters of three at once.
pub(super) async fn ten(bench: &Bench, kind: Kind) -> Result<Sample, Failure> {
    let began = Instant::now();
    let subjects = try_join_all((0..10).map(|_| async move {
        let subject = Subject::declare(bench, kind, SIZE).await?;
        subject.is(&Wanted::voters(SIZE)).await?;
        Ok::<_, Failure>(subject)
    }))
    .await?;
    let sample = vec![seconds(began.elapsed())];
    try_join_all(subjects.into_iter().map(Subject::end)).await?;
    Ok(sample)
}
