//! A manager that dies at each change: this test runs itself again as that manager.

use std::{env, fs, os::unix::process::ExitStatusExt, path::Path, process::Command};

use etcdop_core::{
    id::MemberId,
    step::{EtcdStep, Step},
};

use super::{
    Failpoint,
    armed::{When, parse},
};

/// Where the manager that is run notes what it did.
const DONE: &str = "ETCDOP_FAILPOINT_TEST";

/// Three changes, each a digit in a file; the second one is tried twice.
async fn manage(done: &Path) {
    let failpoint = Failpoint::default();
    for member in [1, 2, 2, 3] {
        let change = async {
            let before = fs::read_to_string(done).unwrap_or_default();
            fs::write(done, format!("{before}{member}")).unwrap();
        };
        failpoint.around(&Step::Etcd(EtcdStep::Remove(MemberId(member))), change).await;
    }
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
        let manager = Command::new(env::current_exe().unwrap())
            .args(["--exact", "failpoint::tests::a_manager_dies_right_before_or_after_its_nth_change"])
            .env(DONE, &done)
            .env("ETCDOP_FAILPOINT", point)
            .env("ETCDOP_FAILPOINT_LOG", &log)
            .output()
            .unwrap();
        let killed = manager.status.signal() == Some(9);
        assert_eq!(killed, point != "4:before", "{point}: {manager:?}");
        assert_eq!(fs::read_to_string(&done).unwrap(), changes, "{point}");
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(log.lines().count(), lines, "{point}: {log}");
        assert_eq!(log.lines().next(), Some("1 remove member 1"));
    }
}

#[test]
fn a_fail_point_names_a_change_and_a_side_of_it() {
    assert_eq!(parse("3:before"), Some((3, When::Before)));
    assert_eq!(parse("12:after"), Some((12, When::After)));
    for wrong in ["", "3", "3:during", "x:after"] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}
