//! Versions and options change under writers.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use etcdop_core::{desired::Patience, observation::Probe, reason::Reason};
use etcdop_local::binaries::{Binaries, VersionWish};
use rstest::rstest;

use crate::{
    scale::learner_limits,
    stage::{Setup, Stage},
};

#[tokio::test(flavor = "multi_thread")]
async fn from_3_5_over_3_6_to_3_7_every_member_is_restarted_once_a_minor_and_stays_itself() {
    let (stage, witness, before) = Setup::new("3.5", 3).under_writers().await;
    assert_eq!(learner_limits(&stage), [None].into());
    for version in ["3.6", "3.7"] {
        witness.phase(version);
        let starts = stage.starts();
        stage.set_version(version);
        stage.converged().await;
        let after = stage.roll_call(3).await;
        assert_eq!((&after.members, after.cluster), (&before.members, before.cluster));
        assert!(after.version().starts_with(version), "{after:?}");
        // Who was born on 3.5 takes one learner at a time for ever (rule 3).
        assert_eq!(learner_limits(&stage), [Some("1".to_owned())].into());
        let now = stage.starts();
        assert!(starts.iter().zip(&now).all(|(before, now)| before + 1 == *now), "{starts:?}, {now:?}");
        let saved = fs::read_dir(stage.cluster.directory().snapshots()).unwrap().flatten();
        let names: Vec<_> = saved.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        assert!(names.iter().any(|name| name.contains(version)), "no snapshot from before {version}: {names:?}");
    }
    stage.settle(witness).await;
}

#[rstest]
#[case::on_3_5("3.5", "max-txn-ops", "200")]
#[case::on_3_6("3.6", "max-txn-ops", "200")]
#[case::on_3_7("3.7", "max-txn-ops", "200")]
#[tokio::test(flavor = "multi_thread")]
async fn changed_options_reach_every_member(#[case] version: &str, #[case] flag: &str, #[case] value: &str) {
    let (stage, witness, before) = Setup::new(version, 3).under_writers().await;
    let starts = stage.starts();
    stage.edit("etcd: {}", &format!("etcd: {{snapshotCount: 5000, extraArgs: {{{flag}: \"{value}\"}}}}"));
    stage.converged().await;
    let after = stage.roll_call(3).await;
    assert_eq!(after.members, before.members);
    for process in stage.processes().values() {
        let arguments = process.arguments();
        assert!(arguments.contains("--snapshot-count=5000"), "{arguments}");
        assert!(arguments.contains(&format!("--{flag}={value}")), "{arguments}");
    }
    let now = stage.starts();
    assert!(starts.iter().zip(&now).all(|(before, now)| before + 1 == *now), "{starts:?}, {now:?}");
    stage.settle(witness).await;
}

#[rstest]
#[case::from_3_6("3.6", "3.5")]
#[case::from_3_7("3.7", "3.6")]
#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_goes_through(#[case] from: &str, #[case] to: &str) {
    let (stage, witness, before) = Setup::new(from, 3).under_writers().await;
    stage.set_version(to);
    stage.converged().await;
    let after = stage.roll_call(3).await;
    assert_eq!((&after.members, after.cluster), (&before.members, before.cluster));
    assert!(after.version().starts_with(to), "{after:?}");
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_set_back_half_way_ends_where_it_began() {
    let (stage, witness, before) = Setup::new("3.6", 3).under_writers().await;
    stage.set_version("3.5");
    stage.until_on("3.5.", 1).await;
    stage.set_version("3.6");
    stage.converged().await;
    let after = stage.roll_call(3).await;
    assert_eq!((&after.members, after.version()), (&before.members, before.version()));
    for slot in after.members.keys() {
        let status = stage.patient_client(*slot).status().await.unwrap().value;
        assert_eq!(status.downgrade, None, "slot {slot} is in downgrade mode");
    }
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_start_is_put_back_and_another_one_heals() {
    let etcd = tempfile::tempdir().unwrap();
    let real = with_a_broken_etcd(etcd.path()).await;
    // Time enough for an etcd that starts, also when it waits 7 s for its first word to be heard and the machine is loaded.
    let impatient = |patience: &mut Patience| patience.restart = Duration::from_secs(20);
    let (stage, witness, before) =
        Setup::new(&real, 3).etcd(etcd.path().to_owned()).patience(impatient).under_writers().await;
    let starts = stage.starts();
    stage.set_version("3.6.99");
    let rejected =
        |reason: &Reason| matches!(reason, Reason::StillRejected { version } if version.to_string() == "3.6.99");
    let put_back = |now: &etcdop_engine::publish::Published| {
        now.plan.reasons.iter().any(rejected) && now.observation.record.value.open.is_none()
    };
    stage.until("the broken version is given up", |now, _| put_back(now)).await;
    stage.until("all are well again", |now, summary| put_back(now) && summary.ready == 3).await;
    let after = stage.roll_call(3).await;
    assert_eq!((&after.members, after.version()), (&before.members, before.version()));
    let touched = starts.iter().zip(stage.starts()).filter(|(before, now)| **before != *now).count();
    assert_eq!(touched, 1, "only one member was tried");

    stage.set_version("3.7");
    stage.converged().await;
    let healed = stage.roll_call(3).await;
    assert_eq!(healed.members, before.members);
    assert!(healed.version().starts_with("3.7."), "{healed:?}");
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_over_a_minor_changes_nothing_and_says_where_to_go_first() {
    let stage = Setup::new("3.5", 3).formed().await;
    let (before, began) = (stage.roll_call(3).await, stage.processes());
    stage.set_version("3.7");
    let refused = |reason: &Reason| matches!(reason, Reason::VersionPath(_));
    let summary = stage.until("the way is refused", |now, _| now.plan.reasons.iter().any(refused)).await;
    assert!(
        summary.reasons.iter().any(|reason| reason.contains("set a version of 3.6 first")),
        "{:?}",
        summary.reasons
    );
    assert_eq!((stage.roll_call(3).await, stage.processes()), (before, began));
}

/// What `make etcd` built, and an etcd 3.6.99 that ends at once. Returns the newest real 3.6.
async fn with_a_broken_etcd(dir: &Path) -> String {
    let binaries = Binaries::find(None).await.unwrap();
    let mut newest = None;
    for minor in ["3.6", "3.7"] {
        let version = binaries.resolve(&minor.parse::<VersionWish>().unwrap()).unwrap();
        let folder = dir.join(minor);
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(binaries.etcd(&version).unwrap(), folder.join("etcd")).unwrap();
        newest.get_or_insert_with(|| version.to_string());
    }
    let broken = dir.join("etcd");
    let script =
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'etcd Version: 3.6.99' && exit 0\necho broken >&2\nexit 1\n";
    fs::write(&broken, script).unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    newest.unwrap()
}

impl Stage {
    /// How often each disk's etcd was started, as its marker counts it.
    pub(crate) fn starts(&self) -> Vec<u64> {
        let ground = self.published().observation;
        let slots = ground.ground.keys();
        slots.map(|slot| starts(&self.files(*slot).join("volume/marker"))).collect()
    }

    /// Until at least so many members say that they run this version.
    pub(crate) async fn until_on(&self, version: &str, members: usize) {
        self.until("members run another version", |now, _| {
            let known = now.observation.status.values().filter_map(Probe::known);
            known.filter(|status| status.version.to_string().starts_with(version)).count() >= members
        })
        .await;
    }
}

fn starts(marker: &Path) -> u64 {
    let text = fs::read_to_string(marker).unwrap();
    text.lines().find_map(|line| line.strip_prefix("epoch=")).unwrap().parse().unwrap()
}
