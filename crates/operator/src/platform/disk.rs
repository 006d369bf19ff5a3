//! What stands on the disk of a slot. The guard's reporter sees it live; where no guard runs, what one saw last is noted on the claim.

use etcdop_core::{
    id::VolumeId,
    observation::{Blocker, Marker, Volume},
};
use etcdop_engine::gate;
use etcdop_guard::{DataState, DataView, Progress, Report};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;

use super::{
    kept::Handed,
    phase::{container, last_word},
    reports::Heard,
};
use crate::resource::keys;

/// The disk of a slot; `None` when there is none.
pub(crate) fn volume(
    claim: Option<&PersistentVolumeClaim>,
    pod: Option<&Pod>,
    heard: Option<&Heard>,
    handed: Option<&Handed>,
) -> Result<Option<Volume>, Blocker> {
    let Some(claim) = claim.filter(|claim| !claim.annotations().contains_key(keys::RETIRED)) else { return Ok(None) };
    let id = VolumeId(claim.uid().unwrap_or_default());
    let seen = match (pod, heard) {
        (Some(pod), Some(Heard::Report(report))) if mounts(pod, claim) => Some(report.clone()),
        (Some(pod), _) => left_behind(pod),
        (None, _) => None,
    };
    if let Some(report) = seen {
        return marker(&report).map(|marker| Some(Volume { id, marker }));
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(Blocker(format!("claim {} is being deleted", claim.name_any())));
    }
    let Some(noted) = noted(claim) else {
        // The seat's disk was another claim, which is gone: what is on this one is nobody's yet.
        if handed.and_then(|handed| handed.claim.as_deref()).is_some_and(|before| before != id.0) {
            return Ok(Some(Volume { id, marker: Marker::Empty }));
        }
        return Err(Blocker(format!("no guard has looked at the disk of claim {} yet", claim.name_any())));
    };
    let marker = marker(&noted)?;
    // It was empty when a guard looked, and a permit for it was handed out: perhaps it was used since.
    let used = handed.is_some_and(|handed| handed.claim.as_deref() == Some(id.0.as_str()));
    if marker == Marker::Empty && used {
        return Err(Blocker(format!(
            "a first start was permitted on claim {}, and no guard has looked since",
            claim.name_any()
        )));
    }
    Ok(Some(Volume { id, marker }))
}

/// What the guard of a container that ended had to say.
fn left_behind(pod: &Pod) -> Option<Report> {
    let status = container(pod)?;
    let now = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    let waiting = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
    let before = status.last_state.as_ref().and_then(|state| state.terminated.as_ref()).filter(|_| waiting);
    now.or(before).and_then(last_word)
}

/// Whether this claim is the Pod's: one that was made since is not what the Pod has mounted.
fn mounts(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    match (&claim.metadata.creation_timestamp, &pod.metadata.creation_timestamp) {
        // A Pod keeps the claim that it uses from going, so one of the same name can only be younger when it never used it.
        (Some(claim_born), Some(pod_born)) => {
            let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
            claim_born.0 <= started.map_or(pod_born.0, |started| started.0)
        }
        _ => true,
    }
}

/// What the report says of the disk. One whose etcd is about to be started anew is not known yet: so its member is not promoted.
fn marker(report: &Report) -> Result<Marker, Blocker> {
    if let Some(Progress::Joins { .. }) = report.status.as_ref().map(|status| &status.progress) {
        return Err(Blocker("its etcd takes the cluster's data, and then starts for good".to_owned()));
    }
    let data = match &report.data {
        DataView::Seen(state) => *state,
        DataView::Starting => DataState::HasWal,
        DataView::Unreadable(why) => return Err(Blocker(format!("its data directory cannot be listed: {why}"))),
    };
    Ok(gate::disk(&report.marker, data))
}

/// What was noted of the disk.
fn noted(claim: &PersistentVolumeClaim) -> Option<Report> {
    Report::parse(claim.annotations().get(keys::DISK)?).ok()
}

/// What is to be noted of the disk, if that is something else than what is noted.
pub(crate) fn note(claim: &PersistentVolumeClaim, pod: &Pod, heard: &Heard) -> Option<String> {
    let Heard::Report(report) = heard else { return None };
    if !mounts(pod, claim) || matches!(report.data, DataView::Unreadable(_)) {
        return None;
    }
    let data = if report.data == DataView::Starting { DataView::Seen(DataState::HasWal) } else { report.data.clone() };
    let text = Report { status: None, data, marker: report.marker.clone() }.render();
    (claim.annotations().get(keys::DISK) != Some(&text)).then_some(text)
}

/// What is noted of a disk that was just made.
pub(crate) fn new_disk() -> String {
    Report { status: None, data: DataView::Seen(DataState::Empty), marker: etcdop_guard::MarkerState::Absent }.render()
}

