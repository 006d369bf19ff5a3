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
    outcome.verdict(ended)
}

impl Outcome {
    fn add(&mut self, played: Played) {
        if let Some(bill) = &played.bill {
            self.acknowledged += bill.total.acked;
            self.lost += bill.lost.len();
            self.breaches += bill.breaches.len();
        }
        self.scenes.push(played);
    }

    /// A broken promise weighs more than a step that did not come to its end.
    fn verdict(&self, ended: Result<(), Failure>) -> Result<Exit, Failure> {
        if self.lost + self.breaches > 0 {
            return Err(Failure::PromisesBroken { lost: self.lost, breaches: self.breaches });
        }
        ended.map(|()| Exit::Ok)
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

    fn late() -> Failure {
        Failure::StepNotDone { step: "scale to 3".to_owned(), waited: Duration::ZERO, why: String::new() }
    }

    #[rstest]
    #[case::all_well(0, 0, Ok(()), Exit::Ok)]
    #[case::a_lost_write(1, 0, Ok(()), Exit::Failed)]
    #[case::another_broken_promise(0, 1, Ok(()), Exit::Failed)]
    #[case::a_step_without_end(0, 0, Err(late()), Exit::NotConverged)]
    #[case::both(1, 0, Err(late()), Exit::Failed)]
    #[case::a_ctrl_c(0, 0, Err(Failure::Interrupted), Exit::Aborted)]
    fn only_a_run_in_which_all_promises_were_kept_succeeds(
        #[case] lost: usize,
        #[case] breaches: usize,
        #[case] ended: Result<(), Failure>,
        #[case] exit: Exit,
    ) {
        let outcome =
            Outcome { scenes: Vec::new(), acknowledged: 9, lost, breaches, took_seconds: Duration::from_secs(1) };
        assert!(outcome.text().contains(&format!("acknowledged writes 9, lost {lost}, in 1.0 s")));
        assert_eq!(outcome.verdict(ended).unwrap_or_else(|failure| failure.exit()), exit);
    }

    #[test]
    fn the_demo_shows_every_step_that_it_promises() {
        let told: Vec<String> = SCENES
            .iter()
            .flat_map(|scene| {
                let created = format!("create {} on {}", scene.size, scene.minor);
                std::iter::once(created).chain(scene.acts.iter().map(ToString::to_string))
            })
            .collect();
        let promised = [
            "create 1 on 3.6",
            "scale to 3",
            "scale to 7",
            "scale to 3",
            "SIGKILL the leader",
            "wipe a disk",
            "freeze a member",
            "kill all members at once",
            "scale to 1",
            "create 3 on 3.5",
            "roll to 3.6",
            "roll to 3.7",
            "hibernate",
            "wake with 3",
            "scale to 1",
        ];
        assert_eq!(told, promised);
    }
}
