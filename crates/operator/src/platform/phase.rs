//! How far a Pod has come: what the kubelet says of its container, and what the guard inside says of itself.

use etcdop_core::observation::{Blocker, Phase};
use etcdop_engine::complaint;
use etcdop_guard::{Progress, RefusalKind, Report, WaitKind};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};

use super::reports::Heard;

/// The container that etcd runs in.
pub(crate) const CONTAINER: &str = "etcd";

/// Whether the Pod's name has its address by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Resolves,
    NotYet,
}

/// The status of etcd's container.
pub(crate) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

/// The phase of the instance that a Pod is.
pub(crate) fn phase(pod: &Pod, heard: Option<&Heard>, name: Name) -> Phase {
    if pod.metadata.deletion_timestamp.is_some() {
        return Phase::Stopping;
    }
    let status = pod.status.as_ref();
    if let Some(ended) =
        status.and_then(|status| status.phase.as_deref()).filter(|phase| matches!(*phase, "Failed" | "Succeeded"))
    {
        let why = status.and_then(|status| status.message.clone().or_else(|| status.reason.clone()));
        let of_itself = || container(pod)?.state.as_ref()?.terminated.as_ref().map(ended_as);
        let why = why.map(|why| Phase::Exited(Blocker(why))).or_else(of_itself);
        return why.unwrap_or_else(|| Phase::Exited(Blocker(format!("the Pod has {}", ended.to_lowercase()))));
    }
    let Some(container) = container(pod) else { return Phase::Pending(Blocker(unstarted(pod))) };
    let state = container.state.clone().unwrap_or_default();
    if state.running.is_some() {
        return running(container, heard, name);
    }
    let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    match (&state, last) {
        (ContainerState { terminated: Some(ended), .. }, _) => ended_as(ended),
        // Between two starts: what ended the last one is what there is to know.
        (ContainerState { waiting: Some(waiting), .. }, Some(last)) if is_restarting(waiting.reason.as_deref()) => {
            ended_as(last)
        }
        (ContainerState { waiting: Some(waiting), .. }, _) => {
            let reason = waiting.reason.clone().unwrap_or_else(|| "waiting".to_owned());
            Phase::Pending(Blocker(match &waiting.message {
                Some(message) => waits_for(&reason, message),
                None => init_trouble(pod).unwrap_or(reason),
            }))
        }
        _ => Phase::Pending(Blocker(unstarted(pod))),
    }
}

/// What a container waits for. An image that cannot be pulled is told in the same words between two tries as in a try: what changes to
/// and fro looks like something that moves, and is looked at in short order.
fn waits_for(reason: &str, message: &str) -> String {
    let cause = (reason == "ImagePullBackOff").then(|| message.find("ErrImagePull: ")).flatten();
    cause.map_or_else(|| format!("{reason}: {message}"), |at| message[at..].to_owned())
}

fn is_restarting(reason: Option<&str>) -> bool {
    matches!(reason, Some("CrashLoopBackOff" | "RunContainerError" | "CreateContainerError") | None)
}

fn running(container: &ContainerStatus, heard: Option<&Heard>, name: Name) -> Phase {
    let started = container.started == Some(true);
    let silent = |why: &str| {
        // Its startup probe has passed: etcd runs, whatever became of the reporter beside it.
        if started { Phase::Running } else { Phase::Pending(Blocker(format!("its guard does not report yet: {why}"))) }
    };
    let report = match heard {
        Some(Heard::Report(report)) => report,
        Some(Heard::Silence(why)) => return silent(why),
        None => return silent("it was not asked"),
    };
    match report.status.as_ref().map(|status| &status.progress) {
        Some(Progress::Joins { .. } | Progress::Started { .. }) => Phase::Running,
        Some(Progress::Refused { sentence, .. }) => Phase::Refused(Blocker(sentence.clone())),
        Some(Progress::Waiting { kind: WaitKind::NoRecord | WaitKind::FileUnreadable, sentence }) => {
            Phase::Pending(Blocker(sentence.clone()))
        }
        Some(Progress::Waiting { .. }) if name == Name::NotYet => {
            Phase::Pending(Blocker("its name has no address yet".to_owned()))
        }
        Some(Progress::Waiting { .. }) => Phase::AtGate,
        None => silent("it has just been started"),
    }
}

