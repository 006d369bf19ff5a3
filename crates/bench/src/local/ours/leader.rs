//! The leader goes: in a roll, or by SIGKILL.

use std::time::Instant;

use etcdop_core::{plan::Wake, version::Minor};
use etcdop_engine::publish::Published;
use etcdop_local::faults::Fault;

use super::{Ours, Workshop};
use crate::{
    failure::Failure,
    wait::{both_since, healthy, leader, serves_peers, within},
    writers::{Cost, Killed, Writers},
};

const SIZE: u8 = 3;

/// Rolls three members to another option, the leader among them.
pub(crate) async fn hand_over(shop: &Workshop, minor: Minor) -> Result<Cost, Failure> {
    let ours = shop.cluster(minor, SIZE).await?;
    let asked = ours.endpoints();
    let writers = Writers::start(asked.clone()).await?;
    writers.step();
    ours.change_an_option()?;
    ours.is_rolled().await?;
    healthy(&asked, SIZE.into()).await?;
    writers.finish().await
}

/// Kills the leader.
pub(crate) async fn kill(shop: &Workshop, minor: Minor) -> Result<Killed, Failure> {
    let ours = shop.cluster(minor, SIZE).await?;
    let asked = ours.endpoints();
    let writers = Writers::start(asked.clone()).await?;
    let leads = leader(&asked).await?;
    writers.step();
    let began = Instant::now();
    ours.inflict(leads, Fault::Kill).await?;
    let (back, healthy) = both_since(began, serves_peers(ours.peer(leads)?), healthy(&asked, SIZE.into())).await?;
    Ok(Killed { cost: writers.finish().await?, back, healthy })
}

impl Ours {
    /// An edit that every member has to be restarted for.
    fn change_an_option(&self) -> Result<(), Failure> {
        let path = self.cluster.directory().manifest();
        let text = std::fs::read_to_string(&path).map_err(Failure::io("read the manifest"))?;
        let (before, after) = ("etcd: {}", "etcd: {snapshotCount: 20000}");
        std::fs::write(&path, text.replace(before, after)).map_err(Failure::io("write the manifest"))
    }

    /// Until every member runs what is declared, and nothing is left to do.
    async fn is_rolled(&self) -> Result<(), Failure> {
        let mut published = self.published.clone();
        let rolled = |now: &Published| {
            let runs = |view: &etcdop_core::observation::SlotView| {
                let instance = view.instance.known().and_then(Option::as_ref);
                instance.is_some_and(|instance| instance.launch.template == now.desired.template)
            };
            let option = now.desired.template.options.snapshot_count.is_some();
            option
                && now.observation.ground.values().all(runs)
                && now.plan.act.is_none()
                && now.plan.next == Wake::OnChange
        };
        within("a finished roll", published.wait_for(rolled)).await?.map_err(Failure::ours("follow the manager"))?;
        Ok(())
    }
}
