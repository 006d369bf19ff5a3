//! Several operators: the holder of the lease acts, and another one takes over when it goes, with or without a word.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::time::sleep;

use crate::{operator::Operator, stage::Stage};

/// After an end without a word, until the other one leads and acts.
const AFTER_A_KILL: Duration = Duration::from_secs(15);
/// After an end in good order.
const AFTER_AN_END: Duration = Duration::from_secs(2);
/// Between two looks.
const PULSE: Duration = Duration::from_millis(20);

/// Operators of one namespace, of which one acts.
struct Replicas {
    stage: Stage,
    /// The one that leads first.
    operators: Vec<Operator>,
}

impl Replicas {
    async fn set_up(test: &str) -> Option<Self> {
        let replicas = Self { stage: Stage::bare(test).await?, operators: Vec::new() };
        Some(replicas)
    }

    /// Another one stands by.
    fn add(&mut self) {
        let elects = [
            ("ETCD_OPERATOR_LEADER_ELECT", "true".to_owned()),
            ("ETCD_OPERATOR_LEASE_NAMESPACE", self.stage.namespace.clone()),
        ];
        self.operators.push(Operator::start(&self.stage.ground, &[&self.stage.namespace], &elects));
    }

    async fn holder(&self) -> Option<String> {
        let leases: Api<Lease> = Api::namespaced(self.stage.ground.client.clone(), &self.stage.namespace);
        leases.get_opt("etcd-operator").await.unwrap()?.spec?.holder_identity.filter(|holder| !holder.is_empty())
    }

    async fn leads(&self, operator: &Operator) -> bool {
        let pid = format!("_{}_", operator.pid());
        self.holder().await.is_some_and(|holder| holder.contains(&pid))
    }

    /// Waits until the first one leads.
    async fn first_leads(&self) {
        self.stage.until("led by the first one", || self.leads(&self.operators[0])).await;
    }

    /// Whether the newest edit has been seen by an operator that acts.
    async fn is_followed(&self) -> bool {
        let resource = self.stage.resources().get(&self.stage.name).await.unwrap();
        let observed = resource.status.and_then(|status| status.observed_generation);
        observed == resource.metadata.generation
    }

    /// Waits until the first one leads and has seen the newest edit; since `begin` that may have taken so long.
    async fn takes_over(&self, begin: Instant, limit: Duration) {
        while !self.leads(&self.operators[0]).await {
            assert!(begin.elapsed() < limit, "nobody leads after {:?}:\n{}", begin.elapsed(), self.operators[0].log());
            sleep(PULSE).await;
        }
        let led = begin.elapsed();
        while !self.is_followed().await {
            let log = self.operators[0].log();
            assert!(begin.elapsed() < limit, "leads after {led:?}, does not act after {:?}:\n{log}", begin.elapsed());
            sleep(PULSE).await;
        }
        eprintln!("{}: another one leads after {led:?}, acts after {:?}", self.stage.namespace, begin.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_over_within_fifteen_seconds_of_a_kill_and_two_of_an_end() {
    let Some(mut replicas) = Replicas::set_up("election").await else { return };
    replicas.add();
    replicas.first_leads().await;
    replicas.add();
    replicas.stage.create(serde_json::json!({ "size": 1 })).await;
    replicas.stage.converged().await;
    assert_eq!(replicas.operators[1].health("/readyz").await.map(|(code, _)| code), Some(200), "it stands by");
    let witness = replicas.stage.witness().await;

    replicas.operators[0].kill().await;
    let begin = Instant::now();
    replicas.stage.scale(3).await;
    replicas.operators.remove(0);
    replicas.takes_over(begin, AFTER_A_KILL).await;
    replicas.stage.converged().await;

    replicas.add();
    let ready = || async { replicas.operators[1].health("/readyz").await.is_some() };
    replicas.stage.until("standing by", ready).await;
    let begin = Instant::now();
    replicas.operators[0].ask_to_end();
    replicas.stage.scale(1).await;
    let mut ended = replicas.operators.remove(0);
    replicas.takes_over(begin, AFTER_AN_END).await;
    assert!(ended.ended().await.success(), "{}", ended.log());
    replicas.stage.converged().await;
    replicas.stage.settle(witness).await;
    replicas.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_mid_step_is_safe_and_gives_the_lease_back() {
    let Some(mut replicas) = Replicas::set_up("farewell").await else { return };
    replicas.add();
    replicas.stage.create(serde_json::json!({ "size": 1 })).await;
    replicas.stage.converged().await;
    let witness = replicas.stage.witness().await;
    // Somewhere in the middle of what an edit sets going, each time somewhere else.
    for (size, moment) in [(3, 150), (1, 100), (3, 500), (1, 300), (3, 900)] {
        replicas.stage.scale(size).await;
        sleep(Duration::from_millis(moment)).await;
        let begin = Instant::now();
        replicas.operators[0].ask_to_end();
        let mut ended = replicas.operators.remove(0);
        assert!(ended.ended().await.success(), "{}", ended.log());
        let log = ended.log();
        assert!(log.contains("lease given back") && log.contains("operator ends"), "{log}");
        assert_eq!(replicas.holder().await, None, "nobody holds the lease");
        eprintln!("{}: ended in {:?}", replicas.stage.namespace, begin.elapsed());
        replicas.add();
        replicas.stage.converged().await;
    }
    replicas.stage.settle(witness).await;
    replicas.stage.end().await;
}
