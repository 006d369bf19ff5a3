//! The manager in the foreground: one at a time, replaceable at any moment, and ended in order.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    etcd::{endpoints, voters},
    home::{Home, eventually},
    up::Up,
};

#[test]
fn a_second_manager_is_refused_with_the_pid_of_the_first_and_changes_nothing() {
    let home = Home::new();
    let first = Up::start(&home, &["a", "--size", "1"]);
    home.await_running("a");
    let before = fs::read(home.manifest("a")).unwrap();
    home.run(&["up", "a", "--size", "5"])
        .refused(5, &["another manager keeps this cluster", &format!("PID {}", first.pid())]);
    assert_eq!(fs::read(home.manifest("a")).unwrap(), before);
}

#[test]
fn members_survive_a_killed_manager_and_are_adopted_by_the_next() {
    let home = Home::new();
    let mut first = Up::start(&home, &["a", "--size", "3"]);
    let before = home.await_running("a");
    let members = home.members();
    assert_eq!(members.len(), 3);
    first.signal(Signal::KILL);
    first.ended();
    assert_eq!(home.members(), members);
    home.await_status("a", "all serve without a manager", |status| {
        (&status["managerPid"], &status["ready"]) == (&Value::Null, &3.into())
    });

    let second = Up::start(&home, &["a"]);
    second.await_line("Running");
    assert_eq!(home.await_running("a")["managerPid"], second.pid());
    assert_eq!(home.members(), members);
    assert_eq!(voters(&endpoints(&before)[0]).len(), 3);
}

#[test]
fn ctrl_c_stops_the_members_in_order_and_the_next_up_goes_on() {
    let home = Home::new();
    let mut up = Up::start(&home, &["a", "--size", "1"]);
    let before = home.await_running("a");
    up.signal(Signal::INT);
    let (status, lines) = up.ended();
    assert!(status.success(), "{status} {lines:?}");
    assert!(lines.last().unwrap().ends_with("stopped, all disks are kept"), "{lines:?}");
    assert!(home.processes().is_empty());
    let _up = Up::start(&home, &["a"]);
    let after = home.await_running("a");
    assert_eq!(after["clusterId"], before["clusterId"]);
    assert_eq!(after["members"][0]["id"], before["members"][0]["id"]);
}

/// An etcd that does not end when it is asked to.
fn stubborn_etcd() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let etcd = directory.path().join("etcd");
    // `deaf` in its slot's directory says that it does not hear any more.
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'etcd Version: 3.6.16' && exit\n\
                  trap '' TERM\n: >deaf\nwhile :; do sleep 1; done\n";
    fs::write(&etcd, script).unwrap();
    fs::set_permissions(&etcd, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_what_still_runs_can_be_stopped_and_kept_again() {
    let (home, etcd) = (Home::new(), stubborn_etcd());
    let arguments = ["a", "--size", "1", "--etcd-dir", etcd.path().to_str().unwrap()];
    let mut up = Up::start(&home, &arguments);
    let deaf = home.path().join("a/members/0/deaf");
    eventually("the member does not hear", || deaf.exists().then_some(()).ok_or_else(String::new));
    let members = home.members();
    up.signal(Signal::INT);
    up.await_line("once more to leave at once");
    up.signal(Signal::INT);
    let (status, lines) = up.ended();
    assert_eq!(status.code(), Some(130), "{lines:?}");
    assert!(lines.last().unwrap().ends_with("left; members may still run"), "{lines:?}");
    // It was not waited for: then it would have been killed.
    assert_eq!(home.members(), members);
    assert_eq!(home.status("a")["managerPid"], Value::Null);

    let next = Up::start(&home, &arguments);
    next.await_line("keeping a in");
    assert!(home.ok(&["down"]).starts_with("a: 1 members stopped"));
    assert!(home.processes().is_empty());
}

#[test]
fn an_edit_of_the_manifest_is_carried_out_and_a_broken_one_is_shown() {
    let home = Home::new();
    let up = Up::start(&home, &["a", "--size", "1"]);
    home.await_running("a");
    let text = fs::read_to_string(home.manifest("a")).unwrap();
    fs::write(home.manifest("a"), text.replace("size: 1", "size: 2")).unwrap();
    let line = up.await_line("size 2 is even");
    assert!(line.contains("cluster.yaml:"), "{line}");
    let status = home.await_status("a", "it serves as before", |status| status["ready"] == 1);
    assert_eq!(status["converged"], false, "{status:#}");
    assert!(status["reasons"].to_string().contains("size 2 is even"), "{status:#}");
    fs::write(home.manifest("a"), text.replace("size: 1", "size: 3")).unwrap();
    up.await_line("cluster.yaml can be used again");
    let status = home.await_status("a", "three members", |status| status["converged"] == true && status["size"] == 3);
    assert_eq!(voters(&endpoints(&status)[0]).len(), 3);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let home = Home::new();
    let mut demo = Up::spawn(home.command(&["demo"]).env("TMPDIR", home.path()));
    demo.await_line("scale to 3");
    assert!(!home.members().is_empty());
    demo.signal(Signal::INT);
    let (status, lines) = demo.ended();
    assert_eq!(status.code(), Some(130), "{lines:?}");
    assert!(home.processes().is_empty());
    assert!(home.files().is_empty(), "{:?}", home.files().keys());
}

#[test]
fn events_are_json_for_programs() {
    let home = Home::new();
    let mut up = Up::start(&home, &["a", "--size", "1", "--log-format", "json"]);
    home.await_running("a");
    up.signal(Signal::TERM);
    let (status, lines) = up.ended();
    assert!(status.success(), "{status}");
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["time"].is_string()), "{events:?}");
    let phases: Vec<&Value> =
        events.iter().filter(|event| event["event"] == "phase").map(|event| &event["phase"]).collect();
    assert_eq!(phases.first().unwrap(), &"Pending", "{phases:?}");
    assert_eq!(phases.last().unwrap(), &"Running", "{phases:?}");
    assert!(events.iter().any(|event| event["event"] == "member" && event["health"] == "healthy"));
    assert!(events.iter().any(|event| event["event"] == "step" && event["outcome"] == "done"), "{events:?}");
}
