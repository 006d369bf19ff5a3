//! A cluster in a temporary home, brought up by hand: these tests play the engine.

use std::{
    fs,
    future::Future,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use etcdop_core::{
    id::{InstanceId, RecordRevision, Slot, VolumeId},
    launch::{EtcdOptions, LaunchSpec, Template},
    observation::{Marker, Phase},
    permit::{ClusterState, Permit},
    record::{Birth, MAX_LEARNERS, Record},
    size::Size,
    step::{GroundStep, Layout},
    version::{EtcdVersion, Minor},
};
use etcdop_engine::{
    outcome::Outcome,
    platform::{Ground, GroundSlot, Platform},
};
use etcdop_local::{
    binaries::{Binaries, VersionWish},
    home::{ClusterName, Home},
    open::{Cluster, Manager, Patience},
    platform::LocalPlatform,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Far more than anything here takes, also on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
pub(crate) const ZERO: Slot = Slot(0);

/// A declared cluster; every process of it is killed when this is dropped, also by a panic.
pub(crate) struct Stand {
    pub(crate) home: TempDir,
    pub(crate) cluster: Cluster,
    pub(crate) binaries: Binaries,
    pub(crate) version: EtcdVersion,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        let binaries = Binaries::find(None).await.unwrap();
        let wish = VersionWish::Newest(Minor::V3_6);
        let version = binaries.resolve(&wish).unwrap();
        let home = tempfile::tempdir().unwrap();
        let cluster =
            Cluster::create(&Home::at(home.path()).unwrap(), &name(), Size::try_from(1).unwrap(), &wish).unwrap();
        Self { home, cluster, binaries, version }
    }

    pub(crate) async fn manager(&self) -> Manager {
        self.cluster.manager(self.binaries.clone()).await.unwrap()
    }

    pub(crate) fn launch(&self) -> LaunchSpec {
        let template = Template::new(self.version.clone(), EtcdOptions::default());
        LaunchSpec { template, max_learners: MAX_LEARNERS }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.cluster.directory().path().to_owned()
    }

    /// How the process in this slot ended, which is written down a moment after it is gone.
    pub(crate) async fn how_it_ended(&self, slot: Slot) -> String {
        let written = async || {
            let note = fs::read_to_string(self.slot(slot).join("run/instance.json")).unwrap();
            let note: serde_json::Value = serde_json::from_str(&note).unwrap();
            note["fate"]["ended"].as_str().map(str::to_owned)
        };
        wait_for("the end to be written down", written).await
    }

    pub(crate) fn slot(&self, slot: Slot) -> PathBuf {
        self.path().join("members").join(slot.to_string())
    }

    /// A manager, and a guard of slot 0 that waits for a permit.
    pub(crate) async fn at_gate(&self) -> Manager {
        self.at_gate_with(Patience::default()).await
    }

    async fn at_gate_with(&self, patience: Patience) -> Manager {
        let manager = self.cluster.manager_with(self.binaries.clone(), patience).await.unwrap();
        manager.platform.seat(&self.launch()).await;
        manager.platform.hold(&[(ZERO, self.launch())]).await;
        manager.platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
        manager
    }

    /// A manager, and a cluster of one that answers.
    pub(crate) async fn serving(&self) -> Manager {
        self.serving_with(Patience::default()).await
    }

    pub(crate) async fn serving_with(&self, patience: Patience) -> Manager {
        let manager = self.at_gate_with(patience).await;
        manager.platform.permit().await;
        manager.platform.until_serving().await;
        manager
    }

    /// PIDs of this home's guards and etcds.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes(self.home.path())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // A keeper whose manager was dropped may be starting one just now, and one that becomes etcd shows no arguments for
        // an instant: it is over when several looks in a row found nothing.
        let began = Instant::now();
        let mut quiet = 0;
        while quiet < 5 && began.elapsed() < DEADLINE {
            let left = processes(self.home.path());
            quiet = if left.is_empty() { quiet + 1 } else { 0 };
            for pid in left {
                // Gone meanwhile is as good.
                let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn name() -> ClusterName {
    "stand".parse().unwrap()
}

/// PIDs of processes that have a path below `home` among their arguments and are not zombies.
fn processes(home: &Path) -> Vec<i32> {
    let home = home.to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&format!("{home}/stand/members/"))
    });
    ours.collect()
}

pub(crate) fn is_phase(ground: &Ground, phase: &Phase) -> bool {
    instance(ground).is_some_and(|(_, now)| now == *phase)
}

/// Slot 0's instance and its phase.
pub(crate) fn instance(ground: &Ground) -> Option<(InstanceId, Phase)> {
    let instance = ground.slots.get(&ZERO)?.instance.clone().unwrap()?;
    Some((instance.id, instance.phase))
}

pub(crate) fn pid(instance: &InstanceId) -> Pid {
    let pid = instance.0.split(':').nth(2).unwrap().parse().unwrap();
    Pid::from_raw(pid).unwrap()
}

/// Polls until the condition gives something.
pub(crate) async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < DEADLINE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What an engine would do, in one call each.
pub(crate) trait ByHand {
    async fn seat(&self, launch: &LaunchSpec) -> Record;
    async fn hold(&self, slots: &[(Slot, LaunchSpec)]);
    async fn permit(&self);
    async fn until(&self, condition: impl Fn(&Ground) -> bool) -> Ground;
    async fn until_serving(&self) -> InstanceId;
    async fn slot_zero(&self) -> GroundSlot;
    async fn instance(&self) -> InstanceId;
    async fn volume(&self) -> (VolumeId, Marker);
}

impl ByHand for LocalPlatform {
    /// Gives slot 0 to a founder.
    async fn seat(&self, launch: &LaunchSpec) -> Record {
        let before = self.observe().await.record.unwrap();
        let mut record = before.value;
        record.max_learners = MAX_LEARNERS;
        record.birth = Birth::Forming;
        record.reserve(ZERO, launch.clone());
        self.commit(&before.revision, &record).await.unwrap();
        record
    }

    async fn hold(&self, slots: &[(Slot, LaunchSpec)]) {
        let layout = Layout { slots: slots.iter().cloned().collect() };
        assert_eq!(self.apply(&GroundStep::Ensure(layout)).await, Outcome::Done);
    }

    /// Lets the instance at the gate of slot 0 found the cluster.
    async fn permit(&self) {
        let ground = self.observe().await;
        let record = ground.record.as_ref().unwrap().value.clone();
        let address = &ground.slots[&ZERO].address;
        let permit = Permit {
            slot: ZERO,
            instance: instance(&ground).unwrap().0,
            incarnation: record.incarnation.clone(),
            generation: record.slots[&ZERO].generation,
            member: None,
            initial_cluster: vec![(address.name.clone(), address.peer.clone())],
            state: ClusterState::New,
        };
        assert_eq!(self.apply(&GroundStep::Permit(vec![permit])).await, Outcome::Done);
    }

    async fn until(&self, condition: impl Fn(&Ground) -> bool) -> Ground {
        let began = Instant::now();
        loop {
            let ground = self.observe().await;
            if condition(&ground) {
                return ground;
            }
            assert!(began.elapsed() < DEADLINE, "did not happen; now: {ground:#?}");
            // Whether the trigger comes at all is tested elsewhere.
            let _ = tokio::time::timeout(Duration::from_millis(20), self.changed()).await;
        }
    }

    async fn until_serving(&self) -> InstanceId {
        let ground = self.until(|ground| is_phase(ground, &Phase::Running)).await;
        let metrics = ground.slots[&ZERO].dial.metrics.clone();
        wait_for("a healthy answer", async || is_healthy(&metrics).then_some(())).await;
        instance(&ground).unwrap().0
    }

    async fn slot_zero(&self) -> GroundSlot {
        self.observe().await.slots.remove(&ZERO).unwrap()
    }

    async fn instance(&self) -> InstanceId {
        instance(&self.observe().await).unwrap().0
    }

    async fn volume(&self) -> (VolumeId, Marker) {
        let volume = self.slot_zero().await.volume.unwrap().unwrap();
        (volume.id, volume.marker)
    }
}

pub(crate) fn is_healthy(metrics: &str) -> bool {
    ask(metrics, "/health").contains("\"health\":\"true\"")
}

/// What etcd itself says; nothing when it does not.
pub(crate) fn ask(base: &str, path: &str) -> String {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(base.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    answer().unwrap_or_default()
}

pub(crate) fn revision(ground: &Ground) -> RecordRevision {
    ground.record.as_ref().unwrap().revision.clone()
}
