//! What a plan does, in words that tests can name.

use std::fmt;

use super::{Plan, Scenario, acts};
use crate::{
    observation::Probe,
    record::{Birth, Mutation, Record, Seat},
    step::{GroundStep, Step},
};

/// Only what decides: a failing property shows one.
impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (record, seen) = (self.record(), &self.seen);
        let size = self.desired.size;
        writeln!(f, "size {size} of {} at {:?} under {:?}", self.desired.template.version, self.now.0, seen.slots)?;
        writeln!(f, "{:?} {} up to {:?}", record.birth, record.incarnation, record.generation)?;
        writeln!(f, "open: {:?} since {:?}, unsettled: {:?}", record.open, seen.open_since, seen.unsettled)?;
        for (slot, seat) in &record.slots {
            let version = seat.launch.version();
            writeln!(f, "seat {slot}: {:?} of {:?}, {version} at {}", seat.generation, seat.member, seat.epoch)?;
        }
        for (slot, view) in &seen.ground {
            let declared = view.declared.as_ref().map(|launch| launch.version().to_string());
            let instance =
                view.instance.known().map(|i| i.as_ref().map(|i| (&i.phase, i.launch.version().to_string())));
            let marker = view.volume.known().map(|volume| volume.as_ref().map(|volume| &volume.marker));
            let permit = view.permit.as_ref().map(|view| (&view.permit.instance, view.permit.generation, view.since));
            writeln!(f, "slot {slot}: {declared:?} {instance:?}\n    {marker:?}\n    {permit:?}")?;
        }
        for (slot, status) in &seen.status {
            match status {
                Probe::Known { value, at } => {
                    let (member, leader, term) = (value.member, value.leader, value.term);
                    writeln!(f, "answer {slot}: {member} follows {leader:?} in {term}, {} at {at:?}", value.version)?;
                }
                Probe::Unknown { since, .. } => writeln!(f, "answer {slot}: none since {since:?}")?,
            }
        }
        writeln!(f, "peer ports: {:?}, links: {:?}", seen.peer_ports, seen.links)?;
        match seen.roster.known() {
            Some(roster) => writeln!(f, "list of {}: {:#?}", roster.cluster, roster.members),
            None => writeln!(f, "no list"),
        }
    }
}

impl Scenario {
    /// The step in words, with what a commit changes; or `wait: ` and the reasons.
    pub(crate) fn next(&self) -> String {
        self.told(&self.plan())
    }

    /// The same of a plan that was made already.
    pub(super) fn told(&self, plan: &Plan) -> String {
        match acts(plan) {
            Some(Step::Record(record)) => news(self.record(), &record),
            Some(step) => step.to_string(),
            None => {
                let reasons: Vec<String> = plan.reasons.iter().map(ToString::to_string).collect();
                format!("wait: {}", reasons.join(" / "))
            }
        }
    }

    /// The plan does this; or it does nothing, and its reasons contain what follows `wait: `.
    #[track_caller]
    pub(crate) fn expect(self, words: &str) -> Self {
        let next = self.next();
        match words.strip_prefix("wait: ") {
            Some(part) => assert!(next.starts_with("wait: ") && next.contains(part), "{next}\nis not\n{words}"),
            None => assert_eq!(next, words),
        }
        self
    }

    /// The situation after the step, when that is a commit or a layout.
    #[track_caller]
    pub(crate) fn advance(self) -> Self {
        match acts(&self.plan()) {
            Some(Step::Record(record)) => self.with(|s| *s.record_mut() = *record),
            Some(Step::Ground(GroundStep::Ensure(layout))) => self.with(|s| {
                for (slot, view) in &mut s.seen.ground {
                    view.declared = layout.slots.get(slot).cloned();
                    if view.declared.is_none() {
                        view.instance = super::known(None);
                    }
                }
            }),
            other => panic!("not a step of its own: {other:?} in {:?}", self.plan().reasons),
        }
    }

    /// The member of `slot` left the list.
    pub(crate) fn unlisted(self, slot: u8) -> Self {
        self.with(|s| {
            if let Probe::Known { value, .. } = &mut s.seen.roster {
                value.members.retain(|row| row.id != super::member(slot));
            }
        })
    }
}

/// What changed from one record to the next.
fn news(before: &Record, after: &Record) -> String {
    let mut news = Vec::new();
    if after.incarnation != before.incarnation {
        news.push(format!("begin incarnation {}", after.incarnation));
    }
    if after.birth != before.birth {
        news.push(match after.birth {
            Birth::Unborn => "unborn".to_owned(),
            Birth::Forming => "forming".to_owned(),
            Birth::Formed(cluster) => format!("formed {cluster}"),
        });
    }
    for slot in before.slots.keys().filter(|slot| !after.slots.contains_key(slot)) {
        news.push(format!("drop seat {slot}"));
    }
    for (slot, seat) in &after.slots {
        match before.slots.get(slot) {
            Some(old) if old.generation == seat.generation => news.extend(seat_news(&slot.to_string(), old, seat)),
            Some(_) | None => news.push(format!("reserve seat {slot} for {}", seat.launch.version())),
        }
    }
    let slots = |open: &Mutation| match open {
        Mutation::Leave { members } => {
            let slots: Vec<String> = members.values().map(ToString::to_string).collect();
            format!("open leave of {}", slots.join(", "))
        }
        Mutation::Restart { slot, .. } => format!("open restart of {slot}"),
    };
    if after.open != before.open {
        news.push(after.open.as_ref().map_or_else(|| "close".to_owned(), slots));
    }
    if after.rejected != before.rejected {
        let rejected = after.rejected.as_ref().map(|template| format!("reject {}", template.version));
        news.push(rejected.unwrap_or_else(|| "forget what was rejected".to_owned()));
    }
    if after.readable_from != before.readable_from && after.birth == before.birth {
        let from = after.readable_from.map(|index| format!("3.7 reads the log from {index} on"));
        news.push(from.unwrap_or_else(|| "3.7 cannot read the log".to_owned()));
    }
    news.join("; ")
}

fn seat_news(slot: &str, before: &Seat, after: &Seat) -> Vec<String> {
    let mut news = Vec::new();
    if let Some(member) = after.member.filter(|_| after.member != before.member) {
        news.push(format!("seat {slot} is {member}'s"));
    }
    if let Some(founder) = after.founder.as_ref().filter(|_| after.founder != before.founder) {
        news.push(format!("seat {slot} is founded by {founder}"));
    }
    if after.epoch != before.epoch {
        news.push(format!("seat {slot} at epoch {}", after.epoch));
    }
    if after.launch != before.launch {
        news.push(format!("seat {slot} for {}", after.launch.version()));
    }
    news
}
