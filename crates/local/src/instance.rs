//! What is known of the process in a slot, and how far it has come. Lies beside the process, so that the next manager and
//! every reader know the same.

use etcdop_core::{
    id::InstanceId,
    launch::LaunchSpec,
    observation::{Blocker, Phase},
};
use etcdop_guard::{Progress, RefusalKind, Status, WaitKind};
use serde::{Deserialize, Serialize};

use crate::{
    directory::SlotDir,
    process::{Identity, Life},
    state_file::{self, StateError},
};

/// The last process of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Boot, PID and start time; another text when nothing could be started.
    pub(crate) id: InstanceId,
    /// What it was started with, which may differ from what is declared by now.
    pub(crate) launch: LaunchSpec,
    /// Where its part of the log begins.
    pub(crate) log_from: u64,
    pub(crate) fate: Fate,
    /// How the etcd before it ended, where nothing but refusals came after: the guard that finds no log cannot know why there is
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
}

/// What its supervisor did with it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    Started,
    Stopping,
    /// How it ended.
    Ended(String),
    /// There was none before either.
    NotStarted(String),
}

impl Note {
    pub(crate) fn read(slot: &SlotDir) -> Result<Option<Self>, StateError> {
        state_file::read(&slot.instance())
    }

    /// The process, if there was one.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.id.0.parse().ok()
    }

    /// The process, if it is there now.
    pub(crate) fn process(&self) -> Option<Identity> {
        match self.fate {
            Fate::Started | Fate::Stopping => self.identity().filter(|process| process.life() != Life::Gone),
            Fate::Ended(_) | Fate::NotStarted(_) => None,
        }
    }

    /// What is to be remembered when the next process is started.
    pub(crate) fn last_end_of_etcd(&self, slot: &SlotDir) -> Option<String> {
        match (self.progress(slot), &self.fate) {
            (Some(Progress::Started { .. }), Fate::Ended(why)) => Some(why.clone()),
            (Some(Progress::Refused { .. }), _) => self.before.clone(),
            _ => None,
        }
    }

    /// How far it has come; `process` is what [`Note::process`] said in the same look.
    pub(crate) fn phase(&self, slot: &SlotDir, process: Option<&Identity>) -> Phase {
        let progress = self.progress(slot);
        if let Some(Progress::Refused { kind, sentence }) = &progress {
            let before = self.before.as_ref().filter(|_| *kind == RefusalKind::DataLost);
            let ended = before.map(|why| format!("; etcd had ended before: {why}")).unwrap_or_default();
            return Phase::Refused(Blocker(format!("{sentence}{ended}")));
        }
        match (&self.fate, process) {
            (Fate::NotStarted(why), _) => Phase::Pending(Blocker(why.clone())),
            (Fate::Ended(why), _) => Phase::Exited(Blocker(why.clone())),
            // Its supervisor is about to notice, or there is none.
            (Fate::Started | Fate::Stopping, None) => Phase::Exited(Blocker("the process is gone".to_owned())),
            (Fate::Stopping, Some(_)) => Phase::Stopping,
            (Fate::Started, Some(_)) => match progress {
                Some(Progress::Joins { .. } | Progress::Started { .. }) => Phase::Running,
                Some(Progress::Waiting { kind: WaitKind::NoRecord | WaitKind::FileUnreadable, sentence }) => {
                    Phase::Pending(Blocker(sentence))
                }
                Some(Progress::Waiting { .. }) => Phase::AtGate,
                Some(Progress::Refused { .. }) | None => {
                    Phase::Pending(Blocker("the guard has just been started".to_owned()))
                }
            },
        }
    }

    /// What the guard of this very process said last.
    pub(crate) fn progress(&self, slot: &SlotDir) -> Option<Progress> {
        let text = etcdop_guard::read_text(&slot.status()).ok().flatten()?;
        let status = Status::parse(&text).ok()?;
        (status.instance.as_str() == self.id.0).then_some(status.progress)
    }
}
