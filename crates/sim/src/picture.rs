//! A state in one line a slot, for counterexamples.

use std::fmt::Write as _;

use crate::state::{Place, State};

/// The picture.
pub fn draw(state: &State) -> String {
    let mut text = format!(
        "size {} {:?} {:?} open {:?} leader {:?} limit {} {:?}{} {:?}",
        state.size,
        state.release,
        state.birth,
        state.open,
        state.leader,
        state.limit,
        state.cluster,
        if state.downgrade { " downgrade" } else { "" },
        state.left
    );
    for (slot, place) in state.each().filter(|(_, place)| **place != Place::VOID) {
        let seat =
            place.seat.map(|s| (s, s.founder.map_or_else(String::new, |founder| format!(" founder {founder:?}")))).map(
                |(s, by)| format!("g{} m{:?} e{} {:?}{by}", s.generation.0, s.member.map(|m| m.0), s.epoch, s.release),
            );
        let process = place.process.map(|p| format!("{:?} {:?}", p.phase, p.release));
        let listed = place
            .listed
            .map(|l| format!("m{} {:?} {:?}{}", l.id.0, l.role, l.life, if l.matched { " matched" } else { "" }));
        let permit = place.permit.map(|p| {
            format!(
                "{:?} g{} m{:?} {:?} {:05b} {:?}",
                p.holder,
                p.generation.0,
                p.member.map(|m| m.0),
                p.state,
                p.list,
                p.era
            )
        });
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n  {slot}: seat [{}] list [{}] runs [{}] {:?} declared {:?} disk {:?} permit [{}] {:?}",
            seat.unwrap_or_default(),
            listed.unwrap_or_default(),
            process.unwrap_or_default(),
            place.reach,
            place.declared,
            place.disk,
            permit.unwrap_or_default(),
            place.ledger
        );
    }
    text
}
