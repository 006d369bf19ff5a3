//! The manager dies right before and right after every single change that it makes, and the next one goes on from there.
//!
//! One run counts the changes. Then there is a run for each of them and each side of it, in which a real manager kills itself there and
//! is started again, under writers. The runs wait most of the time, so several go on at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    num::{NonZeroU16, NonZeroU32},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use etcdop_etcd::{Client, Consistency, Endpoint, Member, Role};
use etcdop_witness::Witness;
use rstest::rstest;
use rustix::process::Signal;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    home::{Home, PATIENCE},
    up::Up,
};

/// Runs at the same time.
const ABREAST: usize = 6;
/// In each run.
const WRITERS: NonZeroU16 = NonZeroU16::new(2).unwrap();
/// Of both together.
const WRITES: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Between two looks.
const POLL: Duration = Duration::from_millis(50);
/// For an answer of a member, which may be dead.
const ANSWER: Duration = Duration::from_millis(500);

/// What happens to the cluster.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// Created with one member, grown to three, shrunk to one.
    OneThreeOne,
    /// One of three loses its disk. Changes are counted from the wipe on.
    Replacement,
}

/// Where the manager dies.
#[derive(Clone, Copy, Debug)]
enum Points {
    /// Before and after every change.
    All,
    /// After those that etcd takes part in: the others are the same on every version.
    AfterEtcds,
}

impl Points {
    fn of(self, changes: &[String]) -> Vec<(usize, &'static str)> {
        let numbered = (1..).zip(changes);
        match self {
            Self::All => numbered.flat_map(|(number, _)| [(number, "before"), (number, "after")]).collect(),
            Self::AfterEtcds => numbered.filter(|(_, change)| asks_etcd(change)).map(|(at, _)| (at, "after")).collect(),
        }
    }
}

fn asks_etcd(change: &str) -> bool {
    let verb = change.split(' ').nth(1).unwrap();
    ["add", "permit", "promote", "remove", "move"].contains(&verb)
}

#[rstest]
#[case::growth_and_shrinking_on_3_5(Story::OneThreeOne, "3.5", Points::AfterEtcds)]
#[case::growth_and_shrinking_on_3_6(Story::OneThreeOne, "3.6", Points::All)]
#[case::growth_and_shrinking_on_3_7(Story::OneThreeOne, "3.7", Points::AfterEtcds)]
#[case::a_replacement_on_3_5(Story::Replacement, "3.5", Points::AfterEtcds)]
#[case::a_replacement_on_3_6(Story::Replacement, "3.6", Points::All)]
#[case::a_replacement_on_3_7(Story::Replacement, "3.7", Points::AfterEtcds)]
fn a_manager_that_dies_at_any_change_is_followed_by_one_that_ends_it(
    #[case] story: Story,
    #[case] version: &str,
    #[case] points: Points,
) {
    let changes = run(story, version, None);
    let points = points.of(&changes);
    assert!(points.len() > 3, "{changes:#?}");
    let points = Mutex::new(points.into_iter());
    let unreached = Mutex::new(Vec::new());
    let work = || {
        // The lock is not held while the point is visited.
        let next = || points.lock().unwrap().next();
        while let Some((number, side)) = next() {
            let seen = run(story, version, Some(Point { number, side }));
            if seen.len() < number {
                unreached.lock().unwrap().push((number, seen));
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..ABREAST).map(|_| scope.spawn(work)).collect();
        let failed = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        assert_eq!(failed, 0, "runs failed; what each of them said is above");
    });
    // Notes that were one change in the first run may be two in another, and the other way round; the story is the same.
    let unreached = unreached.into_inner().unwrap();
    let early = unreached.iter().find(|(number, _)| number + 3 <= changes.len());
    assert!(early.is_none(), "never reached: {early:#?} of {changes:#?}");
}

/// One story, with a manager that kills itself at `point`. Returns the changes that the first manager made or died at.
fn run(story: Story, version: &str, point: Option<Point>) -> Vec<String> {
    let scene = format!("{story:?} on {version}, dies at {point:?}");
    let home = Home::new();
    let log = home.path().join("changes");
    let mut kept = Kept { scene, point, log, home, up: None, died: false, clients: BTreeMap::new() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        match story {
            Story::OneThreeOne => kept.one_three_one(version).await,
            Story::Replacement => kept.replacement(version).await,
        }
    });
    kept.changes()
}

/// Where a manager kills itself.
#[derive(Clone, Copy, Debug)]
struct Point {
    number: usize,
    side: &'static str,
}

/// A cluster whose manager is started again whenever it died.
struct Kept {
    scene: String,
    point: Option<Point>,
    log: PathBuf,
    // Before the home, which waits for the end of all processes.
    up: Option<Up>,
    home: Home,
    died: bool,
    /// Everybody who ever was a member.
    clients: BTreeMap<String, Client>,
}

impl Kept {
    async fn one_three_one(&mut self, version: &str) {
        self.armed(&["a", "--size", "1", "--version", version]);
        self.until_converged(1).await;
        let (witness, endpoints) = self.witness().await;
        self.home.ok(&["scale", "3"]);
        self.until_voters(&endpoints, "three voters", |voters| voters.len() == 3).await;
        self.home.ok(&["scale", "1"]);
        self.until_voters(&endpoints, "one voter", |voters| voters.len() == 1).await;
        self.settled(witness, &endpoints, 1).await;
    }