fn ended_as(ended: &ContainerStateTerminated) -> Phase {
    match last_word(ended).as_ref().and_then(|report| report.status.as_ref()).map(|status| &status.progress) {
        Some(Progress::Refused { sentence, .. }) => Phase::Refused(Blocker(sentence.clone())),
        _ => Phase::Exited(Blocker(ending(ended))),
    }
}

/// The report that a guard left behind when it refused.
pub(crate) fn last_word(ended: &ContainerStateTerminated) -> Option<Report> {
    let refused = RefusalKind::ALL.into_iter().any(|kind| i32::from(kind.exit_code()) == ended.exit_code);
    let message = ended.message.as_deref().filter(|_| refused)?;
    Report::parse(message).ok()
}

/// How it ended, with its last words.
fn ending(ended: &ContainerStateTerminated) -> String {
    let how = match ended.signal {
        Some(signal) if signal > 0 => format!("signal {signal}"),
        _ => format!("exit code {}", ended.exit_code),
    };
    let how = match ended.reason.as_deref() {
        Some("OOMKilled") => format!("{how}, out of memory: raise resources.limits.memory"),
        _ => how,
    };
    // Its complaint, which etcd lets its usage follow; else whatever it said last.
    let message = ended.message.as_deref().unwrap_or_default();
    let last = complaint::last(message).or_else(|| message.trim().lines().last().map(|line| line.trim().to_owned()));
    match last.filter(|line| !line.is_empty()) {
        Some(line) => format!("{how}; its last words: {line}"),
        None => how,
    }
}

/// Why a Pod has no container yet.
fn unstarted(pod: &Pod) -> String {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled");
    match scheduled.filter(|condition| condition.status != "True") {
        Some(condition) => {
            let why = condition.message.clone().or_else(|| condition.reason.clone());
            format!("not scheduled: {}", why.unwrap_or_else(|| "the scheduler says nothing".to_owned()))
        }
        None if scheduled.is_none() => "not scheduled yet".to_owned(),
        None => init_trouble(pod).unwrap_or_else(|| "its volumes are mounted and its sandbox is made".to_owned()),
    }
}

/// What keeps an init container from ending.
fn init_trouble(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    statuses.iter().find_map(|status| {
        let state = status.state.as_ref()?;
        if let Some(waiting) = &state.waiting {
            let reason = waiting.reason.clone()?;
            let why = waiting.message.as_ref().map_or_else(|| reason.clone(), |message| waits_for(&reason, message));
            return (reason != "PodInitializing").then(|| format!("init container {}: {why}", status.name));
        }
        let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
        Some(format!("init container {}: {}", status.name, ending(ended)))
    })
}

