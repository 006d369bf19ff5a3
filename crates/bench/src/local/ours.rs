//! Ours: the same steps through the engine and the local platform, asked for as a user asks: by an edit of the manifest. The clock
//! runs from the edit until etcd itself says that it is done.

mod create;
mod leader;
mod manager;
mod plan;
mod replace;
mod scale;

use std::sync::Arc;

use etcdop_core::{plan::Wake, size::Size, version::Minor};
use etcdop_engine::{driver::Driver, publish::Published, tuning::Tuning};
use etcdop_etcd::{Endpoint, Http};
use etcdop_local::{
    binaries::{Binaries, VersionWish},
    faults::{Fault, inflict},
    home::{ClusterName, Home},
    open::{Cluster, Manager},
    platform::LocalPlatform,
    watch::DesiredWatch,
};
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    create::create,
    leader::{hand_over, kill},
    manager::manager,
    plan::plan,
    replace::replace,
    scale::{grow, shrink},
};
use crate::{
    failure::Failure,
    ground::Ground,
    wait::{healthy, within},
};

/// What our clusters are made of.
#[derive(Debug)]
pub(crate) struct Workshop {
    ground: Ground,
    binaries: Binaries,
}

/// A cluster of ours with its manager, in this process.
struct Ours {
    cluster: Cluster,
    platform: LocalPlatform,
    published: watch::Receiver<Published>,
    stop: CancellationToken,
    driver: JoinHandle<()>,
    _declared: DesiredWatch,
    _home: TempDir,
}

impl Workshop {
    /// Finds the binaries where the floor has them from.
    pub(crate) async fn open(ground: Ground) -> Result<Self, Failure> {
        let etcd = ground.target().join("etcd");
        let binaries = Binaries::find(Some(&etcd)).await.map_err(Failure::ours("find the binaries"))?;
        Ok(Self { ground, binaries })
    }

    /// Declares a new cluster and begins to keep it.
    async fn declare(&self, minor: Minor, size: u8) -> Result<Ours, Failure> {
        let directory = self.ground.directory("ours")?;
        let home = Home::at(directory.path()).map_err(Failure::ours("make a home"))?;
        let name: ClusterName = "bench".parse().map_err(Failure::ours("name a cluster"))?;
        let wish = VersionWish::Newest(minor);
        let cluster = Cluster::create(&home, &name, voters(size)?, &wish).map_err(Failure::ours("create a cluster"))?;
        let Manager { platform, declared } =
            cluster.manager(self.binaries.clone()).await.map_err(Failure::ours("keep a cluster"))?;
        let (driver, published) = Driver::new(Arc::new(platform.clone()), declared.desired.clone(), Tuning::default());
        let stop = CancellationToken::new();
        let driver = tokio::spawn(driver.run(stop.clone()));
        Ok(Ours { cluster, platform, published, stop, driver, _declared: declared, _home: directory })
    }

    /// A healthy cluster of ours.
    async fn cluster(&self, minor: Minor, size: u8) -> Result<Ours, Failure> {
        let ours = self.declare(minor, size).await?;
        ours.is_formed(size).await?;
        Ok(ours)
    }
}

impl Ours {
    fn set_size(&self, size: u8) -> Result<(), Failure> {
        self.cluster.set_size(voters(size)?).map_err(Failure::ours("declare a size"))
    }

    /// Until the new cluster is healthy; before its first look the manager has no addresses to ask.
    async fn is_formed(&self, size: u8) -> Result<(), Failure> {
        let mut published = self.published.clone();
        let all = published.wait_for(|now| now.observation.ground.len() >= usize::from(size)).await;
        all.map_err(Failure::ours("look at what the manager shows"))?;
        healthy(&self.endpoints(), size.into()).await
    }

    /// Does something to the member at this place of [`Self::endpoints`].
    async fn inflict(&self, place: usize, fault: Fault) -> Result<(), Failure> {
        let Some(slot) = self.published.borrow().observation.ground.keys().nth(place).copied() else {
            return Err(Failure::Unreadable { what: "what the manager shows" });
        };
        let member = slot.to_string().parse().map_err(Failure::ours("name a member"))?;
        inflict(self.cluster.directory(), &member, fault).await.map_err(Failure::ours("hurt a member"))?;
        Ok(())
    }

    /// The peer port of the member at this place.
    fn peer(&self, place: usize) -> Result<Http, Failure> {
        let now = self.published.borrow();
        let peer =
            now.observation.ground.values().nth(place).and_then(|view| view.address.peer.to_string().parse().ok());
        let peer = peer.ok_or(Failure::Unreadable { what: "what the manager shows" })?;
        Ok(Http::new(peer, &etcdop_etcd::Options::default()))
    }

    /// A pass that finds nothing to do and nothing in flight.
    async fn steady(&self) -> Result<Published, Failure> {
        let mut published = self.published.clone();
        let idle = |now: &Published| now.plan.act.is_none() && now.plan.next == Wake::OnChange;
        let pass = within("a steady cluster", published.wait_for(idle)).await?;
        pass.map(|pass| pass.clone()).map_err(Failure::ours("follow the manager"))
    }

    /// The client URLs of all slots that there are.
    fn endpoints(&self) -> Vec<Endpoint> {
        let now = self.published.borrow();
        now.observation.ground.values().filter_map(|view| view.address.client.parse().ok()).collect()
    }
}

impl Drop for Ours {
    /// Members outlive their manager; here nobody comes for them.
    fn drop(&mut self) {
        self.stop.cancel();
        self.driver.abort();
        let (platform, runtime) = (self.platform.clone(), Handle::current());
        // Blocks on purpose: the next measurement begins when these processes are gone.
        tokio::task::block_in_place(|| runtime.block_on(platform.stop_members()));
    }
}

fn voters(size: u8) -> Result<Size, Failure> {
    Size::try_from(u64::from(size)).map_err(Failure::ours("name a size"))
}
