//! A slot in a temporary directory, and a guard that stands in it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use etcdop_guard::{
    ClusterState, DataState, Epoch, Generation, LearnerLimit, LedgerEntry, Marker, MarkerState, MemberId, Permit,
    Progress, Seat, Status, examine_data, examine_marker, write_durably,
};
use tempfile::TempDir;

/// Far more than anything here takes, also on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);
const MEMBER: Option<MemberId> = Some(MemberId(0x8e9e_05c5_2164_694d));
const DOUBLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/etcd_double.sh");

/// The data volume holds `data` with the marker in it; ledger and status lie beside.
pub(crate) struct Slot {
    directory: TempDir,
    pub(crate) guard: PathBuf,
    pub(crate) etcd: PathBuf,
}

/// A guard, or the etcd that it became; killed when dropped.
pub(crate) struct Process {
    child: Child,
    status: PathBuf,
}

/// What a process left when it ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) exit: ExitStatus,
    pub(crate) pid: u32,
    pub(crate) output: String,
}

/// The marker of a slot's member after so many starts.
pub(crate) fn marker(epoch: u64) -> Marker {
    Marker {
        incarnation: "life".parse().unwrap(),
        member: MEMBER,
        generation: Generation(2),
        max_learners: Some(LearnerLimit(8)),
        epoch: Epoch(epoch),
    }
}

/// A permit for a slot's member; the other peer has an address, `url` may have none.
pub(crate) fn permit(holder: &str, url: &str) -> Permit {
    Permit {
        instance: holder.parse().unwrap(),
        incarnation: "life".parse().unwrap(),
        generation: Generation(2),
        member: MEMBER,
        initial_cluster: vec![
            ("m0".parse().unwrap(), "http://127.0.0.1:2380".parse().unwrap()),
            ("m1".parse().unwrap(), url.parse().unwrap()),
        ],
        state: ClusterState::Existing,
    }
}

impl Slot {
    /// An empty disk in a slot that the record gave away as generation 2.
    pub(crate) fn fresh() -> Self {
        let slot = Self {
            directory: TempDir::new().unwrap(),
            guard: env!("CARGO_BIN_EXE_etcdop-guard").into(),
            etcd: DOUBLE.into(),
        };
        fs::create_dir(slot.data()).unwrap();
        slot.give_seat(0);
        slot
    }

    /// A slot whose member was started three times.
    pub(crate) fn settled() -> Self {
        let slot = Self::fresh();
        slot.mark(&marker(3));
        slot.give_seat(3);
        slot.put_log();
        slot
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn marker_file(&self) -> PathBuf {
        self.data().join("marker")
    }

    pub(crate) fn mark(&self, marker: &Marker) {
        write_durably(&self.marker_file(), &marker.render()).unwrap();
    }

    pub(crate) fn give_seat(&self, epoch: u64) {
        let Marker { incarnation, member, generation, max_learners, epoch } = marker(epoch);
        let seat = Seat { incarnation, member, generation, max_learners, epoch };
        write_durably(&self.path("seat"), &seat.render()).unwrap();
    }

    /// A permit whose names all resolve.
    pub(crate) fn give_permit(&self, holder: &str) {
        self.give(&permit(holder, "http://localhost:2380"));
    }

    /// The same, and a guard that went by it before it died.
    pub(crate) fn give_used_permit(&self, holder: &str) {
        self.give_permit(holder);
        let used = LedgerEntry::of(&permit(holder, "http://localhost:2380"));
        write_durably(&self.path("ledger"), &used.render()).unwrap();
    }

    pub(crate) fn give(&self, permit: &Permit) {
        write_durably(&self.path("permit"), &permit.render()).unwrap();
    }

    pub(crate) fn put_log(&self) {
        let wal = self.data().join("member").join("wal");
        fs::create_dir_all(&wal).unwrap();
        fs::write(wal.join("0000000000000000-0000000000000000.wal"), "").unwrap();
    }

    /// What a lost volume looks like: the directory is there, nothing in it.
    pub(crate) fn wipe(&self) {
        fs::remove_dir_all(self.data()).unwrap();
        fs::create_dir(self.data()).unwrap();
    }

    pub(crate) fn has_log(&self) -> bool {
        examine_data(&self.data(), &self.marker_file()).unwrap() == DataState::HasWal
    }

    pub(crate) fn found_marker(&self) -> MarkerState {
        examine_marker(&self.marker_file())
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The guard's command line up to etcd's.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.guard);
        command.arg("--marker").arg(self.marker_file()).arg("--data-dir").arg(self.data());
        for name in ["seat", "permit", "ledger", "status"] {
            command.arg(format!("--{name}")).arg(self.path(name));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A guard that goes by the name `instance`.
    pub(crate) fn stand(&self, instance: &str) -> Process {
        let mut command = self.command();
        command.arg("--instance").arg(instance);
        self.launch(command)
    }

    pub(crate) fn launch(&self, mut command: Command) -> Process {
        let data_dir = format!("--data-dir={}", self.data().display());
        command.arg("--").arg(&self.etcd).arg("--name=m1").arg(data_dir);
        Process { child: command.spawn().unwrap(), status: self.path("status") }
    }

    /// A guard that goes by the name `instance`, to its end.
    pub(crate) fn run(&self, instance: &str) -> End {
        self.stand(instance).end()
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The reader of the process's log goes away.
    pub(crate) fn hang_up(&mut self) {
        drop(self.child.stderr.take());
    }

    /// Waits until the process says where it stands and `wanted` agrees.
    #[track_caller]
    pub(crate) fn says(&self, wanted: impl Fn(&Progress) -> bool) -> Status {
        let mut last = None;
        until(|| {
            last = status(&self.status);
            last.clone().filter(|status| wanted(&status.progress))
        })
        .unwrap_or_else(|| panic!("the guard says {last:?}"))
    }

    #[track_caller]
    pub(crate) fn end(mut self) -> End {
        let exit = until(|| self.child.try_wait().unwrap()).expect("the process did not end");
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        End { exit, pid: self.pid(), output }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl End {
    /// etcd ran, in the guard's own process, with these arguments after those of the test.
    #[track_caller]
    pub(crate) fn was_etcd_with(&self, flags: &[&str]) {
        assert!(self.exit.success(), "{self:?}");
        let mut lines = self.output.lines();
        assert_eq!(lines.next(), Some(format!("pid {}", self.pid).as_str()), "{self:?}");
        let arguments: Vec<&str> = lines.filter_map(|line| line.strip_prefix("argument ")).collect();
        assert_eq!(arguments.first(), Some(&"--name=m1"));
        assert_eq!(arguments.get(2..), Some(flags));
    }

    #[track_caller]
    pub(crate) fn never_was_etcd(&self) {
        assert_eq!(self.output, "", "etcd was started");
    }
}

/// The status file, if there is one and it is whole.
pub(crate) fn status(path: &Path) -> Option<Status> {
    Status::parse(&fs::read_to_string(path).ok()?).ok()
}

fn until<T>(mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        match poll() {
            None if begin.elapsed() < DEADLINE => thread::sleep(Duration::from_millis(2)),
            result => return result,
        }
    }
}
