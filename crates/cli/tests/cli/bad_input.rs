//! Every input that cannot be used gets an error of its own, the right exit code, and leaves everything as it was.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use rstest::rstest;

use crate::home::{Home, Said, binary};

const MANIFEST: &str = "# mine\nsize: 3   # voters\nversion: \"3.6\"\n";

/// A home with a declared cluster that was never started.
fn declared(manifest: &str) -> Home {
    let home = Home::new();
    fs::create_dir(home.path().join("a")).unwrap();
    fs::write(home.manifest("a"), manifest).unwrap();
    home
}

#[rstest]
#[case::even(&["scale", "2"], 2, &["size 2 is even", "use 1 or 3"])]
#[case::too_large(&["scale", "11"], 2, &["size 11 is too large", "0, 1, 3, 5, 7, 9"])]
#[case::no_number(&["scale", "many"], 2, &["size `many` is not a number"])]
#[case::even_at_the_start(&["up", "--size", "4"], 2, &["size 4 is even"])]
#[case::no_version(&["upgrade", "latest"], 2, &["`latest` is not an etcd version"])]
#[case::unsupported_version(&["upgrade", "3.4"], 2, &["not supported", "use 3.5, 3.6 or 3.7"])]
#[case::too_old_a_patch(&["upgrade", "3.5.9"], 2, &["etcd 3.5.9 is not supported"])]
#[case::version_that_is_not_there(&["upgrade", "3.6.999"], 1, &["no etcd 3.6.999 was found", "Looked in", "found 3."])]
#[case::no_such_cluster(&["status", "b"], 4, &["there is no cluster `b`", "etcdop local up b"])]
#[case::no_such_member(&["kill", "7"], 4, &["no member is called `7`"])]
#[case::no_name(&["status", "B!"], 2, &["`B!` is not a name for a cluster"])]
#[case::two_names(&["status", "a", "--name", "b"], 2, &["two clusters are named, `a` and `b`"])]
#[case::no_member_to_read(&["logs", "7"], 4, &["no member is called `7`"])]
#[case::no_number_of_lines(&["logs", "--tail", "some"], 2, &["`some` is not a number of lines", "-1 for all"])]
#[case::no_duration(&["scale", "5", "--wait=soon"], 2, &["`soon` is not a duration", "30s"])]
#[case::not_confirmed(&["destroy"], 2, &["removes", "with all data", "--yes"])]
#[case::nobody_serves(&["env"], 1, &["no member of `a` serves clients now"])]
fn what_cannot_be_used_is_refused_and_changes_nothing(
    #[case] arguments: &[&str],
    #[case] code: i32,
    #[case] words: &[&str],
) {
    let home = declared(MANIFEST);
    let before = home.files();
    home.run(arguments).refused(code, words);
    assert_eq!(home.files(), before);
}

#[rstest]
#[case::unknown_field("size: 3\nversoin: \"3.6\"\n", "cluster.yaml:2:1", "did you mean `version`?")]
#[case::unknown_option(
    "size: 3\nversion: \"3.6\"\netcd:\n  quotaBackendByte: 1\n",
    "cluster.yaml:4:3",
    "`quotaBackendBytes`"
)]
#[case::wrong_type("size: three\nversion: \"3.6\"\n", "cluster.yaml:1:7", "three")]
#[case::even_size("version: \"3.6\"\nsize: 2\n", "cluster.yaml:2:7", "size 2 is even")]
#[case::unknown_version("size: 3\nversion: \"3.9\"\n", "cluster.yaml:2:10", "not supported")]
#[case::no_yaml("size: [3\n", "cluster.yaml:", "")]
fn a_wrong_manifest_is_shown_with_its_place(#[case] manifest: &str, #[case] place: &str, #[case] words: &str) {
    let home = declared(manifest);
    let before = home.files();
    for arguments in [&["up"][..], &["status"], &["scale", "5"], &["upgrade", "3.7"]] {
        home.run(arguments).refused(1, &[place, words]);
    }
    let after = home.files();
    // The lock file is the manager's; what is declared is the user's.
    assert_eq!(after[&home.manifest("a")], before[&home.manifest("a")]);
    assert!(home.members().is_empty());
}

