//! What Prometheus reads. Labels are bounded: clusters by namespace and name, steps and phases by fixed words.

use std::{fmt::Write, sync::atomic::AtomicU64, time::Duration};

use etcdop_api::Cluster;
use etcdop_core::{
    observation::Role,
    step::{EtcdStep, GroundStep, Step},
    summary::{MemberHealth, MemberRow},
};
use etcdop_engine::{outcome::Outcome, publish::StepReport};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{events::refusals, requests::Asked, status::Picture};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    namespace: String,
    cluster: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MembersOf {
    namespace: String,
    cluster: String,
    role: &'static str,
    health: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalOf {
    namespace: String,
    cluster: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepOf {
    namespace: String,
    cluster: String,
    step: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestOf {
    verb: &'static str,
    group: String,
    resource: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallOf {
    namespace: String,
    cluster: String,
    call: &'static str,
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    members: Family<MembersOf, Gauge>,
    refusals: Family<RefusalOf, Gauge>,
    wanted: Family<Of, Gauge>,
    ready: Family<Of, Gauge>,
    converged: Family<Of, Gauge>,
    db_size: Family<Of, Gauge>,
    passes: Family<Of, Counter<u64, AtomicU64>>,
    steps: Family<StepOf, Counter>,
    step_seconds: Family<Of, Histogram>,
    etcd_call_seconds: Family<CallOf, Histogram>,
    operation_seconds: Family<Of, Histogram>,
    requests: Family<RequestOf, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("etcd_operator");
        let seconds = || Histogram::new([0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0]);
        let metrics = Self {
            members: Family::default(),
            refusals: Family::default(),
            wanted: Family::default(),
            ready: Family::default(),
            converged: Family::default(),
            db_size: Family::default(),
            passes: Family::default(),
            steps: Family::default(),
            step_seconds: Family::new_with_constructor(seconds),
            etcd_call_seconds: Family::new_with_constructor(seconds),
            operation_seconds: Family::new_with_constructor(seconds),
            requests: Family::default(),
            registry: Registry::default(),
        };
        registry.register("members", "Members by role and health", metrics.members.clone());
        registry.register("refusals", "What is refused or lacking now, by reason", metrics.refusals.clone());
        registry.register("members_wanted", "Voting members asked for", metrics.wanted.clone());
        registry.register("members_ready", "Voting members that answer", metrics.ready.clone());
        registry.register("converged", "1 when a cluster is as declared", metrics.converged.clone());
        registry.register_with_unit("db_size", "Largest database of a member", Unit::Bytes, metrics.db_size.clone());
        registry.register("passes", "Looks at a cluster", metrics.passes.clone());
        registry.register("steps", "Steps taken, by what became of them", metrics.steps.clone());
        registry.register_with_unit("step", "How long a step took", Unit::Seconds, metrics.step_seconds.clone());
        registry.register_with_unit(
            "etcd_call",
            "How long members took to answer",
            Unit::Seconds,
            metrics.etcd_call_seconds.clone(),
        );
        registry.register_with_unit(
            "operation",
            "From the first look that was not as declared to the first that was",
            Unit::Seconds,
            metrics.operation_seconds.clone(),
        );
        let requests = "Requests to the API server, by what they ask for and the code of the answer; none without one";
        registry.register("api_requests", requests, metrics.requests.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The page, in the text format `OpenMetrics`.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        if encode(&mut page, &self.registry).is_err() {
            // Writing to a text does not fail.
            let _ = writeln!(page, "# EOF");
        }
        page
    }

    /// Takes one picture into account.
    pub(crate) fn note(&self, picture: &Picture<'_>) {
        let of = of(picture.cluster);
        let summary = picture.summary;
        for labels in kinds_of_members(&of) {
            let is_one = |row: &&MemberRow| role(row.role) == labels.role && health(row.health) == labels.health;
            let count = summary.members.iter().filter(is_one).count();
            self.members.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let refused = refusals(picture);
        for reason in REFUSALS {
            let count = refused.iter().filter(|refusal| refusal.reason == reason).count();
            self.refusals.get_or_create(&refusal(&of, reason)).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.wanted.get_or_create(&of).set(summary.size.into());
        self.ready.get_or_create(&of).set(i64::try_from(summary.ready).unwrap_or(i64::MAX));
        self.converged.get_or_create(&of).set(summary.converged.into());
        let size = summary.members.iter().filter_map(|row| row.db_size).max().unwrap_or(0);
        self.db_size.get_or_create(&of).set(i64::try_from(size).unwrap_or(i64::MAX));
        for took in &picture.published.answered_in {
            self.etcd_call_seconds.get_or_create(&call(&of, STATUS)).observe(took.as_secs_f64());
        }
        let passes = self.passes.get_or_create(&of);
        passes.inc();
    }

    /// Counts a step.
    pub(crate) fn step(&self, cluster: &Cluster, report: &StepReport) {
        let of = of(cluster);
        self.step_seconds.get_or_create(&of).observe(report.took.as_secs_f64());
        if matches!(report.step, Step::Etcd(_)) {
            self.etcd_call_seconds.get_or_create(&call(&of, word(&report.step))).observe(report.took.as_secs_f64());
        }
        let outcome = match report.outcome {
            Outcome::Done => "done",
            Outcome::NotApplied(_) | Outcome::NotYet(_) => "not-applied",
            Outcome::Unknown(_) => "unknown",
        };
        let labels = StepOf { namespace: of.namespace, cluster: of.cluster, step: word(&report.step), outcome };
        self.steps.get_or_create(&labels).inc();
    }

    /// Notes how long a cluster was not as declared.
    pub(crate) fn operation(&self, cluster: &Cluster, took: Duration) {
        self.operation_seconds.get_or_create(&of(cluster)).observe(took.as_secs_f64());
    }

    /// Counts a request to the API server. There are as many kinds of them as the operator has rights.
    pub(crate) fn request(&self, asked: &Asked, code: Option<u16>) {
        let Asked { verb, group, resource } = asked.clone();
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.requests.get_or_create(&RequestOf { verb, group, resource, code }).inc();
    }

    /// Shows nothing of a cluster any more.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        let of = Of { namespace: namespace.to_owned(), cluster: name.to_owned() };
        for gauges in [&self.wanted, &self.ready, &self.converged, &self.db_size] {
            gauges.remove(&of);
        }
        self.passes.remove(&of);
        self.step_seconds.remove(&of);
        self.operation_seconds.remove(&of);
        for labels in kinds_of_members(&of) {
            self.members.remove(&labels);
        }
        for reason in REFUSALS {
            self.refusals.remove(&refusal(&of, reason));
        }
        for step in WORDS.into_iter().chain([STATUS]) {
            self.etcd_call_seconds.remove(&call(&of, step));
            for outcome in ["done", "not-applied", "unknown"] {
                let (namespace, cluster) = (of.namespace.clone(), of.cluster.clone());
                self.steps.remove(&StepOf { namespace, cluster, step, outcome });
            }
        }
    }
}

fn of(cluster: &Cluster) -> Of {
    Of { namespace: cluster.namespace.clone(), cluster: cluster.name.clone() }
}

fn kinds_of_members(of: &Of) -> impl Iterator<Item = MembersOf> + '_ {
    let all = ROLES.into_iter().flat_map(|role| HEALTHS.map(|health| (role, health)));
    all.map(|(role, health)| MembersOf { namespace: of.namespace.clone(), cluster: of.cluster.clone(), role, health })
}

fn call(of: &Of, call: &'static str) -> CallOf {
    CallOf { namespace: of.namespace.clone(), cluster: of.cluster.clone(), call }
}

fn refusal(of: &Of, reason: &'static str) -> RefusalOf {
    RefusalOf { namespace: of.namespace.clone(), cluster: of.cluster.clone(), reason }
}

const ROLES: [&str; 3] = ["voter", "learner", "none"];

const fn role(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Voter) => "voter",
        Some(Role::Learner) => "learner",
        // It has a place and is not in the list, or there is no list.
        None => "none",
    }
}

const HEALTHS: [&str; 5] = ["healthy", "joining", "silent", "dead", "stopped"];

const fn health(health: MemberHealth) -> &'static str {
    match health {
        MemberHealth::Healthy => "healthy",
        MemberHealth::Joining => "joining",
        MemberHealth::Silent => "silent",
        MemberHealth::Dead => "dead",
        MemberHealth::Stopped => "stopped",
    }
}

const REFUSALS: [&str; 7] =
    ["ObjectInTheWay", "Lacking", "DiskRefused", "Refused", "Alarm", "DataInTheWay", "ForeignMember"];

/// A member's word about itself.
const STATUS: &str = "status";

const WORDS: [&str; 15] = [
    "add-learner",
    "promote",
    "remove",
    "move-leader",
    "compact",
    "defragment",
    "disarm",
    "downgrade",
    "pad-log",
    "snapshot",
    "ensure",
    "permit",
    "retire",
    "discard",
    "record",
];

const fn word(step: &Step) -> &'static str {
    match step {
        Step::Etcd(EtcdStep::AddLearner(..)) => "add-learner",
        Step::Etcd(EtcdStep::Promote(_)) => "promote",
        Step::Etcd(EtcdStep::Remove(_)) => "remove",
        Step::Etcd(EtcdStep::MoveLeader { .. }) => "move-leader",
        Step::Etcd(EtcdStep::Compact { .. }) => "compact",
        Step::Etcd(EtcdStep::Defragment(_)) => "defragment",
        Step::Etcd(EtcdStep::Disarm(_)) => "disarm",
        Step::Etcd(EtcdStep::Downgrade(_)) => "downgrade",
        Step::Etcd(EtcdStep::PadLog { .. }) => "pad-log",
        Step::Etcd(EtcdStep::Snapshot { .. }) => "snapshot",
        Step::Ground(GroundStep::Ensure(_)) => "ensure",
        Step::Ground(GroundStep::Permit(_)) => "permit",
        Step::Ground(GroundStep::Retire(..)) => "retire",
        Step::Ground(GroundStep::Discard(..)) => "discard",
        Step::Record(_) => "record",
    }
}
