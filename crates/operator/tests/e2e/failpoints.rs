//! Item 8: the operator dies right before, or right after, every single change that it makes, of an object or in etcd, and the next one
//! goes on from there.
//!
//! Changes have names (`src/requests/change.rs`, and the words of etcd's steps). Each operator of a walk dies at the first change that
//! none before it has died at, so in one walk every change has a death right before it, and in another one right after it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use kube::api::DeleteParams;
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::stage::{Stage, rests};

/// For one goal of a walk: an operator lives for about a second, and there are dozens of them.
const PATIENCE: Duration = Duration::from_mins(8);
/// For how long a cluster must have been as declared, under one operator, to count as such: chores come after that.
const CALM: Duration = Duration::from_secs(3);
/// Between two looks at whether the operator lives.
const PULSE: Duration = Duration::from_millis(10);
/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(250);

/// What happens to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Created with one member, grown to three, shrunk to one.
    OneThreeOne,
    /// One of three loses its disk.
    Replacement,
    /// Another minor version.
    Roll,
}

impl Story {
    const fn name(self) -> &'static str {
        match self {
            Self::OneThreeOne => "growth",
            Self::Replacement => "replacement",
            Self::Roll => "roll",
        }
    }

    /// Words of changes without which the story was not told.
    const fn must_change(self) -> &'static [&'static str] {
        match self {
            Self::OneThreeOne => &[
                "POST /api/v1/namespaces/@/configmaps",
                "POST /api/v1/namespaces/@/persistentvolumeclaims",
                "PUT /api/v1/namespaces/@/configmaps/demo-members",
                "PATCH /apis/apps/v1/namespaces/@/statefulsets/demo",
                "PATCH /api/v1/namespaces/@/pods/demo-2",
                "PATCH /api/v1/namespaces/@/persistentvolumeclaims/data-demo-2",
                "PATCH /api/v1/namespaces/@/services/demo-peer",
                "PATCH /api/v1/namespaces/@/services/demo-client",
                "PATCH /apis/policy/v1/namespaces/@/poddisruptionbudgets/demo",
                "PATCH /apis/etcd.etcd.io/v1alpha1/namespaces/@/etcdclusters/demo/status \"Scaling\"",
                "DELETE /api/v1/namespaces/@/persistentvolumeclaims/data-demo-2",
                "add slot 1 as a learner",
                "promote learner",
                "remove member",
            ],
            Self::Replacement => &[
                "PUT /api/v1/namespaces/@/configmaps/demo-members",
                "PATCH /api/v1/namespaces/@/pods/demo-",
                "remove member",
                "add slot",
                "promote learner",
            ],
            Self::Roll => &[
                "POST /api/v1/namespaces/@/pods \"demo-preflight\"",
                "DELETE /api/v1/namespaces/@/pods/demo-preflight",
                "save a snapshot",
                "PUT /api/v1/namespaces/@/configmaps/demo-members",
                "PATCH /apis/apps/v1/namespaces/@/statefulsets/demo",
                "POST /api/v1/namespaces/@/pods/demo-0/eviction",
                "move leadership",
            ],
        }
    }
}

/// On which side of each change operators die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl Side {
    const fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

#[rstest]
#[case::growth_and_shrinking_before(Story::OneThreeOne, Side::Before)]
#[case::growth_and_shrinking_after(Story::OneThreeOne, Side::After)]
#[case::a_replacement_before(Story::Replacement, Side::Before)]
#[case::a_replacement_after(Story::Replacement, Side::After)]
#[case::a_roll_before(Story::Roll, Side::Before)]
#[case::a_roll_after(Story::Roll, Side::After)]
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_dies_at_any_change_is_followed_by_one_that_goes_on(#[case] story: Story, #[case] side: Side) {
    let Some(stage) = Stage::bare(&format!("dies-{}-{}", story.name(), side.word())).await else { return };
    let files = tempfile::tempdir().unwrap();
    let log = files.path().join("changes");
    let mut walk = Walk { stage, side, log, files, deaths: 0 };
    match story {
        Story::OneThreeOne => walk.one_three_one().await,
        Story::Replacement => walk.replacement().await,
        Story::Roll => walk.roll().await,
    }
    walk.visited_everything(story);
    walk.stage.end().await;
}

/// A cluster whose operators die one after the other.
struct Walk {
    stage: Stage,
    side: Side,
    log: PathBuf,
    files: TempDir,
    deaths: usize,
}

impl Walk {
    async fn one_three_one(&mut self) {
        self.stage.create(json!({ "size": 1 })).await;
        self.next_operator();
        self.until("one member", 1, async |_| true).await;
        let witness = self.stage.witness().await;
        for size in [3, 1] {
            self.stage.scale(size).await;
            self.until("as many members as declared", size, async |_| true).await;
        }
        self.stage.settle(witness).await;
    }

