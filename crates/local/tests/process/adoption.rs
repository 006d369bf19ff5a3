//! Members outlive their manager, however it ends, and the next one knows them again.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use etcdop_core::observation::Phase;
use etcdop_engine::platform::Platform;
use etcdop_local::{
    binaries::Binaries,
    faults::{self, Fault},
    home::Home,
    open::Cluster,
};
use rustix::process::{Signal, kill_process, test_kill_process};

use crate::stand::{ByHand, Stand, ZERO, instance, is_phase, name, pid, wait_for};

const HOME: &str = "ETCDOP_TEST_MANAGER_HOME";

/// A manager in a process of its own; killed when dropped.
struct OtherManager(Child);

impl OtherManager {
    /// Starts it and waits until it keeps the cluster.
    fn start(home: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "adoption::a_manager_for_other_tests", "--nocapture", "--test-threads=1"]);
        let child = command.env(HOME, home).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut manager = Self(child.unwrap());
        let output = BufReader::new(manager.0.stdout.take().unwrap());
        let keeps = output.lines().map_while(Result::ok).any(|line| line.contains("keeping"));
        assert!(keeps, "the other manager ended");
        manager
    }
}

impl Drop for OtherManager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test by itself: started with a home by others, it keeps the cluster there until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_for_other_tests() {
    let Some(home) = env::var_os(HOME) else { return };
    let cluster = Cluster::open(&Home::at(Path::new(&home)).unwrap(), &name()).unwrap();
    let manager = cluster.manager(Binaries::find(None).await.unwrap()).await.unwrap();
    writeln!(std::io::stdout(), "keeping").unwrap();
    loop {
        manager.platform.changed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_survives_sigkill_of_its_manager_and_is_adopted() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    drop(manager);
    let mut other = OtherManager::start(stand.home.path());
    let restarted = {
        // A child of the other manager, not of this process.
        let before = instance(&stand.cluster.reader().observe().await).unwrap().0;
        kill_process(pid(&before), Signal::KILL).unwrap();
        let reader = stand.cluster.reader();
        wait_for("a restart", async || {
            let now = instance(&reader.observe().await)?;
            (now.0 != before && now.1 == Phase::Running).then_some(now.0)
        })
        .await
    };
    other.0.kill().unwrap();
    other.0.wait().unwrap();
    test_kill_process(pid(&restarted)).unwrap();
    let manager = stand.manager().await;
    assert_eq!(manager.platform.until_serving().await, restarted);
    assert_eq!(stand.processes().len(), 1);
    // And is held: its end is noticed, and it comes back.
    kill_process(pid(&restarted), Signal::KILL).unwrap();
    manager
        .platform
        .until(|ground| is_phase(ground, &Phase::Running) && instance(ground).unwrap().0 != restarted)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_member_survives_the_death_of_its_manager_frozen() {
    let stand = Stand::new().await;
    drop(stand.serving().await);
    let other = OtherManager::start(stand.home.path());
    let directory = stand.cluster.directory();
    let zero = "0".parse().unwrap();
    // So that it is a child of the manager that dies.
    faults::inflict(directory, &zero, Fault::Kill).await.unwrap();
    let reader = stand.cluster.reader();
    let running = wait_for("a restart", async || {
        let (id, phase) = instance(&reader.observe().await)?;
        (phase == Phase::Running).then_some(id)
    })
    .await;
    faults::inflict(directory, &zero, Fault::Freeze).await.unwrap();
    wait_for("frozen", async || is_frozen(&running).then_some(())).await;
    drop(other);
    let manager = stand.manager().await;
    assert_eq!(manager.platform.instance().await, running);
    assert!(is_phase(&manager.platform.observe().await, &Phase::Running));
    assert!(is_frozen(&running));
    faults::inflict(directory, &zero, Fault::Thaw).await.unwrap();
    assert_eq!(manager.platform.until_serving().await, running);
}

fn is_frozen(instance: &etcdop_core::id::InstanceId) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid(instance).as_raw_nonzero())).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('T')
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_manager_died_before_it_wrote_it_down_is_found_and_kept() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let before = manager.platform.instance().await;
    drop(manager);
    fs::remove_file(stand.slot(ZERO).join("run/instance.json")).unwrap();
    let manager = stand.manager().await;
    let slot = manager.platform.slot_zero().await;
    let found = slot.instance.unwrap().unwrap();
    assert_eq!((found.id, found.launch, found.phase), (before.clone(), stand.launch(), Phase::Running));
    assert_eq!(stand.processes().len(), 1);
    let read = stand.cluster.reader().observe().await.slots.remove(&ZERO).unwrap();
    assert_eq!(read.instance.unwrap().unwrap().id, before, "who only reads sees it as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_pid_of_a_member_is_not_taken_for_it() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let before = manager.platform.instance().await;
    manager.platform.stop_members().await;
    drop(manager);
    // This process in the note: alive, of this boot, and somebody else. Once with its own start time, once with another.
    let me = etcdop_guard::process_instance(std::process::id()).unwrap().to_string();
    let (head, _) = me.rsplit_once(':').unwrap();
    for stranger in [me.clone(), format!("{head}:1")] {
        let path = stand.slot(ZERO).join("run/instance.json");
        let note = fs::read_to_string(&path).unwrap();
        let mut note: serde_json::Value = serde_json::from_str(&note).unwrap();
        note["id"] = stranger.clone().into();
        note["fate"] = "started".into();
        fs::write(&path, note.to_string()).unwrap();
        let manager = stand.manager().await;
        let now = manager.platform.until_serving().await;
        assert_ne!(now.0, stranger);
        assert_ne!(now, before);
        manager.platform.stop_members().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_in_a_slot_is_killed_and_the_noted_one_kept() {
    let stand = Stand::new().await;
    let manager = stand.at_gate().await;
    let kept = manager.platform.instance().await;
    drop(manager);
    let arguments = fs::read(format!("/proc/{}/cmdline", pid(&kept).as_raw_nonzero())).unwrap();
    let arguments: Vec<_> =
        arguments.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let (program, arguments) = arguments.split_first().unwrap();
    let arguments = &arguments[..arguments.len() - 1];
    let mut second = Command::new(program).args(arguments).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a second guard", async || (stand.processes().len() == 2).then_some(())).await;
    let manager = stand.manager().await;
    assert_eq!(second.wait().unwrap().code(), None, "killed");
    assert_eq!(manager.platform.instance().await, kept);
}
