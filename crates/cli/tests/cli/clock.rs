//! The wall clock is for people. Whatever it does, nothing comes sooner or later for it.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::{
    etcd::{endpoints, get, put, voters},
    home::Home,
    up::Up,
};

/// A library that takes the wall clock of a process back by a minute at every look.
fn clock_that_goes_back(home: &Home) -> PathBuf {
    let library = home.path().join("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/clock_that_goes_back.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("a C compiler").success());
    library
}

#[test]
fn a_clock_that_jumps_back_delays_nothing_and_loses_nothing() {
    let home = Home::new();
    let mut command = home.command(&["up", "a", "--size", "3", "--log-format", "json"]);
    let mut up = Up::spawn(command.env("LD_PRELOAD", clock_that_goes_back(&home)));
    let status = home.await_running("a");
    put(&endpoints(&status)[0], "mine", "kept");

    // Time counts for those who are silent, too.
    let text = fs::read_to_string(home.manifest("a")).unwrap();
    fs::write(home.manifest("a"), text.replace("replaceAfter: 5m", "replaceAfter: 3s")).unwrap();
    let members = status["members"].as_array().unwrap();
    let frozen = members.iter().find(|member| member["leader"] == false).unwrap();
    let (slot, id) = (frozen["slot"].to_string(), frozen["id"].as_str().unwrap().to_owned());
    home.ok(&["freeze", &slot]);
    let healed = home.await_status("a", "the frozen member is replaced", |status| {
        status["converged"] == true && status["members"].as_array().unwrap().iter().all(|member| member["id"] != *id)
    });
    home.ok(&["kill", "0"]);
    home.await_running("a");
    let one = &endpoints(&healed)[0];
    assert_eq!(voters(one).len(), 3);
    assert_eq!(get(one, "mine").as_deref(), Some(&b"kept"[..]));

    home.ok(&["down"]);
    let (status, lines) = up.ended();
    assert!(status.success(), "{status} {lines:?}");
    let times: Vec<String> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["time"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.len() > 10 && times.is_sorted_by(|before, after| before > after), "it jumped: {times:?}");
}
