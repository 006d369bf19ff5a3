//! Clusters grow and shrink under writers.

use std::collections::{BTreeMap, BTreeSet};

use etcdop_core::id::Slot;
use rstest::rstest;

use crate::{
    process::Process,
    stage::{Setup, Stage},
};

#[rstest]
#[case::one_three_one_on_3_5("3.5", &[1, 3, 1])]
#[case::one_three_one_on_3_6("3.6", &[1, 3, 1])]
#[case::one_three_one_on_3_7("3.7", &[1, 3, 1])]
#[case::three_five_three_on_3_5("3.5", &[3, 5, 3])]
#[case::three_five_three_on_3_6("3.6", &[3, 5, 3])]
#[case::three_five_three_on_3_7("3.7", &[3, 5, 3])]
#[case::one_seven_one_on_3_6("3.6", &[1, 7, 1])]
#[case::one_seven_one_on_3_7("3.7", &[1, 7, 1])]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_size_loses_nothing_and_restarts_no_voter(#[case] version: &str, #[case] sizes: &[u64]) {
    let (stage, witness, mut before) = Setup::new(version, sizes[0]).under_writers().await;
    for pair in sizes.windows(2) {
        let began = stage.processes();
        witness.phase(format!("{} to {}", pair[0], pair[1]));
        stage.set_size(pair[1]);
        stage.converged().await;
        let after = stage.roll_call(pair[1]).await;
        assert_eq!(after.cluster, before.cluster);
        // What it was born with, for ever (rule 3); 3.5 knows no such flag.
        assert_eq!(learner_limits(&stage), [(version != "3.5").then(|| "8".to_owned())].into());
        for (slot, id) in &before.members {
            if let Some(now) = after.members.get(slot) {
                assert_eq!(now, id, "the member of slot {slot} is the one that was there");
            }
        }
        assert_eq!(stayed(&began, &after.members), stayed(&stage.processes(), &before.members));
        assert_eq!(u64::try_from(stage.processes().len()).unwrap(), pair[1], "who left does not run any more");
        before = after;
    }
    stage.settle(witness).await;
}

/// Every value of `--max-learners` that a member runs with; nothing for a member that runs without it.
pub(crate) fn learner_limits(stage: &Stage) -> BTreeSet<Option<String>> {
    let limit = |process: &Process| {
        let arguments = process.arguments();
        let flag = arguments.split_whitespace().find_map(|argument| argument.strip_prefix("--max-learners="));
        flag.map(str::to_owned)
    };
    stage.processes().values().map(limit).collect()
}

/// Those of `processes` whose slot is among `slots`.
fn stayed<T>(processes: &BTreeMap<Slot, Process>, slots: &BTreeMap<Slot, T>) -> BTreeMap<Slot, Process> {
    processes.iter().filter(|(slot, _)| slots.contains_key(slot)).map(|(slot, process)| (*slot, *process)).collect()
}
