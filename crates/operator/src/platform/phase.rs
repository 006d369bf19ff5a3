//! How far a Pod has come: what the kubelet says of its container, and what the guard inside says of itself.

use etcdop_core::observation::{Blocker, Phase};
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
        return Phase::Exited(Blocker(why.unwrap_or_else(|| format!("the Pod has {}", ended.to_lowercase()))));
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
                Some(message) => format!("{reason}: {message}"),
                None => init_trouble(pod).unwrap_or(reason),
            }))
        }
        _ => Phase::Pending(Blocker(unstarted(pod))),
    }
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
        Some(Progress::Started { .. }) => Phase::Running,
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
    let last = ended.message.as_deref().and_then(|message| message.trim().lines().last()).map(str::trim);
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
            let message = waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            return (reason != "PodInitializing").then(|| format!("init container {}: {reason}{message}", status.name));
        }
        let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
        Some(format!("init container {}: {}", status.name, ending(ended)))
    })
}
