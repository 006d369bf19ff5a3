//! A cluster with its manager, all in this process, in a home that is gone afterwards.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    future::Future,
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use etcdop_core::{
    desired::{Desired, Patience},
    id::Slot,
    size::Size,
    summary::{Summary, summarize},
};
use etcdop_engine::{driver::Driver, publish::Published, tuning::Tuning};
use etcdop_etcd::{Client, Endpoint};
use etcdop_local::{
    binaries::Binaries,
    faults::{self, Fault},
    home::Home,
    open::{Cluster, Manager},
    platform::LocalPlatform,
    watch::DesiredWatch,
};
use etcdop_witness::{Bill, Options, Witness};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    process::{self, Process},
    roll_call::RollCall,
};

/// For everything that is waited for; far more than it takes, also on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(4);
/// Of all writers of a test.
const WRITES: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// Between two looks at what nobody tells us of.
const PACE: Duration = Duration::from_millis(10);

/// A cluster that is about to be.
pub(crate) struct Setup {
    version: String,
    size: u64,
    patience: Patience,
    edits: Vec<(String, String)>,
    etcd: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn new(version: &str, size: u64) -> Self {
        let version = version.to_owned();
        Self { version, size, patience: Patience::default(), edits: Vec::new(), etcd: None }
    }

    pub(crate) fn patience(mut self, change: impl FnOnce(&mut Patience)) -> Self {
        change(&mut self.patience);
        self
    }

    /// Writes `to` in place of `from` in the manifest.
    pub(crate) fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Silence for this long counts as death, if there is a second witness.
    pub(crate) fn replace_after(self, after: &str) -> Self {
        self.edit("replaceAfter: 5m", &format!("replaceAfter: {after}"))
    }

    /// Programs from this directory instead of what `make etcd` built.
    pub(crate) fn etcd(mut self, dir: PathBuf) -> Self {
        self.etcd = Some(dir);
        self
    }

    /// Declares it, and begins to keep it.
    pub(crate) async fn open(self) -> Stage {
        let mut stage = self.declare().await;
        stage.manage().await;
        stage
    }

    /// Declares it. Nobody keeps it.
    pub(crate) async fn declare(self) -> Stage {
        let binaries = Binaries::find(self.etcd.as_deref()).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let cluster = Cluster::create(
            &Home::at(home.path()).unwrap(),
            &"stage".parse().unwrap(),
            Size::try_from(self.size).unwrap(),
            &self.version.parse().unwrap(),
        );
        let (members, endpoints) = watch::channel(Vec::new());
        let stage = Stage {
            cluster: cluster.unwrap(),
            binaries,
            patience: self.patience,
            members: Arc::new(members),
            endpoints,
            run: None,
            _home: home,
        };
        for (from, to) in &self.edits {
            stage.edit(from, to);
        }
        stage
    }

    /// Until it is there, and etcd says so, too.
    pub(crate) async fn formed(self) -> Stage {
        let size = self.size;
        let stage = self.open().await;
        stage.converged().await;
        stage.roll_call(size).await;
        stage
    }

    /// The same, and with writers and a watcher at work; who is who before anything happens to it.
    pub(crate) async fn under_writers(self) -> (Stage, Witness, RollCall) {
        let size = self.size;
        let stage = self.open().await;
        stage.converged().await;
        let witness = stage.witness().await;
        let before = stage.roll_call(size).await;
        (stage, witness, before)
    }
}

/// A cluster and, most of the time, its manager. No process of it is left when this is dropped, also by a panic.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) binaries: Binaries,
    patience: Patience,
    members: Arc<watch::Sender<Vec<Endpoint>>>,
    endpoints: watch::Receiver<Vec<Endpoint>>,
    run: Option<Run>,
    _home: TempDir,
}

/// A manager at work.
struct Run {
    platform: LocalPlatform,
    published: watch::Receiver<Published>,
    stop: CancellationToken,
    driver: JoinHandle<()>,
    errands: Vec<JoinHandle<()>>,
    _declared: DesiredWatch,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.cancel();
        self.driver.abort();
        self.errands.iter().for_each(JoinHandle::abort);
    }
}

