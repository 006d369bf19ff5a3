//! What is kept in the members ConfigMap: the record, the permits that were ever handed out last for each slot, and each Pod's seat
//! as its guard reads it. One object, so that all of it changes under one resourceVersion.

use std::collections::BTreeMap;

use etcdop_core::{id::Slot, record::Record};
use etcdop_engine::gate;
use serde::{Deserialize, Serialize};

const RECORD: &str = "record";
const PERMITS: &str = "permits";

/// A permit that was handed out. Remembered here because the Pod that got it may be gone, and its disk with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handed {
    /// As the guard reads it.
    pub(crate) permit: String,
    /// UID of the claim that it was for.
    pub(crate) claim: Option<String>,
}

/// By slot.
pub(crate) type Permits = BTreeMap<Slot, Handed>;

/// The ConfigMap's data. `pod` names the Pod of a slot.
///
/// # Errors
/// A value that has no text, which plain data always has.
pub(crate) fn render(
    record: &Record,
    permits: &Permits,
    pod: impl Fn(Slot) -> String,
) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let own =
        [(RECORD.to_owned(), serde_json::to_string(record)?), (PERMITS.to_owned(), serde_json::to_string(permits)?)];
    let seats = record.slots.iter().filter_map(|(&slot, seat)| Some((pod(slot), gate::seat(record, seat)?.render())));
    Ok(own.into_iter().chain(seats).collect())
}

/// The record and the permits, or what is wrong with them.
pub(crate) fn read(data: &BTreeMap<String, String>) -> Result<(Record, Permits), String> {
    let record = data.get(RECORD).ok_or_else(|| format!("key `{RECORD}` is missing"))?;
    let record = serde_json::from_str(record).map_err(|error| format!("key `{RECORD}`: {error}"))?;
    let permits = match data.get(PERMITS) {
        None => Permits::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| format!("key `{PERMITS}`: {error}"))?,
    };
    Ok((record, permits))
}

#[cfg(test)]
mod tests {
    use etcdop_core::{
        id::{Incarnation, MemberId},
        launch::{EtcdOptions, LaunchSpec, Template},
        version::EtcdVersion,
    };

    use super::*;

    #[test]
    fn what_was_kept_is_read_back_and_each_guard_finds_its_seat() {
        let template = Template::new(EtcdVersion::new(3, 6, 16), EtcdOptions::default());
        let mut record = Record::unborn(Incarnation::first("4f1c"));
        record.reserve(Slot(0), LaunchSpec { template, max_learners: 8 });
        record.slots.entry(Slot(0)).and_modify(|seat| seat.member = Some(MemberId(0xfe)));
        let permits = Permits::from([(Slot(0), Handed { permit: "text".to_owned(), claim: Some("uid".to_owned()) })]);
        let data = render(&record, &permits, |slot| format!("c-{slot}")).unwrap();
        assert_eq!(read(&data), Ok((record, permits)));
        let seat = etcdop_guard::Seat::parse(&data["c-0"]).unwrap();
        assert_eq!((seat.incarnation.as_str(), seat.generation.0), ("4f1c/1", 1));
    }

    #[test]
    fn a_record_that_cannot_be_read_says_so() {
        let error = read(&BTreeMap::new()).unwrap_err();
        assert_eq!(error, "key `record` is missing");
        let error = read(&BTreeMap::from([("record".to_owned(), "{}".to_owned())])).unwrap_err();
        assert!(error.starts_with("key `record`: missing field"), "{error}");
    }
}
