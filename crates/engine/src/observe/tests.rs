//! Observing real members, healthy and not.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use etcdop_core::{
    id::{ClusterId, MemberId, Slot},
    observation::{Alarm, AlarmKind, Blocker, MemberStatus, Observation, Phase, Probe},
    step::EtcdStep,
};
use etcdop_etcd::Put;
use rstest::rstest;

use super::{Observer, roster};
use crate::{
    clock::Clock,
    contact::{Contacts, Routes},
    double::{
        Stage, desired,
        etcd::{Etcd, until},
    },
    tuning::Tuning,
};

/// Longer than anything takes that is not waited for.
const LONG: Duration = Duration::from_secs(4);

struct Scene {
    members: Vec<Etcd>,
    stage: Arc<Stage>,
    observer: Observer,
}

impl Scene {
    async fn new(minor: &str, size: usize) -> Self {
        Self::with(minor, size, Tuning::default()).await
    }

    async fn with(minor: &str, size: usize, tuning: Tuning) -> Self {
        let members = Etcd::cluster(minor, size);
        let stage = Arc::new(Stage::of(&members).await);
        let mut scene = Self { members, stage, observer: Observer::new(Clock::start(), tuning) };
        // Once to get to know everybody.
        scene.look().await;
        scene
    }

    async fn look(&mut self) -> Observation {
        self.observer.observe(&*self.stage, &desired()).await.observation
    }

    /// Looks at most 20 s long until the observation is as wanted.
    async fn sees(&mut self, what: &str, is_so: impl Fn(&Observation) -> bool) -> Observation {
        until(what, async || {
            let seen = self.look().await;
            if is_so(&seen) { Ok(seen) } else { Err(format!("{:?} {:?}", seen.roster, seen.status)) }
        })
        .await
    }

    async fn leader_and_follower(&self) -> (usize, usize) {
        let status = self.members[0].client().status().await.unwrap().value;
        let mut leader = 0;
        for (position, member) in self.members.iter().enumerate() {
            if Some(member.client().status().await.unwrap().header.member_id) == status.leader {
                leader = position;
            }
        }
        (leader, (leader + 1) % self.members.len())
    }

    async fn id(&self, position: usize) -> MemberId {
        MemberId(self.members[position].client().status().await.unwrap().header.member_id.0)
    }
}

/// Waits so long for those who do not answer that a pass that waited is told from one on a loaded machine.
fn patient() -> Tuning {
    Tuning { answer: LONG * 2, budget: LONG, roster: LONG * 2, ..Tuning::default() }
}

fn slot(position: usize) -> Slot {
    Slot(u8::try_from(position).unwrap())
}

fn is_silent(seen: &Observation, position: usize) -> bool {
    seen.status[&slot(position)].known().is_none()
}

