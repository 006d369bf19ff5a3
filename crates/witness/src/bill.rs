//! The bill: what each step cost the clients of the cluster, and what was promised and not kept.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    check::{Breach, Lost, check},
    history::{Consistency, History, Mark, Outcome, Write},
};

/// Findings printed before the rest is only counted.
const SHOWN: usize = 10;

/// What a run of the witness found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// One line for each step, in their order.
    pub phases: Vec<PhaseLine>,
    /// All steps together.
    pub total: PhaseLine,
    /// Acknowledged writes that are gone.
    pub lost: Vec<Lost>,
    /// All other broken promises.
    pub breaches: Vec<Breach>,
    /// The members that were read back.
    pub members: Vec<MemberLine>,
    /// Writes that the watcher was told of.
    pub watched: usize,
    /// How often the watcher had to begin anew, each time from the revision after the last that it knew.
    pub watch_resumed: usize,
}

/// What one step cost. A write is counted once, in the step in which its call ended: that is when the client learned of the outcome, and
/// what a step did to calls that were already under way is of its making. Times that cross the border between two steps, gaps and calls
/// alike, count in full for the step in which more of them lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseLine {
    /// The step.
    pub name: String,
    /// How long it took.
    #[serde(serialize_with = "seconds", rename = "tookSeconds")]
    pub took: Duration,
    /// Writes that were acknowledged.
    pub acked: usize,
    /// Writes that definitely had no effect.
    pub failed: usize,
    /// Writes whose outcome the client does not know.
    pub unknown: usize,
    /// The longest time without an acknowledged write, over all writers.
    #[serde(serialize_with = "seconds", rename = "longestGapSeconds")]
    pub longest_gap: Duration,
    /// The longest single call, however it ended.
    #[serde(serialize_with = "seconds", rename = "worstCallSeconds")]
    pub worst_call: Duration,
}

/// A member that was read back at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberLine {
    /// Where it is.
    pub endpoint: String,
    /// Keys of the run that it holds; the linearizable and the serializable reading are judged one by one.
    pub keys: usize,
    /// Its hash over the key space in hexadecimal; learners have none.
    pub hash: Option<String>,
    /// The revision of the hash.
    pub revision: Option<i64>,
}

impl Bill {
    pub(crate) fn of(history: &History) -> Self {
        let verdict = check(history);
        let spans = spans(&history.marks, history.ended);
        let phases: Vec<PhaseLine> = spans.iter().map(|span| line(history, &spans, span)).collect();
        let whole = [Span { name: "total", from: Duration::ZERO, to: history.ended }];
        let members = history.readings.iter().filter(|reading| reading.consistency == Consistency::Serializable);
        Self {
            total: line(history, &whole, &whole[0]),
            phases,
            lost: verdict.lost,
            breaches: verdict.breaches,
            members: members
                .map(|reading| {
                    let hash = history.hashes.iter().find(|hash| hash.endpoint == reading.endpoint);
                    MemberLine {
                        endpoint: reading.endpoint.clone(),
                        keys: reading.keys.len(),
                        hash: hash.map(|hash| format!("{:08x}", hash.value)),
                        revision: hash.map(|hash| hash.revision),
                    }
                })
                .collect(),
            watched: history.watched.seen.len(),
            watch_resumed: history.watched.resumed,
        }
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.breaches.is_empty()
    }
}

/// A step's place in time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span<'a> {
    name: &'a str,
    from: Duration,
    to: Duration,
}

/// Each mark up to the next, the last one up to the end.
fn spans(marks: &[Mark], ended: Duration) -> Vec<Span<'_>> {
    let ends = marks.iter().skip(1).map(|mark| mark.at).chain([ended]);
    marks.iter().zip(ends).map(|(mark, to)| Span { name: &mark.name, from: mark.at, to }).collect()
}

