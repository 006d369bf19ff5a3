//! The objects that a cluster is made of: pure functions from a checked cluster to what is applied, one file per kind.
//!
//! # How one template holds members of two versions
//!
//! A StatefulSet has one Pod template, and with `OnDelete` every Pod that dies comes back from it, whatever its neighbours run. The
//! planner, though, gives each member a launch spec of its own, and during a roll they differ. So:
//!
//! - **What a member runs stands in its Pod.** The template carries one [`LaunchSpec`](etcdop_core::launch::LaunchSpec) whole: as
//!   image and flags for the kubelet, and as annotation [`keys::LAUNCH`] for us. Nothing about flags comes from a ConfigMap, where
//!   it could change under a Pod: the Pod object says what runs, also when its container restarts.
//! - **What each member is to run next stands on the StatefulSet**, as annotation [`keys::LAYOUT`]: slot by slot.
//! - **The template is lent to a restart.** At rest it holds what most members run. To restart one member with something else it is
//!   switched, that Pod is deleted, and when its successor is there it is switched back. A second Pod that dies while the first one
//!   tries an image that does not work comes back on what is proven.
//! - **A new image or flag set is proven before any member gets it**: [`pod::preflight`] runs it as a cluster of its own, on no disk
//!   and on loopback, until it is ready.
//!
//! Settings of the Pod besides version and flags (resources, affinity, sidecars) are part of the launch spec as a digest
//! ([`pod::digest`]) of what the user set, so that a change of them is a roll like any other. The operator's own image is no part of
//! it: upgrading the operator restarts nobody.
//!
//! # What a Pod reads
//!
//! Who may start on which disk reaches the guard on two ways: ConfigMap `NAME-members` has a seat per Pod name, which is what a Pod
//! finds that comes back while no operator runs; annotations of the Pod itself carry the seat and the one-time permit to a Pod that
//! stands at the gate, within a fraction of a second.

pub(crate) mod configmap;
pub(crate) mod disruption_budget;
pub(crate) mod install;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod network_policy;
mod owned;
pub(crate) mod pod;
pub(crate) mod service;
mod site;
pub(crate) mod statefulset;
pub(crate) mod volume;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod golden;

pub(crate) use site::Site;