    async fn replacement(&mut self) {
        self.formed(json!({ "size": 3 })).await;
        let witness = self.stage.witness().await;
        let before = self.stage.members().await;
        let slot = (self.stage.leader().await + 1) % 3;
        self.stage.operator.kill().await;
        self.stage.claims().delete(&self.stage.claim(slot), &DeleteParams::default()).await.unwrap();
        let uid = self.stage.delete_pod(slot).await;
        self.stage.is_another_pod(slot, &uid).await;
        self.next_operator();
        let pod = self.stage.pod(slot);
        let replaced =
            async |stage: &Stage| stage.members().await.get(&pod).is_some_and(|id| before.get(&pod) != Some(id));
        self.until("another member in its place", 3, replaced).await;
        let after = self.stage.members().await;
        let kept = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).count();
        assert_eq!(kept, 2, "the others are untouched: {before:?} {after:?}");
        self.stage.settle(witness).await;
    }

    async fn roll(&mut self) {
        self.formed(json!({ "size": 3, "version": "3.5.35" })).await;
        let witness = self.stage.witness().await;
        let before = self.stage.members().await;
        self.stage.operator.kill().await;
        self.stage.edit(json!({ "version": "3.6.16" })).await;
        self.next_operator();
        let rolled = async |stage: &Stage| stage.status().await.version.as_deref() == Some("3.6.16");
        self.until("on the new minor", 3, rolled).await;
        assert_eq!(self.stage.members().await, before, "the same members on the same disks");
        self.stage.settle(witness).await;
    }

    /// A cluster that one operator has made in peace.
    async fn formed(&mut self, spec: serde_json::Value) {
        self.stage.run_operator(&[self.snapshots()]);
        self.stage.create(spec).await;
        self.stage.converged().await;
    }

    fn snapshots(&self) -> (&'static str, String) {
        ("ETCD_OPERATOR_SNAPSHOT_DIR", self.files.path().join("snapshots").display().to_string())
    }

    fn next_operator(&mut self) {
        let armed = [
            ("ETCDOP_FAILPOINT", format!("new:{}", self.side.word())),
            ("ETCDOP_FAILPOINT_LOG", self.log.display().to_string()),
            self.snapshots(),
        ];
        self.stage.run_operator(&armed);
    }

    /// Until a cluster of this size is as declared, is so by the members' own words, and stays so under an operator that lives.
    async fn until(&mut self, what: &str, size: i64, wanted: impl AsyncFn(&Stage) -> bool) {
        let begin = Instant::now();
        let (mut looked, mut calm) = (None::<Instant>, None::<Instant>);
        loop {
            if let Some(ended) = self.stage.operator.has_ended() {
                assert_eq!(ended.signal(), Some(9), "it did not die at a fail point: {}", self.stage.operator.log());
                self.deaths += 1;
                assert_eq!(self.lines("died ").len(), self.deaths, "it died of something else");
                self.next_operator();
                calm = None;
            }
            if looked.is_none_or(|at| at.elapsed() > LOOK) {
                looked = Some(Instant::now());
                let resource = self.stage.resources().get(&self.stage.name).await.unwrap();
                let status = resource.status.unwrap_or_default();
                let is_so = status.observed_generation == resource.metadata.generation && rests(&status, size);
                calm = if is_so && wanted(&self.stage).await { calm.or_else(|| Some(Instant::now())) } else { None };
                assert!(
                    begin.elapsed() < PATIENCE,
                    "not {what} after {} deaths: {status:#?}\n{}",
                    self.deaths,
                    self.tail()
                );
            }
            if calm.is_some_and(|since| since.elapsed() > CALM) {
                break;
            }
            sleep(PULSE).await;
        }
        self.stage.roll_call(usize::try_from(size).unwrap()).await;
        eprintln!("{}: {what} after {} deaths and {:?}", self.stage.namespace, self.deaths, begin.elapsed());
    }

    /// What follows this in lines of the log.
    fn lines(&self, beginning: &str) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter_map(|line| Some(line.strip_prefix(beginning)?.to_owned())).collect()
    }

    /// The newest lines of the log, which say what the operators were at.
    fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Every change that was made had its death; and they were those that the story is made of.
    fn visited_everything(&self, story: Story) {
        let log = fs::read_to_string(&self.log).unwrap();
        let made =
            log.lines().filter_map(|line| line.split_once(' ')).filter(|(number, _)| number.parse::<u64>().is_ok());
        let made: BTreeSet<String> = made.map(|(_, words)| words.to_owned()).collect();
        let died = self.lines(&format!("died {} ", self.side.word()));
        // One may have died since, of something that nobody waits for.
        let deaths = died.len();
        assert!(deaths >= self.deaths, "{deaths} of {} deaths were at a fail point", self.deaths);
        let mut visited: BTreeSet<String> = died.into_iter().collect();
        assert_eq!(visited.len(), deaths, "somebody died at a change that another one had died at");
        if self.side == Side::After {
            // Changes that are under way at the same time die together.
            visited.extend(self.lines("cut off "));
        }
        let missed: Vec<&String> = made.difference(&visited).collect();
        assert!(missed.is_empty(), "without a death: {missed:#?}");
        // They are told beside the changes: whoever dies after each of those may not come to it.
        let events = "POST /apis/events.k8s.io/v1/namespaces/@/events";
        let told = (story == Story::OneThreeOne && self.side == Side::Before).then_some(events);
        for words in story.must_change().iter().copied().chain(told) {
            let words = words.replace('@', &self.stage.namespace);
            assert!(made.iter().any(|change| change.starts_with(&words)), "no `{words}` in {made:#?}");
        }
        eprintln!("{}: {} changes, {deaths} deaths", self.stage.namespace, made.len());
    }
}