/// One of `spans` as a line of the bill.
fn line(history: &History, spans: &[Span<'_>], span: &Span<'_>) -> PhaseLine {
    let of = |times: Vec<Interval>| {
        times.into_iter().filter(|time| time.home(spans) == Some(span)).map(Interval::length).max().unwrap_or_default()
    };
    let mut line = PhaseLine {
        name: span.name.to_owned(),
        took: span.to.saturating_sub(span.from),
        acked: 0,
        failed: 0,
        unknown: 0,
        longest_gap: of(gaps(history)),
        worst_call: of(calls(history)),
    };
    // What was still under way when the writers were stopped belongs to the last step.
    let last = span.to == history.ended;
    let ended_here = |write: &&Write| span.from <= write.ended && (write.ended < span.to || last);
    for write in history.writes.iter().filter(ended_here) {
        match write.outcome {
            Outcome::Acked { .. } => line.acked += 1,
            Outcome::Failed { .. } | Outcome::CounterRefused => line.failed += 1,
            Outcome::Unknown { .. } => line.unknown += 1,
        }
    }
    line
}

/// A call, or a time without an acknowledged write.
#[derive(Clone, Copy)]
struct Interval {
    from: Duration,
    to: Duration,
}

impl Interval {
    fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    /// The one step that is charged for it: where most of it lies.
    fn home<'a>(self, spans: &'a [Span<'a>]) -> Option<&'a Span<'a>> {
        spans.iter().max_by_key(|span| span.to.min(self.to).saturating_sub(span.from.max(self.from)))
    }
}

fn calls(history: &History) -> Vec<Interval> {
    history.writes.iter().map(|write| Interval { from: write.sent, to: write.ended }).collect()
}

fn gaps(history: &History) -> Vec<Interval> {
    let acked = |write: &Write| write.acked().map(|_| write.ended.min(history.ended));
    let mut times: Vec<Duration> = history.writes.iter().filter_map(acked).collect();
    times.extend([Duration::ZERO, history.ended]);
    times.sort_unstable();
    times.iter().zip(times.iter().skip(1)).map(|(&from, &to)| Interval { from, to }).collect()
}

/// Durations are seconds in the outside world.
pub(crate) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl fmt::Display for Bill {
    /// A table of the steps, then the findings. Lines end without a line break at the very end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.phases.iter().chain([&self.total]);
        let width = all().map(|line| line.name.chars().count()).max().unwrap_or(0).max("step".len());
        writeln!(
            f,
            "{:width$}  {:>9}  {:>7}  {:>6}  {:>7}  {:>11}  {:>10}",
            "step", "took", "acked", "failed", "unknown", "longest gap", "worst call"
        )?;
        for PhaseLine { name, took, acked, failed, unknown, longest_gap, worst_call } in all() {
            let (took, gap, call) = (human(*took), human(*longest_gap), human(*worst_call));
            writeln!(f, "{name:width$}  {took:>9}  {acked:>7}  {failed:>6}  {unknown:>7}  {gap:>11}  {call:>10}")?;
        }
        writeln!(f)?;
        writeln!(f, "acknowledged writes {}, lost {}", self.total.acked, self.lost.len())?;
        writeln!(f, "watcher: told of {} writes, began anew {} times", self.watched, self.watch_resumed)?;
        let hashes: Vec<String> = self
            .members
            .iter()
            .map(|member| match (&member.hash, member.revision) {
                (Some(hash), Some(revision)) => format!("{} {hash} at {revision}", member.endpoint),
                _ => format!("{} (learner)", member.endpoint),
            })
            .collect();
        write!(f, "members: {}", hashes.join(", "))?;
        findings(f, "lost", &self.lost)?;
        findings(f, "broken promises", &self.breaches)
    }
}

fn findings<T: fmt::Display>(f: &mut fmt::Formatter<'_>, title: &str, found: &[T]) -> fmt::Result {
    if found.is_empty() {
        return Ok(());
    }
    write!(f, "\n\n{title}:")?;
    for finding in found.iter().take(SHOWN) {
        write!(f, "\n- {finding}")?;
    }
    match found.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "\n- and {more} more"),
    }
}

/// Milliseconds up to a second, then seconds.
fn human(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}