#[cfg(test)]
mod tests {
    use etcdop_guard::{DataState, DataView, Epoch, MarkerState, Refusal, Status, WaitReason};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "demo-0", "uid": "u" }, "status": status })).unwrap()
    }

    fn scheduled(container: &Value) -> Pod {
        let conditions = json!([{ "type": "PodScheduled", "status": "True" }]);
        let mut status = json!({ "name": "etcd", "image": "", "imageID": "", "ready": false, "restartCount": 0 });
        status.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        pod(&json!({ "phase": "Running", "conditions": conditions, "containerStatuses": [status] }))
    }

    fn runs() -> Pod {
        scheduled(&json!({ "state": { "running": {} }, "started": false }))
    }

    fn report(progress: Progress) -> Report {
        let status = Some(Status { instance: "u".parse().unwrap(), progress });
        Report { status, data: DataView::Seen(DataState::Empty), marker: MarkerState::Absent }
    }

    fn heard(progress: Progress) -> Heard {
        Heard::Report(report(progress))
    }

    fn waits(reason: &WaitReason) -> Heard {
        heard(Progress::from(reason))
    }

    /// The phase in a few words.
    fn words(phase: &Phase) -> String {
        match phase {
            Phase::Pending(why) => format!("pending: {why}"),
            Phase::AtGate => "at the gate".to_owned(),
            Phase::Refused(why) => format!("refused: {why}"),
            Phase::Running => "running".to_owned(),
            Phase::Exited(why) => format!("exited: {why}"),
            Phase::Stopping => "stopping".to_owned(),
        }
    }

    #[rstest]
    #[case::nothing_yet(pod(&json!({ "phase": "Pending" })), "pending: not scheduled yet")]
    #[case::no_node(
        pod(&json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" }
        ] })),
        "pending: not scheduled: 0/3 nodes are available"
    )]
    #[case::no_sandbox(
        pod(&json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "True" }] })),
        "pending: its volumes are mounted and its sandbox is made"
    )]
    #[case::no_image(
        scheduled(&json!({ "state": { "waiting": { "reason": "ErrImagePull", "message": "not found" } } })),
        "pending: ErrImagePull: not found"
    )]
    #[case::no_image_between_two_tries(
        scheduled(&json!({ "state": { "waiting": {
            "reason": "ImagePullBackOff", "message": "Back-off pulling image \"a/b:1\": ErrImagePull: not found"
        } } })),
        "pending: ErrImagePull: not found"
    )]
    #[case::evicted(pod(&json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on memory" })), "exited: The node was low on memory")]
    #[case::failed_with_its_container(
        pod(&json!({ "phase": "Failed", "containerStatuses": [{
            "name": "etcd", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": { "terminated": { "exitCode": 1 } },
        }] })),
        "exited: exit code 1"
    )]
    #[case::failed_without_a_word(pod(&json!({ "phase": "Failed" })), "exited: the Pod has failed")]
    #[case::crashed(
        scheduled(&json!({ "state": { "terminated": { "exitCode": 2, "message": "a\nunknown flag: --x\n" } } })),
        "exited: exit code 2; its last words: unknown flag: --x"
    )]
    #[case::crashes_again(
        scheduled(&json!({
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } }
        })),
        "exited: exit code 137, out of memory: raise resources.limits.memory"
    )]
    fn a_pod_whose_guard_does_not_run_is(#[case] pod: Pod, #[case] told: &str) {
        assert_eq!(words(&phase(&pod, None, Name::Resolves)), told);
    }

    #[rstest]
    #[case::waits_for_its_permit(waits(&WaitReason::NoPermit), Name::Resolves, "at the gate")]
    #[case::has_no_name_yet(waits(&WaitReason::NoPermit), Name::NotYet, "pending: its name has no address yet")]
    #[case::joins(heard(Progress::Joins { epoch: Epoch(1) }), Name::NotYet, "running")]
    #[case::became_etcd(heard(Progress::Started { epoch: Epoch(1) }), Name::NotYet, "running")]
    #[case::is_not_heard(Heard::Silence("refused".to_owned()), Name::Resolves, "pending: its guard does not report yet: refused")]
    fn a_pod_whose_guard(#[case] heard: Heard, #[case] name: Name, #[case] told: &str) {
        assert_eq!(words(&phase(&runs(), Some(&heard), name)), told);
    }

    #[test]
    fn a_guard_without_a_seat_is_not_at_the_gate_yet() {
        let waits = waits(&WaitReason::NoRecord);
        assert!(matches!(phase(&runs(), Some(&waits), Name::Resolves), Phase::Pending(_)));
    }

    #[test]
    fn etcd_that_passed_its_startup_probe_runs_whatever_became_of_its_reporter() {
        let started = scheduled(&json!({ "state": { "running": {} }, "started": true }));
        let silence = Heard::Silence("timed out".to_owned());
        assert_eq!(phase(&started, Some(&silence), Name::Resolves), Phase::Running);
    }

    #[test]
    fn a_refusal_is_read_from_what_the_guard_left_behind() {
        let refusal = Refusal::PermitUsed { generation: etcdop_guard::Generation(3) };
        let word = report(Progress::from(&refusal)).render();
        let ended = json!({ "terminated": { "exitCode": refusal.kind().exit_code(), "message": word } });
        for state in [
            json!({ "state": ended.clone() }),
            json!({ "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": ended }),
        ] {
            let refused = phase(&scheduled(&state), None, Name::Resolves);
            assert!(words(&refused).starts_with("refused: "), "{refused:?}");
        }
    }

    #[test]
    fn a_pod_that_is_deleted_stops_whatever_its_container_does() {
        let mut pod = runs();
        pod.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(phase(&pod, Some(&heard(Progress::Started { epoch: Epoch(1) })), Name::Resolves), Phase::Stopping);
    }
}