impl Stage {
    /// Becomes the cluster's manager.
    pub(crate) async fn manage(&mut self) {
        assert!(self.run.is_none(), "it has a manager");
        let Manager { platform, declared } = self.cluster.manager(self.binaries.clone()).await.unwrap();
        let (told, desired) = watch::channel(self.told(&declared.desired.borrow()));
        let (driver, published) = Driver::new(Arc::new(platform.clone()), desired, Tuning::default());
        let stop = CancellationToken::new();
        let errands = vec![
            tokio::spawn(tell(declared.desired.clone(), told, self.patience)),
            tokio::spawn(follow(published.clone(), Arc::clone(&self.members))),
        ];
        let driver = tokio::spawn(driver.run(stop.clone()));
        self.run = Some(Run { platform, published, stop, driver, errands, _declared: declared });
    }

    /// Ends the manager in the middle of whatever it does; its members go on.
    pub(crate) async fn leave(&mut self) {
        let Some(mut run) = self.run.take() else { panic!("it has no manager") };
        run.stop.cancel();
        (&mut run.driver).await.unwrap();
        for errand in &mut run.errands {
            errand.abort();
            let _ = errand.await;
        }
        drop(run);
        self.unkept().await;
    }

    /// Until nobody keeps it: what a manager's tasks hold is let go of when they are dropped, which is soon and not at once.
    pub(crate) async fn unkept(&self) {
        let free = poll(async || self.cluster.manager_process().unwrap().is_none().then_some(()));
        tokio::time::timeout(DEADLINE, free).await.unwrap();
    }

    fn told(&self, declared: &Desired) -> Desired {
        Desired { patience: self.patience, ..declared.clone() }
    }

    fn run(&self) -> &Run {
        self.run.as_ref().unwrap()
    }

    /// The newest pass.
    pub(crate) fn published(&self) -> Published {
        self.run().published.borrow().clone()
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.cluster.set_size(Size::try_from(size).unwrap()).unwrap();
    }

    pub(crate) fn set_version(&self, version: &str) {
        self.cluster.set_version(&version.parse().unwrap()).unwrap();
    }

    /// Edits the manifest as a person does.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.cluster.directory().manifest();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "no `{from}` in {text}");
        let draft = path.with_extension("draft");
        fs::write(&draft, text.replace(from, to)).unwrap();
        fs::rename(&draft, &path).unwrap();
    }

    pub(crate) async fn inflict(&self, slot: Slot, fault: Fault) {
        let member = slot.to_string().parse().unwrap();
        faults::inflict(self.cluster.directory(), &member, fault).await.unwrap();
    }

    /// Where this slot's files are.
    pub(crate) fn files(&self, slot: Slot) -> PathBuf {
        self.cluster.directory().path().join("members").join(slot.to_string())
    }

    /// Guards and etcds.
    pub(crate) fn processes(&self) -> BTreeMap<Slot, Process> {
        process::residents(self.cluster.directory().path())
    }

    /// The same, for a call that is made once: it must not fail because the machine is busy.
    pub(crate) fn patient_client(&self, slot: Slot) -> Client {
        self.client(slot).deadline(DEADLINE)
    }

    /// The client of the member in this slot.
    pub(crate) fn client(&self, slot: Slot) -> Client {
        let address = self.published().observation.ground[&slot].address.client.clone();
        Client::new(address.parse().unwrap(), &etcdop_etcd::Options::default())
    }

    /// Waits until a pass shows it, and says what the manager said last when none does.
    pub(crate) async fn until(&self, what: &str, mut shown: impl FnMut(&Published, &Summary) -> bool) -> Summary {
        let began = Instant::now();
        let mut published = self.run().published.clone();
        let wanted = |now: &Published| shown(now, &summary(now));
        let seen = tokio::time::timeout(DEADLINE, published.wait_for(wanted)).await;
        let Ok(now) = seen else { panic!("{what}: not within {:?}\n{}", began.elapsed(), self.account()) };
        summary(&now.unwrap())
    }

    /// Looks again and again until the look gives something, and says what the manager said last when it never does.
    pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl FnMut() -> F) -> T {
        match tokio::time::timeout(DEADLINE, poll(look)).await {
            Ok(found) => found,
            Err(late) => panic!("{what}: {late}\n{}", self.account()),
        }
    }

    /// Waits until a pass says so for what is declared now.
    pub(crate) async fn converged(&self) -> Summary {
        let declared = self.told(&self.cluster.manifest().unwrap().desired(&self.binaries).unwrap());
        let what = format!("as declared: size {}, etcd {}", declared.size, declared.template.version);
        self.until(&what, |now, summary| now.desired == declared && summary.converged).await
    }

    /// Everything that a person would look at to find out what is wrong.
    pub(crate) fn account(&self) -> String {
        let now = self.published();
        let summary = summary(&now);
        let mut text =
            format!("pass {}, {:?}, step {:?}, busy {:?}\n", now.pass, summary.phase, summary.step, now.busy);
        let _ = writeln!(text, "setback {:?}\nrecord {:?}", now.setback, now.observation.record.value);
        summary.reasons.iter().for_each(|reason| text.extend(["reason: ", reason, "\n"]));
        for member in &summary.members {
            let _ = writeln!(text, "{member:?}");
        }
        for step in &now.steps {
            let _ = writeln!(text, "{:.3} {} -> {:?}", step.at.0.as_secs_f64(), step.text, step.outcome);
        }
        for slot in now.observation.ground.keys() {
            let log = fs::read_to_string(self.files(*slot).join("run/etcd.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let _ = writeln!(text, "last words of slot {slot}:\n{}", lines[lines.len().saturating_sub(4)..].join("\n"));
        }
        text
    }

    /// Writers and a watcher that follow the cluster wherever it goes.
    pub(crate) async fn witness(&self) -> Witness {
        // Enough that some are always under way, and little beside what the members do.
        let options = Options { writes_per_second: WRITES, ..Options::default() };
        let mut endpoints = self.endpoints.clone();
        // Whoever hands them on may lag behind.
        let there = tokio::time::timeout(DEADLINE, endpoints.wait_for(|endpoints| !endpoints.is_empty())).await;
        drop(there.unwrap().unwrap());
        let witness = Witness::start(endpoints, options).await.unwrap();
        acked_more(&witness, 20).await;
        witness
    }

    /// Ends the writing and reads everything back from every member: nothing is lost, and all are alike.
    pub(crate) async fn settle(&self, witness: Witness) -> Bill {
        acked_more(&witness, 20).await;
        // Not what the writers were told last: that may be of a pass before, and name somebody who left. Nor a pass in which somebody
        // was too busy to answer: all members are read.
        let all = self.until("all members serve", |_, now| is_whole(now)).await;
        let bill = witness.finish(&serving(&all)).await;
        assert!(bill.is_clean(), "{bill}\n{}", self.account());
        bill
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let run = self.run.take();
        let directory = self.cluster.directory().path().to_owned();
        let kill_all = async {
            loop {
                let residents = process::residents(&directory);
                if residents.is_empty() {
                    break;
                }
                for process in residents.values() {
                    process.signal(Signal::KILL);
                }
                tokio::time::sleep(PACE).await;
            }
        };
        let end = async {
            if let Some(run) = &run {
                // No new ones meanwhile.
                run.stop.cancel();
                tokio::join!(run.platform.stop_members(), kill_all);
            } else {
                kill_all.await;
            }
        };
        let runtime = Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(end));
    }
}

