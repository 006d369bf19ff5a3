//! What a guard's slot looks like from inside, for a platform that cannot look at the disk itself: three lines, answered over
//! HTTP while the process lives, and left behind as the last word of a refusal.

use std::{fmt, path::Path, str::FromStr};

use crate::{
    decide::{DataState, MarkerState},
    disk::{examine_data, examine_marker},
    durable::read_text,
    fields::{fields, or_dash},
    identity::Epoch,
    marker::Marker,
    reason::WaitKind,
    status::{Progress, Status},
};

const KEYS: [&str; 3] = ["status", "data", "marker"];

/// One look at a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The guard's own line; `None` before it has said anything.
    pub status: Option<Status>,
    /// Whether etcd's log is there.
    pub data: DataView,
    /// What the disk says it is.
    pub marker: MarkerState,
}

/// etcd's data directory as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataView {
    /// It was looked at.
    Seen(DataState),
    /// The first start on this disk is under way: the marker is there a moment before the log is.
    Starting,
    /// It cannot be listed.
    Unreadable(String),
}

/// A text that no guard reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReport(String);

impl fmt::Display for BadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a report of the guard: {}", self.0)
    }
}

impl std::error::Error for BadReport {}

impl Report {
    /// Looks at the files of a slot. The guard writes the marker while it is looked at: what was seen beside another marker than
    /// the last one is looked at again.
    pub fn look(data_dir: &Path, marker: &Path, status: &Path) -> Self {
        let mut before = examine_marker(marker);
        loop {
            let data = match examine_data(data_dir, marker) {
                Ok(state) => DataView::Seen(state),
                Err(error) => DataView::Unreadable(error.to_string()),
            };
            let status = read_text(status).ok().flatten().and_then(|text| Status::parse(&text).ok());
            let after = examine_marker(marker);
            if before == after {
                return Self { status, data, marker: after };
            }
            before = after;
        }
    }