#[test]
fn one_of_several_clusters_must_be_named() {
    let home = declared(MANIFEST);
    fs::create_dir(home.path().join("b")).unwrap();
    fs::write(home.manifest("b"), MANIFEST).unwrap();
    home.run(&["scale", "5"]).refused(2, &["there are several clusters", "a, b", "--name"]);
    let rows: serde_json::Value = serde_json::from_str(&home.ok(&["ls", "-o", "json"])).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn errors_are_json_for_programs() {
    let said = Home::new().run(&["status", "-o", "json"]);
    said.refused(4, &[]);
    let error: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("there is no cluster"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("etcdop local up"), "{error}");
}

#[test]
fn a_home_that_is_no_directory_or_cannot_be_written_is_said_to_be_so() {
    let home = Home::new();
    let file = home.path().join("file");
    fs::write(&file, "mine").unwrap();
    for place in [file.as_path(), Path::new("/sys/etcdop")] {
        let mut command = crate::home::etcdop();
        command.args(["local", "up", "a", "--dir"]).arg(place);
        Said::of(&command.output().unwrap()).refused(1, &[place.to_str().unwrap(), "cannot be"]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

/// A script that says it is some etcd.
fn fake_etcd(path: &Path, version: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\necho 'etcd Version: {version}'\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[rstest]
#[case::missing(None, &["no etcd in", "named by --etcd-dir"])]
#[case::not_executable(Some(("etcd", "3.6.16", 0o644)), &["is not executable", "chmod +x"])]
#[case::other_version(Some(("3.6/etcd", "3.5.35", 0o755)), &["says that it is etcd 3.5.35", "3.6"])]
#[case::no_etcd(Some(("etcd", "of the moon", 0o755)), &["does not answer --version as etcd does"])]
#[case::unsupported(Some(("etcd", "3.4.40", 0o755)), &["is etcd 3.4.40, which is not supported"])]
fn an_etcd_that_cannot_be_used_is_said_to_be_so(#[case] binary: Option<(&str, &str, u32)>, #[case] words: &[&str]) {
    let home = Home::new();
    let binaries = tempfile::tempdir().unwrap();
    if let Some((path, version, mode)) = binary {
        fake_etcd(&binaries.path().join(path), version, mode);
    }
    home.run(&["up", "a", "--etcd-dir", binaries.path().to_str().unwrap()]).refused(1, words);
    assert!(home.files().is_empty());
}

#[test]
fn etcd_is_looked_for_where_the_environment_says_or_in_what_make_built_and_on_the_path() {
    let home = declared(MANIFEST);
    let binaries = tempfile::tempdir().unwrap();
    fake_etcd(&binaries.path().join("etcd"), "3.6.900", 0o755);
    let asked = |variable: &str| {
        let mut command = home.command(&["upgrade", "3.6.999"]);
        Said::of(&command.env(variable, binaries.path()).output().unwrap())
    };
    let place = binaries.path().to_str().unwrap();
    asked("ETCDOP_ETCD_DIR").refused(1, &[&format!("Looked in {place}; found 3.6.900")]);
    let on_path = asked("PATH");
    on_path.refused(1, &["target/etcd, ", place, "3.6.900", "found 3.5."]);
}

/// Runs `etcdop` where no file can grow: every write fails as on a full disk.
fn without_space(home: &Home, arguments: &[&str]) -> Said {
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(binary()).args(["local", "--dir"]).arg(home.path()).args(arguments);
    Said::of(&command.output().unwrap())
}

#[test]
fn a_full_disk_leaves_the_manifest_as_it_was() {
    let home = declared(MANIFEST);
    without_space(&home, &["scale", "5"]).refused(1, &["cluster.yaml cannot be written", "it is as it was"]);
    assert_eq!(fs::read_to_string(home.manifest("a")).unwrap(), MANIFEST);
}

#[test]
fn a_full_disk_at_the_creation_leaves_no_cluster() {
    let home = Home::new();
    without_space(&home, &["up", "a"]).refused(1, &["cannot be written"]);
    assert!(!home.manifest("a").exists());
    assert!(home.ok(&["ls"]).starts_with("no clusters in "));
    assert!(home.members().is_empty());
}

#[test]
fn an_edit_without_a_manager_is_kept_for_the_next_one_and_said_to_be() {
    let home = declared(MANIFEST);
    let said = home.run(&["scale", "5"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("no manager runs"), "{said:?}");
    assert_eq!(fs::read_to_string(home.manifest("a")).unwrap(), MANIFEST.replace("size: 3 ", "size: 5 "));
    home.run(&["scale", "7", "--wait=5s"]).refused(3, &["`a` is not as declared", "no manager runs"]);
}