/// What a person is shown of a pass.
pub(crate) fn summary(now: &Published) -> Summary {
    summarize(&now.desired, &now.observation, &now.plan, now.at)
}

/// Whether every member was heard in this pass.
fn is_whole(now: &Summary) -> bool {
    now.ready > 0 && now.ready == now.members.iter().filter(|row| row.role.is_some()).count()
}

/// Whom clients may use.
fn serving(now: &Summary) -> Vec<Endpoint> {
    now.endpoints().map(|endpoint| endpoint.parse().unwrap()).collect()
}

/// Hands on what is declared, with the patience of this test.
async fn tell(mut declared: watch::Receiver<Desired>, told: watch::Sender<Desired>, patience: Patience) {
    while declared.changed().await.is_ok() {
        let next = declared.borrow_and_update().clone();
        told.send_replace(Desired { patience, ..next });
    }
}

/// Keeps the list of members that clients may use.
async fn follow(mut published: watch::Receiver<Published>, members: Arc<watch::Sender<Vec<Endpoint>>>) {
    loop {
        let now = summary(&published.borrow_and_update());
        let serving = serving(&now);
        members.send_if_modified(|members| {
            // A client keeps what it knew when nobody is left.
            let news = !serving.is_empty() && *members != serving;
            if news {
                *members = serving;
            }
            news
        });
        if published.changed().await.is_err() {
            return;
        }
    }
}

/// Until `acked` writes were acknowledged since the call.
pub(crate) async fn acked_more(witness: &Witness, acked: usize) {
    let goal = witness.tally().acked + acked;
    let acknowledged = poll(async || (witness.tally().acked >= goal).then_some(()));
    let late = tokio::time::timeout(DEADLINE, acknowledged).await.is_err();
    assert!(!late, "too few writes are acknowledged: {:?}", witness.tally());
}

/// Looks again and again until the look gives something.
async fn poll<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(PACE).await;
    }
}