#[rstest]
#[tokio::test]
async fn a_healthy_cluster_is_known_in_full(#[values("3.5", "3.6", "3.7")] minor: &str) {
    let mut scene = Scene::new(minor, 3).await;
    let version = format!("{minor}.");
    let seen = scene
        .sees("versions, and a list in the same look", |seen| {
            let versions =
                |status: &Probe<_>| status.known().is_some_and(|s: &MemberStatus| s.cluster_version.is_some());
            seen.roster.known().is_some() && seen.alarms.known().is_some() && seen.status.values().all(versions)
        })
        .await;
    for status in seen.status.values().filter_map(Probe::known) {
        assert!(status.version.to_string().starts_with(&version), "{status:?}");
        assert_eq!(status.cluster_version.unwrap().to_string(), minor);
        assert_eq!(status.quota.is_some(), minor != "3.5");
    }
    let roster = seen.roster.known().expect("a list");
    assert_eq!(roster.members.len(), 3);
    assert!(roster.members.is_sorted());
    assert_eq!(seen.alarms.known(), Some(&BTreeSet::new()));
    assert!(seen.peer_ports.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_frozen_follower_costs_one_pass_its_budget_and_is_unlinked_by_the_leader_in_time(
    #[values("3.5", "3.6", "3.7")] minor: &str,
) {
    let mut scene = Scene::with(minor, 3, patient()).await;
    let (_, follower) = scene.leader_and_follower().await;
    let id = scene.id(follower).await;
    scene.look().await;
    scene.members[follower].freeze();
    let mut passes = Vec::new();
    let unlinked = until("the leader has not heard of it", async || {
        let begun = Instant::now();
        let seen = scene.look().await;
        passes.push(begun.elapsed());
        let links = seen.links.known().filter(|links| !links.active.contains(&id)).cloned();
        links.filter(|_| is_silent(&seen, follower)).ok_or_else(|| format!("{:?}", seen.links))
    })
    .await;
    assert_eq!(unlinked.active.len(), 1, "the other follower is linked");
    let waited = passes.iter().filter(|took| **took >= LONG).count();
    assert_eq!(waited, 1, "{passes:?}");
    assert!(passes.iter().all(|took| *took < LONG * 2), "{passes:?}");

    scene.members[follower].thaw();
    let seen = scene.sees("it answers again", |seen| !is_silent(seen, follower)).await;
    assert!(seen.roster.known().is_some());
    scene.sees("it is linked again", |seen| seen.links.known().is_none_or(|links| links.active.contains(&id))).await;
}

#[tokio::test]
async fn a_killed_follower_is_silent_at_once_and_unlinked() {
    let mut scene = Scene::new("3.6", 3).await;
    let (_, follower) = scene.leader_and_follower().await;
    let id = scene.id(follower).await;
    scene.members[follower].kill();
    assert!(is_silent(&scene.look().await, follower));
    scene.sees("unlinked", |seen| seen.links.known().is_some_and(|links| !links.active.contains(&id))).await;
}

#[tokio::test]
async fn silence_goes_on_through_restarts_and_ends_with_an_answer() {
    let mut scene = Scene::new("3.6", 1).await;
    scene.members[0].freeze();
    let first = scene.sees("silence", |seen| is_silent(seen, 0)).await.status[&Slot(0)].unknown_since();
    scene.stage.change(|ground| {
        let place = ground.slots.get_mut(&Slot(0)).unwrap();
        place.instance.as_mut().unwrap().as_mut().unwrap().phase = Phase::Exited(Blocker("killed".to_owned()));
    });
    assert_eq!(scene.look().await.status[&Slot(0)].unknown_since(), first);
    scene.stage.replace_instance(Slot(0), "second-of-0");
    assert_eq!(scene.look().await.status[&Slot(0)].unknown_since(), first);
    scene.stage.change(|ground| {
        ground.slots.get_mut(&Slot(0)).unwrap().instance.as_mut().unwrap().as_mut().unwrap().phase = Phase::Running;
    });
    scene.members[0].thaw();
    scene.sees("an answer", |seen| !is_silent(seen, 0)).await;
}

#[tokio::test]
async fn without_a_quorum_there_is_no_list_and_passes_stay_quick() {
    let mut scene = Scene::with("3.6", 3, patient()).await;
    let (_, follower) = scene.leader_and_follower().await;
    for (position, member) in scene.members.iter_mut().enumerate() {
        if position != follower {
            member.kill();
        }
    }
    // The survivor may believe in its leader for an election timeout still.
    let seen = scene.sees("no list", |seen| seen.roster.known().is_none()).await;
    let since = seen.roster.unknown_since();
    scene.sees("no leader", |seen| seen.status[&slot(follower)].known().is_some_and(|s| s.leader.is_none())).await;
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let later = scene.look().await;
        quickest = quickest.min(begun.elapsed());
        assert_eq!(later.roster.unknown_since(), since);
    }
    assert!(quickest < LONG, "{quickest:?}");
}

#[tokio::test]
async fn an_alarm_is_read_from_the_list_when_a_member_mentions_it() {
    let members = Etcd::cluster_with("3.6", 1, &["--quota-backend-bytes=1000000"]);
    let stage = Arc::new(Stage::of(&members).await);
    let mut scene = Scene { members, stage, observer: Observer::new(Clock::start(), Tuning::default()) };
    let (client, member) = (scene.members[0].client(), scene.id(0).await);
    until("the quota is reached", async || match client.put(Put::new("key", vec![b'x'; 512 * 1024])).await {
        Err(etcdop_etcd::Error::NoSpace) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let raised = Alarm { member, kind: AlarmKind::NoSpace };
    scene.sees("the alarm", |seen| seen.alarms.known().is_some_and(|alarms| alarms.contains(&raised))).await;
}

#[tokio::test]
async fn a_membership_call_of_unknown_outcome_is_unsettled_until_the_list_shows_it_or_time_is_up() {
    let mut scene = Scene::new("3.6", 1).await;
    let add = |port| EtcdStep::AddLearner(Slot(1), format!("http://127.0.0.1:{port}").parse().unwrap());
    scene.observer.unsettle(add(9));
    assert_eq!(scene.look().await.unsettled.unwrap().step, add(9));
    scene.members[0].client().member_add_learner(&["http://127.0.0.1:9"]).await.unwrap();
    scene.sees("the list shows it", |seen| seen.unsettled.is_none()).await;

    scene.observer.unsettle(add(10));
    let mut hasty = desired();
    hasty.patience.settle = Duration::ZERO;
    assert_eq!(scene.observer.observe(&*scene.stage, &hasty).await.observation.unsettled, None);
}

#[tokio::test]
async fn phases_and_permits_are_dated_by_when_they_were_first_seen() {
    let mut scene = Scene::new("3.6", 1).await;
    let since = |seen: &Observation| match &seen.ground[&Slot(0)].instance {
        Probe::Known { value: Some(instance), .. } => instance.since,
        other => panic!("{other:?}"),
    };
    let first = since(&scene.look().await);
    assert_eq!(since(&scene.look().await), first);
    scene.stage.replace_instance(Slot(0), "second-of-0");
    let second = since(&scene.look().await);
    assert!(second > first);
    let pending = |why: &str| Phase::Pending(Blocker(why.to_owned()));
    let set = |phase: Phase| {
        scene.stage.change(|ground| {
            ground.slots.get_mut(&Slot(0)).unwrap().instance.as_mut().unwrap().as_mut().unwrap().phase = phase;
        });
    };
    set(pending("pulling"));
    let third = since(&scene.observer.observe(&*scene.stage, &desired()).await.observation);
    assert!(third > second);
    set(pending("mounting"));
    assert_eq!(since(&scene.observer.observe(&*scene.stage, &desired()).await.observation), third, "still pending");
}

/// A port that accepts connections and never says anything.
fn mute() -> (TcpListener, Etcd) {
    let mut place = Etcd::prepare("mute");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    place.dial.client = format!("http://{}", listener.local_addr().unwrap());
    (listener, place)
}

/// Routes to the mute place first, then to the member.
async fn routes(member: &Etcd, mute: &Etcd, cluster: Option<ClusterId>) -> Routes {
    let stage = Stage::of(std::slice::from_ref(member)).await;
    let mut ground = stage.change(|ground| ground.clone());
    let mut silent = crate::double::running(member, "mute");
    silent.dial = mute.dial.clone();
    ground.slots.insert(Slot(1), silent);
    let mut routes = Routes::new(cluster, &ground, &BTreeMap::new(), &mut Contacts::new(Tuning::default().etcd));
    routes.in_turn.reverse();
    routes
}

#[tokio::test]
async fn the_next_member_is_asked_for_the_list_when_the_first_takes_long() {
    let member = Etcd::cluster("3.6", 1).remove(0);
    let (_listener, mute) = mute();
    let routes = routes(&member, &mute, None).await;
    let begun = Instant::now();
    // The first one never answers: there is a list only because the next one was asked as well.
    let tuning = Tuning { roster: Duration::from_hours(1), ..Tuning::default() };
    let roster = tokio::time::timeout(Duration::from_mins(1), roster::ask(routes, &tuning)).await.unwrap().unwrap();
    assert_eq!(roster.members.len(), 1);
    assert!(begun.elapsed() >= tuning.hedge, "it had its time");
}

#[tokio::test]
async fn the_next_member_is_asked_at_once_when_the_first_refuses() {
    let member = Etcd::cluster("3.6", 1).remove(0);
    let (listener, mute) = mute();
    drop(listener);
    let routes = routes(&member, &mute, None).await;
    let patient = Tuning { hedge: Duration::from_secs(30), ..Tuning::default() };
    assert!(roster::ask(routes, &patient).await.is_ok());
}

#[tokio::test]
async fn a_list_of_another_cluster_is_shown_only_when_nobody_has_ours() {
    let (ours, stranger) = (Etcd::cluster("3.6", 1).remove(0), Etcd::cluster("3.6", 1).remove(0));
    let cluster = ClusterId(ours.serving().await.header.cluster_id.0);
    let foreign = ClusterId(stranger.serving().await.header.cluster_id.0);
    let both = routes(&ours, &stranger, Some(cluster)).await;
    assert_eq!(roster::ask(both.clone(), &Tuning::default()).await.unwrap().cluster, cluster);
    let alone = Routes { in_turn: both.in_turn[..1].to_vec(), ..both };
    assert_eq!(roster::ask(alone, &Tuning::default()).await.unwrap().cluster, foreign);
}

#[tokio::test]
async fn nobody_is_asked_for_a_list_when_nothing_runs() {
    let stage = Stage::empty();
    let mut observer = Observer::new(Clock::start(), Tuning::default());
    let seen = observer.observe(&stage, &desired()).await.observation;
    let Probe::Unknown { why, .. } = seen.roster else { panic!("{:?}", seen.roster) };
    assert_eq!(why.0, "no member runs");
}

#[tokio::test]
async fn a_member_that_its_platform_cannot_see_is_asked_all_the_same() {
    let mut scene = Scene::new("3.6", 1).await;
    scene.stage.change(|ground| {
        ground.slots.get_mut(&Slot(0)).unwrap().instance = Err(Blocker("the host does not answer".to_owned()));
    });
    let seen = scene.sees("its answer", |seen| !is_silent(seen, 0)).await;
    assert!(seen.roster.known().is_some());
    assert!(seen.ground[&Slot(0)].instance.unknown_since().is_some());
}

mod corruption;
