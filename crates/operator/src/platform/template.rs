//! A StatefulSet has one template and starts every Pod from it, so it holds what the next Pod to start is to run: that of a slot that
//! has none, and as long as every slot has one, what most of them run. So a Pod that dies in the middle of a roll comes back as it was.

use std::collections::BTreeMap;

use etcdop_core::{id::Slot, launch::LaunchSpec};

/// What the template is to start, by what is declared for each slot and by which slots have a Pod that is not ending.
pub(crate) fn launch<'a>(
    layout: &'a BTreeMap<Slot, LaunchSpec>,
    has_pod: impl Fn(Slot) -> bool,
    now: Option<&LaunchSpec>,
) -> Option<&'a LaunchSpec> {
    let usual = usual(layout, now)?;
    let missing: Vec<&LaunchSpec> =
        layout.iter().filter(|&(&slot, _)| !has_pod(slot)).map(|(_, launch)| launch).collect();
    // Where both kinds are missing, what is proven starts first; the other is started when it is there.
    if missing.contains(&usual) { Some(usual) } else { missing.first().copied().or(Some(usual)) }
}

/// What most slots run; of two that are as frequent, the one that the template has already.
fn usual<'a>(layout: &'a BTreeMap<Slot, LaunchSpec>, now: Option<&LaunchSpec>) -> Option<&'a LaunchSpec> {
    let count = |launch: &LaunchSpec| layout.values().filter(|other| *other == launch).count();
    layout.values().max_by_key(|launch| (count(launch), Some(*launch) == now))
}

#[cfg(test)]
mod tests {
    use etcdop_core::launch::{EtcdOptions, Template};
    use rstest::rstest;

    use super::*;

    fn spec(version: &str) -> LaunchSpec {
        LaunchSpec { template: Template::new(version.parse().unwrap(), EtcdOptions::default()), max_learners: 8 }
    }

    /// `o` runs the old version, `n` the new one; a capital letter has no Pod.
    #[rstest]
    #[case::all_run_the_same("ooo", "3.6.16")]
    #[case::one_died_in_the_middle_of_nothing("oOo", "3.6.16")]
    #[case::the_first_is_restarted("ooN", "3.7.3")]
    #[case::the_first_came_up("oon", "3.6.16")]
    #[case::another_dies_meanwhile("Oon", "3.6.16")]
    #[case::another_dies_while_the_first_is_restarted("OoN", "3.6.16")]
    #[case::most_are_new("onn", "3.7.3")]
    #[case::an_old_one_dies_last("Onn", "3.6.16")]
    #[case::nothing_is_declared("", "")]
    fn the_template_starts(#[case] slots: &str, #[case] version: &str) {
        let layout = slots.chars().enumerate().map(|(slot, kind)| {
            let version = if kind.eq_ignore_ascii_case(&'o') { "3.6.16" } else { "3.7.3" };
            (Slot(u8::try_from(slot).unwrap()), spec(version))
        });
        let has_pod = |slot: Slot| slots.chars().nth(slot.0.into()).unwrap().is_lowercase();
        let layout = layout.collect();
        let chosen = launch(&layout, has_pod, None).map(|launch| launch.version().to_string());
        assert_eq!(chosen.unwrap_or_default(), version);
    }

    #[test]
    fn two_members_of_two_kinds_leave_the_template_as_it_is() {
        let layout = BTreeMap::from([(Slot(0), spec("3.6.16")), (Slot(1), spec("3.7.3"))]);
        for now in ["3.6.16", "3.7.3"] {
            assert_eq!(launch(&layout, |_| true, Some(&spec(now))).unwrap().version().to_string(), now);
        }
    }
}
