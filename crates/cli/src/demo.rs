//! `demo`: a real cluster is created, scaled, killed, healed and rolled while a witness writes and watches; the bill at the end
//! says what was promised and not kept.
//!
//! There are two scenes, each with a cluster and a witness of its own, one after the other. How many learners a cluster may take
//! at once is decided at its birth (DESIGN §3, rule 3): one born on 3.6 shows the parallel way from 3 to 7 in a second, where one
//! born on 3.5 waits five seconds for every pair of members. And only one born on 3.5 shows the way from 3.5 to 3.7.

mod act;
mod script;
mod stage;

use std::time::{Duration, Instant};

use etcdop_core::version::Minor;
use etcdop_local::{
    binaries::{Binaries, VersionWish},
    home::Home,
};
use etcdop_witness::Bill;
use serde::{Serialize, Serializer};

use self::{
    script::{SCENES, Scene},
    stage::Stage,
};
use crate::{
    exit::Exit,
    failure::Failure,
    local::{Context, signals::Signals},
    output::Output,
    progress::Spinner,
};

/// What came out of the whole run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    scenes: Vec<Played>,
    acknowledged: usize,
    lost: usize,
    /// Promises broken in another way.
    breaches: usize,
    #[serde(serialize_with = "seconds")]
    took_seconds: Duration,
}

/// What came out of a scene.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Played {
    scene: &'static str,
    steps: Vec<Step>,
    /// Missing when the scene ended before anything could be written.
    bill: Option<Bill>,
}

/// One step that came to its end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    step: String,
    #[serde(serialize_with = "seconds")]
    took_seconds: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Plays all scenes in a temporary directory.
pub(crate) async fn demo(context: &Context) -> Result<Exit, Failure> {
    let began = Instant::now();
    let mut signals = Signals::listen()?;
    let binaries = Binaries::find(context.etcd_dir.as_deref()).await?;
    for minor in [Minor::new(3, 5), Minor::new(3, 6), Minor::new(3, 7)] {
        binaries.resolve(&VersionWish::Newest(minor))?;
    }
    let no_place = |source| Failure::System { what: "there is no temporary directory", source };
    let directory = tempfile::Builder::new().prefix("etcdop-demo-").tempdir().map_err(no_place)?;
    let home = Home::at(directory.path())?;
    let mut outcome =
        Outcome { scenes: Vec::new(), acknowledged: 0, lost: 0, breaches: 0, took_seconds: Duration::ZERO };
    let mut ended = Ok(());
    for scene in &SCENES {
        let (played, end) = play(scene, &home, &binaries, &mut signals, context.output).await;
        outcome.add(played);
        if end.is_err() {
            ended = end;
            break;
        }
    }
    outcome.took_seconds = began.elapsed();
    context.output.show(&outcome, |_| outcome.text())?;
    ended?;
    outcome.verdict()
}

impl Outcome {
    /// A demo in which anything was lost has failed, also when every step converged.
    const fn verdict(&self) -> Result<Exit, Failure> {
        match (self.lost, self.breaches) {
            (0, 0) => Ok(Exit::Ok),
            (lost, breaches) => Err(Failure::PromisesBroken { lost, breaches }),
        }
    }

    fn add(&mut self, played: Played) {
        if let Some(bill) = &played.bill {
            self.acknowledged += bill.total.acked;
            self.lost += bill.lost.len();
            self.breaches += bill.breaches.len();
        }
        self.scenes.push(played);
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        for Played { scene, bill, .. } in &self.scenes {
            lines.push(format!("\nThe bill: {scene}\n"));
            lines.push(bill.as_ref().map_or_else(|| "nothing was written".to_owned(), ToString::to_string));
        }
        let Self { acknowledged, lost, took_seconds, .. } = self;
        lines
            .push(format!("\nacknowledged writes {acknowledged}, lost {lost}, in {:.1} s", took_seconds.as_secs_f64()));
        lines.join("\n")
    }
}

/// Plays one scene and clears the stage, however it ends.
async fn play(
    scene: &Scene,
    home: &Home,
    binaries: &Binaries,
    signals: &mut Signals,
    output: Output,
) -> (Played, Result<(), Failure>) {
    let mut played = Played { scene: scene.title, steps: Vec::new(), bill: None };
    let mut stage = match Stage::set(scene, home, binaries).await {
        Ok(stage) => stage,
        Err(failure) => return (played, Err(failure)),
    };
    let mut end = output.note(&format!("\n{}", scene.title));
    if end.is_ok() {
        end = tokio::select! {
            end = perform(scene, &mut stage, &mut played.steps, output) => end,
            () = signals.next() => Err(Failure::Interrupted),
        };
    }
    let spinner = Spinner::start("reading everything back");
    let clear = async {
        played.bill = if matches!(end, Err(Failure::Interrupted)) { None } else { stage.bill().await };
        spinner.say(|| "stopping the members".to_owned());
        stage.clear().await;
    };
    tokio::select! {
        () = clear => {}
        () = signals.next() => end = Err(Failure::Interrupted),
    }
    (played, end)
}

/// The first step is the cluster's creation, the others are the scene's acts.
async fn perform(scene: &Scene, stage: &mut Stage, steps: &mut Vec<Step>, output: Output) -> Result<(), Failure> {
    let created = stage.created().await?;
    done(steps, format!("create {} on {}", scene.size, scene.minor), created, output)?;
    stage.call_witness().await?;
    for act in scene.acts {
        let took = stage.perform(*act).await?;
        done(steps, act.to_string(), took, output)?;
    }
    Ok(())
}

fn done(steps: &mut Vec<Step>, step: String, took: Duration, output: Output) -> Result<(), Failure> {
    let line = format!("  {step:<28}{:>7.2} s", took.as_secs_f64());
    steps.push(Step { step, took_seconds: took });
    output.note(&line)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::clean(0, 0, Exit::Ok)]
    #[case::a_lost_write(1, 0, Exit::Failed)]
    #[case::a_promise_broken_in_another_way(0, 1, Exit::Failed)]
    fn a_demo_fails_when_it_ends_with(#[case] lost: usize, #[case] breaches: usize, #[case] exit: Exit) {
        let outcome =
            Outcome { scenes: Vec::new(), acknowledged: 7, lost, breaches, took_seconds: Duration::from_secs(1) };
        assert_eq!(outcome.verdict().unwrap_or_else(|failure| failure.exit()), exit);
        assert!(outcome.text().ends_with(&format!("acknowledged writes 7, lost {lost}, in 1.0 s")));
    }
}
