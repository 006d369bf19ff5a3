//! What members wrote, and what they write.

use std::process::Command;

use serde_json::Value;

use crate::{
    home::{Home, Said, binary},
    up::Up,
};

/// What etcd says when it serves.
const SERVES: &str = "ready to serve client requests";

#[test]
fn the_log_of_a_member_is_printed_and_followed_through_its_restart_to_the_end_of_its_cluster() {
    let home = Home::new();
    let _up = Up::start(&home, &["a", "--size", "1"]);
    let status = home.await_running("a");
    let all = home.ok(&["logs", "0"]);
    assert!(all.contains(SERVES) && all.lines().count() > 20, "{all}");
    let id = status["members"][0]["id"].as_str().unwrap();
    assert!(home.ok(&["logs", id, "--tail", "-1"]).starts_with(&all));
    assert_eq!(home.ok(&["logs", "a-0", "--tail", "2"]).lines().count(), 2);
    assert_eq!(home.ok(&["logs", "a-0", "--tail=0"]), "");

    let mut followed = Up::spawn(&mut home.command(&["logs", "a-0", "-f", "--tail", "1"]));
    // Whatever its last line is: what gRPC has to say is no JSON.
    let last = followed.await_line("");
    assert!(home.ok(&["logs", "0", "--tail", "-1"]).lines().any(|line| line == last), "{last}");
    home.ok(&["kill", "0"]);
    followed.await_line(SERVES);
    home.ok(&["destroy", "--yes"]);
    let (status, lines) = followed.ended();
    assert!(status.success(), "{status} {lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains(SERVES)).count(), 1, "only what came after: {lines:?}");
}

#[test]
fn without_a_member_the_newest_lines_of_all_are_printed_behind_their_names() {
    let home = Home::new();
    let _up = Up::start(&home, &["a", "--size", "3"]);
    home.await_running("a");
    let text = home.ok(&["logs"]);
    for name in ["a-0", "a-1", "a-2"] {
        assert_eq!(text.lines().filter(|line| line.starts_with(&format!("[{name}] "))).count(), 10, "{text}");
    }
    let lines = home.ok(&["logs", "--tail", "1", "-o", "json"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["member"].as_str().unwrap()).collect::<Vec<_>>(), ["a-0", "a-1", "a-2"]);
    // Most are JSON; what gRPC has to say is not.
    assert!(lines.iter().all(|line| !line["line"].as_str().unwrap().is_empty()), "{lines:?}");

    // Whoever follows for a reader that has seen enough has no other end.
    let script = "\"$1\" local --dir \"$2\" logs --follow --tail -1 | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(binary()).arg(home.path());
    assert_eq!(Said::of(&command.output().unwrap()).stdout.trim(), "0");
}

#[test]
fn a_cluster_that_never_ran_has_no_logs_and_that_is_no_failure() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("a")).unwrap();
    std::fs::write(home.manifest("a"), "size: 3\nversion: \"3.6\"\n").unwrap();
    assert_eq!(home.ok(&["logs"]), "");
}
