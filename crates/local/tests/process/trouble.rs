//! What the machine may be like: each trouble has words of its own and leaves everything as it was.

use std::{
    fs,
    future::Future,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use etcdop_core::{
    id::Slot,
    observation::Phase,
    size::Size,
    step::{GroundStep, Layout},
};
use etcdop_engine::{
    outcome::{CommitError, Outcome},
    platform::{Ground, Platform},
};
use etcdop_local::{binaries::VersionWish, home::Home, open::Cluster};
use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities};

use crate::stand::{ByHand, Stand, ZERO, instance, is_phase, revision};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_stranger_took_is_named_and_waited_for() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let dial = manager.platform.slot_zero().await.dial;
    manager.platform.hold(&[]).await;
    manager.platform.until(|ground| instance(ground).is_none()).await;
    let stranger = TcpListener::bind(dial.client.trim_start_matches("http://")).unwrap();
    let port = stranger.local_addr().unwrap().port();
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    let words = format!("client port {port} of slot 0 is used by another process");
    manager
        .platform
        .until(|ground| matches!(instance(ground).unwrap().1, Phase::Exited(ref why) if why.0.contains(&words)))
        .await;
    drop(stranger);
    manager.platform.until_serving().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_taken_before_the_first_start_is_named_too() {
    let stand = Stand::new().await;
    // All three are held: one that was let go of could be taken by somebody else.
    let strangers = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = strangers.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let text = serde_json::json!({"0": {"client": ports[0], "peer": ports[1], "metrics": ports[2]}}).to_string();
    fs::write(stand.path().join("ports.json"), text).unwrap();
    let manager = stand.manager().await;
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    let words = format!("client port {} of slot 0 is used by another process", ports[0]);
    let said = |ground: &Ground| {
        instance(ground).is_some_and(|(_, phase)| matches!(phase, Phase::Pending(why) if why.0.contains(&words)))
    };
    manager.platform.until(said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_there_is_said_with_those_that_are() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let mut launch = stand.launch();
    launch.template.version = "3.6.0".parse().unwrap();
    manager.platform.hold(&[(ZERO, launch)]).await;
    let found = stand.version.to_string();
    manager
        .platform
        .until(|ground| {
            instance(ground).is_some_and(|(_, phase)| {
                matches!(phase, Phase::Pending(ref why) if why.0.contains("no etcd 3.6.0") && why.0.contains(&found))
            })
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_understood_is_never_overwritten() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let record = manager.platform.seat(&stand.launch()).await;
    let before = manager.platform.observe().await;
    let path = stand.path().join("record.json");
    for (text, words) in [("{", "not what this program writes"), (r#"{"schema": 2, "sequence": 1}"#, "schema 2")] {
        fs::write(&path, text).unwrap();
        let blocker = manager.platform.observe().await.record.unwrap_err().to_string();
        assert!(blocker.contains(words), "{blocker}");
        let refused = manager.platform.commit(&revision(&before), &record).await.unwrap_err();
        assert!(matches!(&refused, CommitError::Failed(why) if why.contains(words)), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    drop(manager);
    let refused = stand.cluster.manager(stand.binaries.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("record.json"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_cannot_be_prepared_changes_nothing() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    // A file where the slots' directories belong.
    fs::write(stand.path().join("members"), "").unwrap();
    let layout = Layout { slots: [(ZERO, stand.launch())].into() };
    let outcome = manager.platform.apply(&GroundStep::Ensure(layout)).await;
    assert!(matches!(&outcome, Outcome::NotApplied(why) if why.contains("members")), "{outcome:?}");
    assert!(!stand.path().join("layout.json").exists());
    assert!(stand.processes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_that_cannot_be_made_keeps_no_other_from_running() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let launch = stand.launch();
    manager.platform.seat(&launch).await;
    // A file where the directory of slot 1 belongs.
    fs::write(stand.slot(Slot(1)), "").unwrap();
    let slots = [(ZERO, launch.clone()), (Slot(1), launch.clone()), (Slot(2), launch)];
    let outcome = manager.platform.apply(&GroundStep::Ensure(Layout { slots: slots.clone().into() })).await;
    assert!(matches!(&outcome, Outcome::NotApplied(why) if why.contains("members/1")), "{outcome:?}");
    let ground = manager.platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    let declared = ground.slots.iter().filter(|(_, slot)| slot.declared.is_some()).map(|(slot, _)| slot.0);
    assert_eq!(declared.collect::<Vec<_>>(), [0, 2]);
    // A commit, too, goes as far as it can.
    let before = manager.platform.observe().await.record.unwrap();
    let mut record = before.value;
    (1..3).for_each(|slot| record.reserve(Slot(slot), stand.launch()));
    let committed = manager.platform.commit(&before.revision, &record).await;
    assert!(matches!(&committed, Err(CommitError::Unknown(why)) if why.contains("members/1")), "{committed:?}");
    assert!(stand.slot(Slot(2)).join("run/seat").exists());
    // What can be made after all is held with the next try.
    fs::remove_file(stand.slot(Slot(1))).unwrap();
    manager.platform.hold(&slots).await;
}

/// Lets every write to this file end on a full disk.
fn fill(file: &Path) {
    // Where its next content is written before it takes its place.
    let beside = file.with_file_name(format!("{}.tmp", file.file_name().unwrap().to_str().unwrap()));
    symlink("/dev/full", beside).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_record_layout_and_manifest_as_they_were() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let mut record = manager.platform.seat(&stand.launch()).await;
    let before = manager.platform.observe().await;
    for file in ["record.json", "layout.json"] {
        fill(&stand.path().join(file));
    }
    symlink("/dev/full", stand.path().join("cluster.yaml.new")).unwrap();

    record.reserve(Slot(1), stand.launch());
    let refused = manager.platform.commit(&revision(&before), &record).await.unwrap_err();
    assert!(matches!(&refused, CommitError::Failed(why) if why.contains("No space left")), "{refused}");
    let layout = Layout { slots: [(ZERO, stand.launch())].into() };
    let outcome = manager.platform.apply(&GroundStep::Ensure(layout)).await;
    assert!(matches!(&outcome, Outcome::NotApplied(why) if why.contains("No space left")), "{outcome:?}");
    let size = Size::try_from(3).unwrap();
    let refused = stand.cluster.set_size(size).unwrap_err().to_string();
    assert!(refused.contains("No space left") && refused.contains("as it was"), "{refused}");

    assert_eq!(manager.platform.observe().await.record, before.record);
    assert_eq!(stand.cluster.manifest().unwrap().size.get(), 1);
    assert!(stand.processes().is_empty());
}

/// A named pipe: whoever opens it waits for the other end, as for a disk that hangs. When it is dropped they come to the end of an
/// empty file.
struct Hanging<'path>(&'path Path);

impl<'path> Hanging<'path> {
    fn at(path: &'path Path) -> Self {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
        Self(path)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        drop(fs::File::options().read(true).write(true).open(self.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_nobody_up_and_loses_no_order() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let platform = &manager.platform;
    let mut record = platform.seat(&stand.launch()).await;
    let before = platform.observe().await;
    let (path, aside) = (stand.path().join("record.json"), stand.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    let hanging = Hanging::at(&path);
    record.reserve(Slot(1), stand.launch());

    let late = platform.commit(&revision(&before), &record).await.unwrap_err();
    assert!(matches!(&late, CommitError::Unknown(why) if why.contains("did not answer within 5s")), "{late}");
    let layout = GroundStep::Ensure(Layout { slots: [(ZERO, stand.launch())].into() });
    let refused = platform.apply(&layout).await;
    assert!(matches!(&refused, Outcome::NotApplied(why) if why.contains("earlier access")), "{refused:?}");
    let blind = platform.observe().await.record.unwrap_err().to_string();
    assert!(blind.contains("did not answer within 2s"), "{blind}");

    // What hung comes to its end, and finds nothing that it could mean.
    drop(hanging);
    fs::rename(&aside, &path).unwrap();
    assert_eq!(platform.apply(&layout).await, Outcome::Done);
    assert_eq!(platform.observe().await.record, before.record);
    platform.commit(&revision(&before), &record).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_note_found_no_space_runs_and_is_found_again() {
    let stand = Stand::new().await;
    fs::create_dir_all(stand.slot(ZERO).join("run")).unwrap();
    fill(&stand.slot(ZERO).join("run/instance.json"));
    let manager = stand.serving().await;
    let running = manager.platform.instance().await;
    drop(manager);
    let manager = stand.manager().await;
    assert_eq!(manager.platform.until_serving().await, running);
}

/// Runs a test as a user whom permissions apply to, also when that is root.
fn without_privileges(body: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(|| {
        for capability in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
            // For the programs that are started, too. Whoever may not do this has no such privileges either.
            let _ = remove_capability_from_bounding_set(capability);
        }
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        // Threads that it starts have the privileges of the one that starts them.
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
    });
    thread.join().unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_directory_is_said_to_be_one_and_nothing_changes() {
    without_privileges(async {
        let stand = Stand::new().await;
        let manager = stand.manager().await;
        let record = manager.platform.seat(&stand.launch()).await;
        let before = manager.platform.observe().await;
        mode(&stand.path(), 0o555);
        mode(stand.home.path(), 0o555);
        let refused = manager.platform.commit(&revision(&before), &record).await.unwrap_err();
        assert!(matches!(&refused, CommitError::Failed(why) if why.contains("Permission denied")), "{refused}");
        let refused = stand.cluster.set_size(Size::try_from(3).unwrap()).unwrap_err().to_string();
        assert!(refused.contains("cluster.yaml cannot be written: Permission denied"), "{refused}");
        let wish = VersionWish::Exact(stand.version.clone());
        let home = Home::at(stand.home.path()).unwrap();
        let refused = Cluster::create(&home, &"other".parse().unwrap(), Size::ZERO, &wish).unwrap_err().to_string();
        assert!(refused.contains("other cannot be created: Permission denied"), "{refused}");
        mode(stand.home.path(), 0o755);
        mode(&stand.path(), 0o755);
        assert_eq!(manager.platform.observe().await.record, before.record);
    });
}

#[test]
fn a_data_directory_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    without_privileges(async {
        let stand = Stand::new().await;
        let manager = stand.serving().await;
        let data = stand.slot(ZERO).join("volume/etcd");
        mode(&data, 0o000);
        let volume = manager.platform.slot_zero().await.volume;
        assert!(volume.as_ref().is_err_and(|why| why.0.contains("Permission denied")), "{volume:?}");
        let running = manager.platform.instance().await;
        manager.platform.apply(&GroundStep::Retire(ZERO, running)).await;
        let refused = |ground: &Ground| matches!(&instance(ground).unwrap().1, Phase::Refused(why) if why.0.contains("cannot be read"));
        manager.platform.until(refused).await;
        mode(&data, 0o700);
        manager.platform.until_serving().await;
    });
}
