//! What is played: the scenes as data.

use etcdop_core::{size::Size, version::Minor};

use crate::demo::act::Act;

/// One cluster's life.
#[derive(Debug)]
pub(crate) struct Scene {
    /// For people.
    pub(crate) title: &'static str,
    /// The cluster's.
    pub(crate) name: &'static str,
    /// What it is born on.
    pub(crate) minor: Minor,
    /// And how large.
    pub(crate) size: Size,
    /// What happens to it then.
    pub(crate) acts: &'static [Act],
}

const ONE: Size = Size::ALL[1];
const THREE: Size = Size::ALL[2];
const SEVEN: Size = Size::ALL[4];

/// In this order.
pub(crate) const SCENES: [Scene; 2] = [
    Scene {
        title: "A cluster born on etcd 3.6: scaling and faults",
        name: "demo",
        minor: Minor::V3_6,
        size: ONE,
        acts: &[
            Act::Scale(THREE),
            Act::Scale(SEVEN),
            Act::Scale(THREE),
            Act::KillLeader,
            Act::WipeDisk,
            Act::Freeze,
            Act::KillAll,
            Act::Scale(ONE),
        ],
    },
    Scene {
        title: "A cluster born on etcd 3.5: versions and hibernation",
        name: "demo-versions",
        minor: Minor::new(3, 5),
        size: THREE,
        acts: &[Act::Roll(Minor::V3_6), Act::Roll(Minor::new(3, 7)), Act::Hibernate, Act::Wake(THREE), Act::Scale(ONE)],
    },
];
