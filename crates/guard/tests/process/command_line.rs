//! The command line: what is wrong with one is said in a line, with exit code 2, and nothing is touched.

use std::process::{Command, Output};

use crate::slot::Slot;

fn guard(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etcdop-guard")).args(arguments).output().unwrap()
}

const FILES: [&str; 12] = [
    "--marker",
    "/v/marker",
    "--data-dir",
    "/v/data",
    "--seat",
    "/s/seat",
    "--permit",
    "/s/permit",
    "--ledger",
    "/s/ledger",
    "--status",
    "/s/status",
];

#[track_caller]
fn usage(arguments: &[&str], complaint: &str) {
    let output = guard(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(text.contains(complaint) && text.lines().count() == 1, "{arguments:?}: {text}");
}

#[test]
fn an_incomplete_or_unknown_command_line_is_named() {
    usage(&[], "--marker is missing");
    usage(&FILES[2..], "--marker is missing");
    usage(&FILES[..10], "--status is missing");
    usage(&FILES, "etcd's own command is missing");
    usage(&[&FILES[..], &["--"]].concat(), "etcd's own command is missing");
    usage(&["--marker"], "--marker needs a value");
    usage(&["--marker="], "--marker needs a value");
    usage(&["--marker", "--", "etcd"], "--marker needs a value");
    usage(&["--marker=a", "--marker=b"], "--marker is there twice");
    usage(&["--market", "x"], "unknown argument '--market'");
    usage(&["etcd"], "unknown argument 'etcd'");
    let instance = ["--instance", "a b", "--", "etcd", "--data-dir=/v/data"];
    usage(&[&FILES[..], &instance].concat(), "--instance cannot be used: it holds a space");
}

#[test]
fn etcd_cannot_be_led_past_the_gate() {
    let with = |etcd: &[&'static str]| [&FILES[..], &["--", "etcd"], etcd].concat();
    usage(&with(&["--data-dir=/other"]), "etcd is given data directory '/other'");
    usage(&with(&["-data-dir", "/other"]), "etcd is given data directory '/other'");
    usage(&with(&["--data-dir=/v/data", "--data-dir=/other"]), "etcd is given data directory '/other'");
    usage(&with(&["--config-file=x"]), "etcd's --config-file is not possible here");
    usage(&with(&["--wal-dir", "/w"]), "etcd's --wal-dir is not possible here");
    usage(&with(&["--data-dir=/v/data", "--force-new-cluster"]), "etcd's --force-new-cluster is not possible here");
    usage(&with(&["-force-new-cluster=true"]), "etcd's --force-new-cluster is not possible here");
    usage(&with(&["--name=m1"]), "write --data-dir=/v/data behind --");
    let ledger_on_data = with(&[]).iter().map(|text| text.replace("/s/ledger", "/v/data/ledger")).collect::<Vec<_>>();
    usage(&ledger_on_data.iter().map(String::as_str).collect::<Vec<_>>(), "--ledger lies inside --data-dir");
    for name in ["ETCD_CONFIG_FILE", "ETCD_DATA_DIR", "ETCD_WAL_DIR", "ETCD_FORCE_NEW_CLUSTER"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcdop-guard"));
        let output = command.args(with(&["--data-dir=/v/data"])).env(name, "x").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(&format!("{name} is not possible here: unset it")), "{text}");
    }
}

#[test]
fn options_may_carry_their_value_after_an_equals_sign() {
    let slot = Slot::settled();
    let mut command = slot.command();
    command.arg("--instance=a=b");
    slot.launch(command).end().was_etcd_with(&["--initial-cluster-state=existing"]);
    assert!(std::fs::read_to_string(slot.path("status")).unwrap().starts_with("a=b started "));
}

#[test]
fn help_tells_every_exit_code_and_version_the_version() {
    let help = guard(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for kind in etcdop_guard::RefusalKind::ALL {
        assert!(text.contains(&format!("  {}  {} ", kind.exit_code(), kind.slug())), "{kind:?} is not in --help");
    }
    let version = guard(&["--version"]);
    assert!(version.status.success());
    assert_eq!(String::from_utf8(version.stdout).unwrap(), concat!("etcdop-guard ", env!("CARGO_PKG_VERSION"), "\n"));
}
