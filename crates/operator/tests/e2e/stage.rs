//! One declared cluster in a namespace of its own, its operator, and its witness.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use etcdop_api::{EtcdCluster, EtcdClusterStatus, Phase};
use etcdop_etcd::{Client as EtcdClient, Consistency, Endpoint, Member, Role};
use etcdop_witness::{Options, Witness};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{ground::Ground, operator::Operator};

/// For everything that is waited for; far more than it takes, also on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);
/// For one list of Pods.
const LIST: Duration = Duration::from_secs(5);
/// Between two looks.
pub(crate) const PACE: Duration = Duration::from_millis(50);
/// Of all writers of a test.
const WRITES: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// A cluster on its stage.
pub(crate) struct Stage {
    pub(crate) ground: Ground,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) operator: Operator,
    /// Of its operators.
    environment: Vec<(&'static str, String)>,
    endpoints: watch::Receiver<Vec<Endpoint>>,
    follower: JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.follower.abort();
        if std::thread::panicking() {
            let log = self.operator.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- namespace {}, the operator's last lines", self.namespace);
            tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Stage {
    /// A namespace with an operator, and a resource of this size in it. `None` without a control plane.
    pub(crate) async fn declare(test: &str, size: i64) -> Option<Self> {
        Self::declare_with(test, json!({ "size": size })).await
    }

    /// As [`Self::declare`], with these fields of the spec.
    pub(crate) async fn declare_with(test: &str, spec: Value) -> Option<Self> {
        Some(Self::on(Ground::find().await?, test, spec, &[]).await)
    }

    /// As [`Self::declare_with`], on this ground, with an operator that has these environment variables.
    pub(crate) async fn on(ground: Ground, test: &str, spec: Value, environment: &[(&'static str, String)]) -> Self {
        let mut stage = Self::bare_on(ground, test).await;
        stage.run_operator(environment);
        stage.create(spec).await;
        stage
    }

    /// A namespace, and nothing in it.
    pub(crate) async fn bare(test: &str) -> Option<Self> {
        Some(Self::bare_on(Ground::find().await?, test).await)
    }

    async fn bare_on(ground: Ground, test: &str) -> Self {
        let namespace = format!("e2e-{test}-{}", std::process::id());
        make_namespace(&ground.client, &namespace).await;
        Self::at(ground, &namespace, "demo")
    }

    /// A cluster of this name in a namespace that is there.
    pub(crate) fn at(ground: Ground, namespace: &str, name: &str) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let (endpoints, follower) = follow(ground.client.clone(), &namespace, &name);
        Self { ground, namespace, name, operator: Operator::none(), environment: Vec::new(), endpoints, follower }
    }

    /// Another cluster in the same namespace, kept by the same operator.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self::at(self.ground.clone(), &self.namespace, name)
    }

    /// An operator for this namespace with these environment variables, in place of the one before.
    pub(crate) fn run_operator(&mut self, environment: &[(&'static str, String)]) {
        self.environment = environment.to_vec();
        self.start_operator();
    }

    /// Creates the resource.
    pub(crate) async fn create(&self, spec: Value) {
        create(&self.ground, &self.namespace, &self.name, spec).await;
    }

    pub(crate) fn resources(&self) -> Api<EtcdCluster> {
        Api::namespaced(self.ground.client.clone(), &self.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.ground.client.clone(), &self.namespace)
    }

    pub(crate) fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.ground.client.clone(), &self.namespace)
    }

    /// Edits the spec.
    pub(crate) async fn edit(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.resources().patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Edits the size.
    pub(crate) async fn scale(&self, size: i64) {
        self.edit(json!({ "size": size })).await;
    }

    pub(crate) async fn status(&self) -> EtcdClusterStatus {
        self.resources().get(&self.name).await.unwrap().status.unwrap_or_default()
    }

    /// Waits until the status of the newest edit is as wanted.
    #[track_caller]
    pub(crate) fn shows<'a>(
        &'a self,
        what: &'a str,
        wanted: impl Fn(&EtcdClusterStatus) -> bool + 'a,
    ) -> impl Future<Output = EtcdClusterStatus> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let begin = Instant::now();
            loop {
                let resource = self.resources().get(&self.name).await.unwrap();
                let status = resource.status.unwrap_or_default();
                if status.observed_generation == resource.metadata.generation && wanted(&status) {
                    return status;
                }
                assert!(begin.elapsed() < DEADLINE, "{caller}: not {what}: {status:#?}");
                sleep(PACE).await;
            }
        }
    }

    /// Waits until the status says that the cluster is as declared, and etcd itself says so, too.
    #[track_caller]
    pub(crate) fn converged(&self) -> impl Future<Output = Duration> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let begin = Instant::now();
            let size = self.resources().get(&self.name).await.unwrap().spec.size;
            self.shows(&format!("converged ({caller})"), |status| rests(status, size)).await;
            let took = begin.elapsed();
            self.roll_call(usize::try_from(size).unwrap()).await;
            eprintln!("{}: as declared with {size} after {took:?}", self.namespace);
            took
        }
    }

    /// Every member, asked itself, names the same voters, and as many as there are to be.
    pub(crate) async fn roll_call(&self, size: usize) {
        let begin = Instant::now();
        loop {
            match self.try_roll_call(size).await {
                Ok(()) => return,
                Err(why) => assert!(begin.elapsed() < DEADLINE, "{why}"),
            }
            sleep(PACE).await;
        }
    }

    async fn try_roll_call(&self, size: usize) -> Result<(), String> {
        let addresses = addresses(&self.ground.client, &self.namespace, &self.name).await;
        same(&addresses.len(), &size, "Pods with an address")?;
        let mut lists: Vec<Vec<Member>> = Vec::new();
        for (pod, endpoint) in addresses {
            let client = etcd(endpoint);
            let list =
                client.member_list(Consistency::Linearizable).await.map_err(|error| format!("{pod}: {error}"))?;
            let own = client.status().await.map_err(|error| format!("{pod}: {error}"))?;
            let member = list.value.iter().find(|member| member.id == own.header.member_id);
            same(
                &member.map(|member| member.name.clone()),
                &Some(pod.clone()),
                "the name of whoever answers at a Pod",
            )?;
            lists.push(list.value);
        }
        for list in lists {
            same(&list.len(), &size, "members in the list")?;
            same(&list.iter().filter(|member| member.role == Role::Voter).count(), &size, "voters in the list")?;
        }
        Ok(())
    }

    /// Members by name, as etcd lists them.
    pub(crate) async fn members(&self) -> BTreeMap<String, etcdop_etcd::MemberId> {
        let begin = Instant::now();
        loop {
            for (_, endpoint) in addresses(&self.ground.client, &self.namespace, &self.name).await {
                if let Ok(list) = etcd(endpoint).member_list(Consistency::Linearizable).await {
                    return list.value.into_iter().map(|member| (member.name, member.id)).collect();
                }
            }
            assert!(begin.elapsed() < DEADLINE, "nobody lists the members");
            sleep(PACE).await;
        }
    }

    /// Begins to write.
    pub(crate) async fn witness(&self) -> Witness {
        let options = Options { writes_per_second: WRITES, ..Options::default() };
        Witness::start(self.endpoints.clone(), options).await.unwrap()
    }

    /// Ends the writing; nothing that was acknowledged may be missing.
    pub(crate) async fn settle(&self, witness: Witness) {
        let endpoints = self.endpoints.borrow().clone();
        let bill = witness.finish(&endpoints).await;
        assert!(bill.is_clean(), "{bill}");
        eprintln!("{}: {bill}", self.namespace);
    }

    /// Deletes the Pod at once, or with its grace.
    pub(crate) async fn delete_pod(&self, slot: usize) -> String {
        let pod = self.pods().get(&self.pod(slot)).await.unwrap();
        self.pods().delete(&self.pod(slot), &DeleteParams::default()).await.unwrap();
        pod.uid().unwrap()
    }

    /// Waits until another Pod than that of this UID is there.
    pub(crate) async fn is_another_pod(&self, slot: usize, uid: &str) {
        let other = || async {
            let pod = self.pods().get_opt(&self.pod(slot)).await.unwrap();
            pod.is_some_and(|pod| pod.uid().as_deref() != Some(uid) && pod.metadata.deletion_timestamp.is_none())
        };
        self.until("another Pod", other).await;
    }

    /// Waits for something to come true.
    #[track_caller]
    pub(crate) fn until<'a, F: Future<Output = bool> + 'a>(
        &'a self,
        what: &'a str,
        is_so: impl Fn() -> F + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let begin = Instant::now();
            while !is_so().await {
                assert!(begin.elapsed() < DEADLINE, "{caller}: {}: not {what}", self.namespace);
                sleep(PACE).await;
            }
        }
    }

    pub(crate) fn pod(&self, slot: usize) -> String {
        format!("{}-{slot}", self.name)
    }

    pub(crate) fn claim(&self, slot: usize) -> String {
        format!("data-{}", self.pod(slot))
    }

    /// The slot of the member that leads.
    pub(crate) async fn leader(&self) -> usize {
        let status = self.shows("led", |status| status.leader.is_some()).await;
        let name = status.leader.unwrap();
        name.rsplit_once('-').unwrap().1.parse().unwrap()
    }

    /// Another operator goes on where the last one was killed.
    pub(crate) async fn restart_operator(&mut self) {
        self.operator.kill().await;
        self.start_operator();
    }

    /// An operator instead of the one that was killed.
    pub(crate) fn start_operator(&mut self) {
        self.operator = Operator::start(&self.ground, &[&self.namespace], &self.environment);
    }

    /// As [`Self::restart_operator`], with another environment.
    pub(crate) async fn restart_operator_with(&mut self, environment: &[(&'static str, String)]) {
        self.operator.kill().await;
        self.run_operator(environment);
    }

    /// How often containers of etcd were restarted by themselves, in Pods that are to stay.
    pub(crate) async fn restarts(&self) -> i32 {
        let pods = self.pods().list(&selector(&self.name)).await.unwrap();
        let stay = pods.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let statuses = stay.filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
        statuses.flatten().filter(|status| status.name == "etcd").map(|status| status.restart_count).sum()
    }

    /// Takes everything down.
    pub(crate) async fn end(self) {
        let namespaces: Api<Namespace> = Api::all(self.ground.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }
}

/// Whether the status is that of a cluster of this size which is as declared.
pub(crate) fn rests(status: &EtcdClusterStatus, size: i64) -> bool {
    let rests = status.phase == Some(Phase::Running) && status.operation.is_none();
    rests && i64::from(status.ready_members) == size && i64::from(status.current_size) == size
}

/// Creates a resource with the fields of `spec`, and the rest as the tests have it.
pub(crate) async fn create(ground: &Ground, namespace: &str, name: &str, spec: Value) {
    let mut whole = json!({
        "version": "3.6.16",
        "image": { "registry": ground.registry, "repository": ground.repository },
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
    });
    if let (Some(whole), Value::Object(spec)) = (whole.as_object_mut(), spec) {
        whole.extend(spec);
    }
    let resource = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster",
        "metadata": { "name": name, "namespace": namespace }, "spec": whole,
    });
    let resources: Api<EtcdCluster> = Api::namespaced(ground.client.clone(), namespace);
    let resource: EtcdCluster = serde_json::from_value(resource).unwrap();
    resources.create(&PostParams::default(), &resource).await.unwrap();
}

