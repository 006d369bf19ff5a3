//! A manager that dies at each change: this test runs itself again as that manager.

use std::{env, fs, os::unix::process::ExitStatusExt, path::Path, process::Command};

use etcdop_core::{
    id::MemberId,
    step::{EtcdStep, Step},
};

use super::{
    armed::{When, Which, parse},
    step,
};

/// Where the manager that is run notes what it did.
const DONE: &str = "ETCDOP_FAILPOINT_TEST";

/// Three changes, each a digit in a file; the second one is tried twice.
async fn manage(done: &Path) {
    for member in [1, 2, 2, 3] {
        let change = async {
            let before = fs::read_to_string(done).unwrap_or_default();
            fs::write(done, format!("{before}{member}")).unwrap();
        };
        step(&Step::Etcd(EtcdStep::Remove(MemberId(member))), change).await;
    }
}

/// This very test, run as a manager that dies at `point`; whether it was killed.
fn run(test: &str, point: &str, done: &Path, log: &Path) -> bool {
    let manager = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("failpoint::tests::{test}")])
        .env(DONE, done)
        .env("ETCDOP_FAILPOINT", point)
        .env("ETCDOP_FAILPOINT_LOG", log)
        .output()
        .unwrap();
    let killed = manager.status.signal() == Some(9);
    assert!(killed || manager.status.success(), "{point}: {manager:?}");
    killed
}

#[tokio::test]
async fn a_manager_dies_right_before_or_after_its_nth_change() {
    if let Some(done) = env::var_os(DONE) {
        return manage(Path::new(&done)).await;
    }
    let files = tempfile::tempdir().unwrap();
    let (done, log) = (files.path().join("done"), files.path().join("log"));
    for (point, changes, lines) in [
        ("1:before", "", 1),
        ("1:after", "1", 1),
        ("2:after", "12", 2),
        ("3:before", "122", 3),
        ("4:before", "1223", 3),
    ] {
        fs::write(&done, "").unwrap();
        fs::write(&log, "").unwrap();
        let killed = run("a_manager_dies_right_before_or_after_its_nth_change", point, &done, &log);
        assert_eq!(killed, point != "4:before", "{point}");
        assert_eq!(fs::read_to_string(&done).unwrap(), changes, "{point}");
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(log.lines().count(), lines, "{point}: {log}");
        assert_eq!(log.lines().next(), Some("1 remove member 1"));
    }
}

#[tokio::test]
async fn one_manager_after_the_other_dies_where_none_has_died_before() {
    if let Some(done) = env::var_os(DONE) {
        return manage(Path::new(&done)).await;
    }
    let files = tempfile::tempdir().unwrap();
    let (done, log) = (files.path().join("done"), files.path().join("log"));
    let run = |point| {
        fs::write(&done, "").unwrap();
        let killed = run("one_manager_after_the_other_dies_where_none_has_died_before", point, &done, &log);
        (killed, fs::read_to_string(&done).unwrap())
    };
    for (point, ends) in [("new:before", ["", "1", "122", "1223"]), ("new:after", ["1", "12", "1223", "1223"])] {
        for (nth, end) in ends.into_iter().enumerate() {
            assert_eq!(run(point), (nth < 3, end.to_owned()), "{point}, manager {nth}");
        }
    }
    let log = fs::read_to_string(&log).unwrap();
    let deaths: Vec<&str> = log.lines().filter(|line| line.starts_with("died ")).collect();
    assert_eq!(deaths.len(), 6, "{log}");
    assert!(deaths.contains(&"died before remove member 1") && deaths.contains(&"died after remove member 3"), "{log}");
}

#[test]
fn a_fail_point_names_a_change_and_a_side_of_it() {
    assert_eq!(parse("3:before"), Some((Which::Nth(3), When::Before)));
    assert_eq!(parse("12:after"), Some((Which::Nth(12), When::After)));
    assert_eq!(parse("new:after"), Some((Which::New, When::After)));
    for wrong in ["", "3", "3:during", "x:after"] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}