    /// The same look by somebody who never saw a log on this disk: where the marker counts a first start, the log is about to be
    /// written.
    #[must_use]
    pub fn before_any_log(self) -> Self {
        let no_log = matches!(self.data, DataView::Seen(DataState::Empty | DataState::Remnants));
        let first = matches!(&self.marker, MarkerState::Present(Marker { epoch: Epoch(1), .. }));
        // Who waits for a seat before a marked disk has not started on it, and who refused it never will.
        let starts = match self.status.as_ref().map(|status| &status.progress) {
            Some(Progress::Waiting { kind, .. }) => !matches!(kind, WaitKind::NoRecord | WaitKind::FileUnreadable),
            Some(Progress::Refused { .. }) => false,
            Some(Progress::Joins { .. } | Progress::Started { .. }) | None => true,
        };
        if no_log && first && starts { Self { data: DataView::Starting, ..self } } else { self }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// Anything that [`Report::render`] would not write.
    pub fn parse(text: &str) -> Result<Self, BadReport> {
        let [status, data, marker] = fields(text, KEYS).map_err(|error| BadReport(error.to_string()))?;
        let status = match status.text {
            "-" => None,
            line => Some(Status::parse(line).map_err(|error| BadReport(error.to_string()))?),
        };
        let data = match data.text.split_once(' ').unwrap_or((data.text, "")) {
            ("empty", "") => DataView::Seen(DataState::Empty),
            ("log", "") => DataView::Seen(DataState::HasWal),
            ("remnants", "") => DataView::Seen(DataState::Remnants),
            ("starting", "") => DataView::Starting,
            ("unreadable", why) => DataView::Unreadable(why.to_owned()),
            _ => return Err(BadReport(format!("data is '{}'", data.text.escape_debug()))),
        };
        let marker = match marker.text.split_once(' ').unwrap_or((marker.text, "")) {
            ("absent", "") => MarkerState::Absent,
            ("unreadable", why) => MarkerState::Unreadable(why.to_owned()),
            ("present", words) => MarkerState::Present(present(words)?),
            _ => return Err(BadReport(format!("marker is '{}'", marker.text.escape_debug()))),
        };
        Ok(Self { status, data, marker })
    }

    /// The report as text.
    pub fn render(&self) -> String {
        let status = self.status.as_ref().map_or_else(|| "-\n".to_owned(), Status::render);
        let data = match &self.data {
            DataView::Seen(DataState::Empty) => "empty".to_owned(),
            DataView::Seen(DataState::HasWal) => "log".to_owned(),
            DataView::Seen(DataState::Remnants) => "remnants".to_owned(),
            DataView::Starting => "starting".to_owned(),
            DataView::Unreadable(why) => format!("unreadable {}", one_line(why)),
        };
        let marker = match &self.marker {
            MarkerState::Absent => "absent".to_owned(),
            MarkerState::Unreadable(why) => format!("unreadable {}", one_line(why)),
            MarkerState::Present(Marker { incarnation, member, generation, max_learners, epoch }) => {
                let (member, max_learners) = (or_dash(*member), or_dash(*max_learners));
                format!("present {incarnation} {member} {generation} {max_learners} {epoch}")
            }
        };
        format!("status={status}data={data}\nmarker={marker}\n")
    }
}

fn present(words: &str) -> Result<Marker, BadReport> {
    let bad = || BadReport(format!("marker is 'present {}'", words.escape_debug()));
    let [incarnation, member, generation, max_learners, epoch] =
        <[&str; 5]>::try_from(words.split(' ').collect::<Vec<_>>()).map_err(|_| bad())?;
    Ok(Marker {
        incarnation: incarnation.parse().map_err(|_| bad())?,
        member: known(member).map_err(|_| bad())?,
        generation: generation.parse().map_err(|_| bad())?,
        max_learners: known(max_learners).map_err(|_| bad())?,
        epoch: epoch.parse().map_err(|_| bad())?,
    })
}

fn known<T: FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    if text == "-" { Ok(None) } else { text.parse().map(Some) }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::{Generation, LearnerLimit, MemberId},
        reason::{Refusal, WaitReason},
    };

    fn marker(member: Option<u64>) -> Marker {
        let (incarnation, member) = ("life/1".parse().unwrap(), member.map(MemberId));
        let max_learners = member.map(|_| LearnerLimit(8));
        Marker { incarnation, member, generation: Generation(2), max_learners, epoch: Epoch(1) }
    }

    fn status(progress: Progress) -> Status {
        Status { instance: "pod".parse().unwrap(), progress }
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let refusal = Refusal::PermitUsed { generation: Generation(2) };
        let table = [
            (None, DataView::Seen(DataState::Empty), MarkerState::Absent),
            (
                Some(status(Progress::from(&WaitReason::NoPermit))),
                DataView::Seen(DataState::HasWal),
                MarkerState::Present(marker(Some(7))),
            ),
            (Some(status(Progress::from(&refusal))), DataView::Starting, MarkerState::Present(marker(None))),
            (
                Some(status(Progress::Started { epoch: Epoch(3) })),
                DataView::Unreadable("no such device".to_owned()),
                MarkerState::Unreadable("line 1: not of the form key=value".to_owned()),
            ),
        ];
        for (status, data, marker) in table {
            let report = Report { status, data, marker };
            assert_eq!(Report::parse(&report.render()), Ok(report.clone()), "{}", report.render());
        }
    }

    #[test]
    fn what_no_guard_writes_is_no_report() {
        let good =
            Report { status: None, data: DataView::Starting, marker: MarkerState::Present(marker(None)) }.render();
        for (part, other) in
            [("starting", "fine"), ("present life/1", "present"), ("status=-", "status=maybe"), ("\n", "")]
        {
            assert!(Report::parse(&good.replacen(part, other, 1)).is_err(), "{part} as {other}");
        }
        assert!(Report::parse("404 page not found\n").is_err());
    }

    #[test]
    fn the_log_of_a_first_start_may_not_be_there_yet_and_that_of_a_later_one_is_lost() {
        let missing = |epoch, progress| {
            let marker = MarkerState::Present(Marker { epoch: Epoch(epoch), ..marker(None) });
            let report = Report { status: Some(status(progress)), data: DataView::Seen(DataState::Empty), marker };
            report.before_any_log().data == DataView::Starting
        };
        let started = |epoch| Progress::Started { epoch: Epoch(epoch) };
        assert!(missing(1, started(1)));
        assert!(missing(1, Progress::from(&WaitReason::NoPermit)), "its status lags behind its marker");
        assert!(!missing(2, started(2)));
        assert!(!missing(1, Progress::from(&WaitReason::NoRecord)), "it was not allowed to start");
        assert!(!missing(1, Progress::from(&Refusal::PermitUsed { generation: Generation(2) })));
    }
}
