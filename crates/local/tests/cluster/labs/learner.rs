//! Learners that stop on their way.

use std::{net::TcpListener, time::Duration};

use etcdop_core::{
    id::{MemberId, Slot},
    observation::Phase,
    reason::Reason,
};
use etcdop_etcd::{Consistency, Put, Role};
use etcdop_local::faults::Fault;

use crate::stage::{Setup, Stage};

/// LAB 5 and 14: etcd promotes a learner that caught up and died, and with one voter all writes stop until it is back.
#[tokio::test(flavor = "multi_thread")]
async fn lab_14_a_learner_that_caught_up_and_froze_is_not_promoted() {
    let stage = Setup::new("3.6", 1).formed().await;
    let witness = stage.witness().await;
    let (voter, caught_up, late) = (Slot(0), Slot(1), Slot(2));
    stage.set_size(3);
    stage.at_gate(late).await;
    stage.inflict(late, Fault::Freeze).await;
    // It has published itself, and waits for a second one to be promoted with.
    let learner = stage.eventually("a learner that serves", async || stage.named(voter, caught_up).await).await;
    stage.until("it is ready", |now, _| now.plan.reasons.contains(&Reason::WaitingForPair { member: learner })).await;
    stage.inflict(caught_up, Fault::Freeze).await;
    let silent = |reason: &Reason| matches!(reason, Reason::LearnerSilent { member, .. } if *member == learner);
    stage.until("its silence is noticed", |now, _| now.plan.reasons.iter().any(silent)).await;
    stage.inflict(late, Fault::Thaw).await;
    let second = stage.eventually("the other learner serves", async || stage.named(voter, late).await).await;
    let pairs = |reason: &Reason| *reason == Reason::WaitingForPair { member: second };
    stage.until("it waits for the frozen one", |now, _| now.plan.reasons.iter().any(pairs)).await;
    let pass = stage.published().pass;
    stage.until("ten more passes", |now, _| now.pass >= pass + 10).await;
    let list = stage.patient_client(voter).member_list(Consistency::Linearizable).await.unwrap().value;
    assert_eq!(list.iter().filter(|row| row.role == Role::Voter).count(), 1, "{list:#?}");
    stage.patient_client(voter).put(Put::new("still", "writable")).await.unwrap();
    stage.inflict(caught_up, Fault::Thaw).await;
    stage.converged().await;
    stage.roll_call(3).await;
    stage.settle(witness).await;
}

/// A process that has its permit and does nothing: the learner is taken out, and another one comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_that_hangs_for_ever_is_taken_out_and_another_one_joins() {
    let setup = Setup::new("3.6", 1).patience(|patience| patience.join = Duration::from_secs(4));
    let stage = setup.formed().await;
    let witness = stage.witness().await;
    stage.set_size(3);
    let hung = Slot(2);
    stage.at_gate(hung).await;
    stage.inflict(hung, Fault::Freeze).await;
    let frozen = stage.processes()[&hung];
    stage.converged().await;
    stage.roll_call(3).await;
    assert_ne!(stage.processes()[&hung], frozen);
    stage.settle(witness).await;
}

/// Somebody else took a port of one slot while nobody lived there.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_never_gets_to_the_gate_is_named_and_joins_when_it_can() {
    let stage = Setup::new("3.6", 5).formed().await;
    let witness = stage.witness().await;
    let before = stage.published().observation;
    stage.set_size(3);
    stage.converged().await;
    let left = stage.roll_call(3).await.members;
    let (broken, view) = before.ground.iter().find(|(slot, _)| !left.contains_key(slot)).unwrap();
    let stranger = TcpListener::bind(view.address.client.trim_start_matches("http://")).unwrap();
    let port = stranger.local_addr().unwrap().port();
    stage.set_size(5);
    let named =
        |reason: &String| reason.contains(&format!("slot {broken}")) && reason.contains(&format!("port {port}"));
    stage.until("the slot and the port are named", |_, summary| summary.reasons.iter().any(named)).await;
    drop(stranger);
    stage.converged().await;
    stage.roll_call(5).await;
    stage.settle(witness).await;
}

impl Stage {
    async fn at_gate(&self, slot: Slot) {
        self.until("a guard at the gate", |now, _| {
            let view = now.observation.ground.get(&slot);
            let instance = view.and_then(|view| view.instance.known()?.as_ref());
            instance.is_some_and(|instance| instance.phase == Phase::AtGate)
        })
        .await;
    }

    /// The member in `slot`, once `asked` lists it as a learner that published its name.
    async fn named(&self, asked: Slot, slot: Slot) -> Option<MemberId> {
        let list = self.client(asked).member_list(Consistency::Linearizable).await.ok()?.value;
        let name = format!("{}-{slot}", self.cluster.directory().name());
        let row = list.into_iter().find(|row| row.name == name)?;
        assert_eq!(row.role, Role::Learner, "{row:?}");
        Some(MemberId(row.id.0))
    }
}