#[cfg(test)]
mod tests {
    use etcdop_guard::{Epoch, Generation, MarkerState};
    use serde_json::{Value, json};

    use super::*;

    fn claim(annotations: &Value) -> PersistentVolumeClaim {
        let metadata = json!({ "name": "data-demo-0", "uid": "c", "creationTimestamp": "2026-01-01T00:00:10Z", "annotations": annotations });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    fn pod(born: &str) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "demo-0", "uid": "u", "creationTimestamp": born } }))
            .unwrap()
    }

    fn report(data: DataState, marker: MarkerState) -> Report {
        Report { status: None, data: DataView::Seen(data), marker }
    }

    fn owned() -> Report {
        let marker = etcdop_guard::Marker {
            incarnation: "life/1".parse().unwrap(),
            member: None,
            generation: Generation(2),
            max_learners: None,
            epoch: Epoch(1),
        };
        report(DataState::HasWal, MarkerState::Present(marker))
    }

    fn empty() -> Report {
        report(DataState::Empty, MarkerState::Absent)
    }

    fn marker_of(volume: Result<Option<Volume>, Blocker>) -> Marker {
        volume.unwrap().unwrap().marker
    }

    #[test]
    fn what_a_guard_sees_now_counts_more_than_what_one_saw() {
        let noted = claim(&json!({ keys::DISK: owned().render() }));
        let wiped = Heard::Report(empty());
        let seen = volume(Some(&noted), Some(&pod("2026-01-01T00:00:10Z")), Some(&wiped), None);
        assert_eq!(marker_of(seen), Marker::Empty);
    }

    #[test]
    fn a_disk_without_a_pod_is_what_was_noted_of_it() {
        let noted = claim(&json!({ keys::DISK: owned().render() }));
        let marker = marker_of(volume(Some(&noted), None, None, None));
        assert!(
            matches!(marker, Marker::Owned { generation: etcdop_core::id::Generation(2), epoch: 1, .. }),
            "{marker:?}"
        );
    }

    #[test]
    fn a_disk_that_nobody_looked_at_is_not_known() {
        assert!(volume(Some(&claim(&json!({}))), None, None, None).is_err());
    }

    #[test]
    fn an_empty_disk_that_a_first_start_was_permitted_on_is_not_known_to_be_empty() {
        let noted = claim(&json!({ keys::DISK: empty().render() }));
        assert_eq!(marker_of(volume(Some(&noted), None, None, None)), Marker::Empty);
        let handed = |claim: &str| Handed { permit: String::new(), claim: Some(claim.to_owned()) };
        assert!(volume(Some(&noted), None, None, Some(&handed("c"))).is_err());
        assert_eq!(marker_of(volume(Some(&noted), None, None, Some(&handed("before")))), Marker::Empty);
    }

    #[test]
    fn a_claim_in_place_of_the_one_that_a_start_was_permitted_on_is_a_lost_disk() {
        let handed = Handed { permit: String::new(), claim: Some("before".to_owned()) };
        assert_eq!(marker_of(volume(Some(&claim(&json!({}))), None, None, Some(&handed))), Marker::Empty);
    }

    #[test]
    fn a_claim_that_is_gone_or_retired_is_no_disk() {
        assert_eq!(volume(None, None, None, None), Ok(None));
        assert_eq!(volume(Some(&claim(&json!({ keys::RETIRED: "true" }))), None, None, None), Ok(None));
    }

    #[test]
    fn a_claim_that_was_made_after_the_pod_began_is_not_what_the_pod_sees() {
        let younger = claim(&json!({}));
        let seen = volume(Some(&younger), Some(&pod("2026-01-01T00:00:00Z")), Some(&Heard::Report(owned())), None);
        assert!(seen.is_err(), "{seen:?}");
    }

    #[test]
    fn the_disk_of_a_joiner_that_starts_anew_is_not_known_yet() {
        let joins = |progress| {
            let status = etcdop_guard::Status { instance: "u".parse().unwrap(), progress };
            Heard::Report(Report { status: Some(status), ..owned() })
        };
        let seen = |heard| volume(Some(&claim(&json!({}))), Some(&pod("2026-01-01T00:00:10Z")), Some(&heard), None);
        assert!(seen(joins(Progress::Joins { epoch: Epoch(1) })).is_err());
        let marker = marker_of(seen(joins(Progress::Started { epoch: Epoch(2) })));
        assert!(matches!(marker, Marker::Owned { .. }), "{marker:?}");
    }

    #[test]
    fn what_a_guard_sees_is_noted_once() {
        let (pod, heard) = (pod("2026-01-01T00:00:10Z"), Heard::Report(owned()));
        let text = note(&claim(&json!({})), &pod, &heard).unwrap();
        assert_eq!(note(&claim(&json!({ keys::DISK: text })), &pod, &heard), None);
    }
}