pub(crate) async fn make_namespace(client: &Client, name: &str) {
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
    }))
    .unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

pub(crate) fn selector(name: &str) -> ListParams {
    ListParams::default().labels(&format!("etcd.etcd.io/cluster={name}"))
}

/// Where each Pod's etcd is reached.
pub(crate) async fn addresses(client: &Client, namespace: &str, name: &str) -> Vec<(String, Endpoint)> {
    known_addresses(client, namespace, name).await.unwrap_or_default()
}

/// The same; `None` when the API server does not say.
async fn known_addresses(client: &Client, namespace: &str, name: &str) -> Option<Vec<(String, Endpoint)>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = timeout(LIST, pods.list(&selector(name))).await.ok()?.ok()?;
    let addresses = pods.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter_map(|pod| {
        let ip = pod.status.as_ref()?.pod_ip.clone()?;
        Some((pod.name_any(), format!("http://{ip}:2379").parse().ok()?))
    });
    Some(addresses.collect())
}

pub(crate) fn etcd(endpoint: Endpoint) -> EtcdClient {
    EtcdClient::new(endpoint, &etcdop_etcd::Options::default()).deadline(Duration::from_secs(2))
}

/// Keeps the witness's endpoints those of the Pods that there are.
fn follow(client: Client, namespace: &str, name: &str) -> (watch::Receiver<Vec<Endpoint>>, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    let sender = Arc::new(sender);
    let task = tokio::spawn(async move {
        loop {
            if let Some(found) = known_addresses(&client, &namespace, &name).await {
                let found: Vec<Endpoint> = found.into_iter().map(|(_, endpoint)| endpoint).collect();
                sender.send_if_modified(|known| std::mem::replace(known, found.clone()) != found);
            }
            sleep(PACE * 2).await;
        }
    });
    (receiver, task)
}

fn same<T: PartialEq + Debug>(found: &T, wanted: &T, what: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}")) }
}