    async fn replacement(&mut self, version: &str) {
        self.up = Some(Up::start(&self.home, &["a", "--size", "3", "--version", version]));
        self.until_converged(3).await;
        let (witness, endpoints) = self.witness().await;
        let status = self.home.status("a");
        if let Some(mut up) = self.up.take() {
            up.signal(Signal::KILL);
            up.ended();
        }
        let members = status["members"].as_array().unwrap();
        let victim = members.iter().find(|member| member["leader"] == false).unwrap();
        let (slot, id) = (victim["slot"].to_string(), victim["id"].as_str().unwrap().to_owned());
        self.home.ok(&["wipe", &slot]);
        self.armed(&["a"]);
        self.until_voters(&endpoints, "another one in its place", |voters| voters.len() == 3 && !voters.contains(&id))
            .await;
        self.settled(witness, &endpoints, 3).await;
    }

    /// A manager that dies at the point.
    fn armed(&mut self, arguments: &[&str]) {
        let mut command = self.home.command(&["up"]);
        command.args(arguments).env("ETCDOP_FAILPOINT_LOG", &self.log);
        if let Some(Point { number, side }) = self.point {
            command.env("ETCDOP_FAILPOINT", format!("{number}:{side}"));
        }
        self.up = Some(Up::spawn(&mut command));
    }

    /// Sees to it that a manager runs.
    fn tend(&mut self) {
        let Some(ended) = self.up.as_mut().and_then(Up::has_ended) else { return };
        assert!(self.point.is_some() && !self.died, "{}: the manager ended: {ended}", self.scene);
        assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()), "{}", self.scene);
        self.died = true;
        // What it was told first is in the manifest, unless it died before there was one.
        self.up = Some(Up::start(&self.home, &["a"]));
    }

    /// Until it says that it is as declared.
    async fn until_converged(&mut self, size: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.tend();
            let said = self.home.run(&["status", "a", "-o", "json"]);
            let status: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_default();
            if status["ready"] == size && status["converged"] == true && !self.is_dying() {
                for member in status["members"].as_array().unwrap() {
                    self.meet(member["endpoint"].as_str().unwrap());
                }
                return;
            }
            assert!(Instant::now() < deadline, "{}: does not converge: {said:?}", self.scene);
            sleep(POLL * 4).await;
        }
    }

    fn meet(&mut self, endpoint: &str) {
        let client = || Client::new(endpoint.parse().unwrap(), &etcdop_etcd::Options::default()).deadline(ANSWER);
        self.clients.entry(endpoint.to_owned()).or_insert_with(client);
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        self.clients.keys().map(|endpoint| endpoint.parse().unwrap()).collect()
    }

    async fn witness(&self) -> (Witness, watch::Sender<Vec<Endpoint>>) {
        let (sender, endpoints) = watch::channel(self.endpoints());
        // Enough that one is always under way: several clusters share the machine.
        let options = etcdop_witness::Options {
            writers: WRITERS,
            writes_per_second: WRITES,
            ..etcdop_witness::Options::default()
        };
        (Witness::start(endpoints, options).await.unwrap(), sender)
    }

    /// Until etcd itself lists voters as wished, all of them with a name, and nobody else.
    async fn until_voters(
        &mut self,
        writers: &watch::Sender<Vec<Endpoint>>,
        what: &str,
        wished: impl Fn(&BTreeSet<String>) -> bool,
    ) -> Vec<Endpoint> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.tend();
            let list = self.list().await;
            for endpoint in list.iter().flat_map(|member| &member.client_urls) {
                self.meet(endpoint);
            }
            let known = self.endpoints();
            writers.send_if_modified(|writers| {
                let news = *writers != known;
                *writers = known;
                news
            });
            let complete = |member: &Member| member.role == Role::Voter && !member.name.is_empty();
            let ids: BTreeSet<String> = list.iter().map(|member| member.id.to_string()).collect();
            if !list.is_empty() && list.iter().all(complete) && wished(&ids) {
                return list.iter().flat_map(|member| &member.client_urls).map(|url| url.parse().unwrap()).collect();
            }
            assert!(Instant::now() < deadline, "{}: not {what}: {list:#?}", self.scene);
            sleep(POLL).await;
        }
    }

    /// The linearizable member list of whoever answers.
    async fn list(&self) -> Vec<Member> {
        for client in self.clients.values() {
            if let Ok(Ok(list)) = timeout(ANSWER, client.member_list(Consistency::Linearizable)).await {
                return list.value;
            }
        }
        Vec::new()
    }

    /// Nothing is lost, nothing is left over.
    async fn settled(&mut self, witness: Witness, writers: &watch::Sender<Vec<Endpoint>>, size: usize) {
        self.until_converged(size).await;
        let members = self.until_voters(writers, "as declared", |voters| voters.len() == size).await;
        assert_eq!(self.home.members().len(), size, "{}: {:?}", self.scene, self.home.processes());
        let bill = witness.finish(&members).await;
        assert!(bill.is_clean(), "{}\n{bill}", self.scene);
    }

    /// What the first manager changed, or was about to.
    fn changes(&self) -> Vec<String> {
        fs::read_to_string(&self.log).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Whether the manager came to where it is to die, and nobody noticed yet.
    fn is_dying(&self) -> bool {
        !self.died && self.point.is_some_and(|point| self.changes().len() >= point.number)
    }
}
