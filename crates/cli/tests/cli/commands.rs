//! Help, completions, manual pages, version: everything that needs no cluster.

use std::fs;

use crate::home::{Home, Said, etcdop};

fn run(arguments: &[&str]) -> Said {
    Said::of(&etcdop().args(arguments).output().unwrap())
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let said = run(&["local", "--help"]);
    assert_eq!(said.code, Some(0));
    let commands = "up ls status scale upgrade kill freeze thaw wipe logs env down destroy demo";
    for command in commands.split(' ') {
        assert!(said.stdout.contains(&format!("\n  {command} ")), "{command}: {}", said.stdout);
    }
    let said = run(&["local", "up", "--help"]);
    for code in ["0  ", "1  ", "2  ", "3  ", "4  ", "5  ", "130"] {
        assert!(said.stdout.contains(&format!("\n  {code}  ")), "{code}: {}", said.stdout);
    }
}

#[test]
fn every_shell_gets_completions_that_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run(&["completions", shell]);
        assert_eq!(said.code, Some(0), "{shell}");
        for word in ["destroy", "freeze", "log-format", "follow"] {
            assert!(said.stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_takes_its_completions() {
    let home = Home::new();
    let script = home.path().join("etcdop.bash");
    fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    let words =
        "source \"$1\"; COMP_WORDS=(etcdop local fr); COMP_CWORD=2; _etcdop etcdop fr local; echo ${COMPREPLY[@]}";
    let said = std::process::Command::new("bash").args(["-c", words, "bash"]).arg(&script).output().unwrap();
    assert_eq!(Said::of(&said).stdout.trim(), "freeze");
}

#[test]
fn every_command_has_a_manual_page() {
    let home = Home::new();
    let dir = home.path().join("man");
    let said = run(&["man", dir.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for page in
        ["etcdop", "etcdop-local", "etcdop-local-up", "etcdop-local-scale", "etcdop-local-logs", "etcdop-completions"]
    {
        let text = fs::read_to_string(dir.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS") && text.contains("Exit codes:"), "{page}");
    }
    let said = run(&["man", "/dev/null/man"]);
    said.refused(1, &["error: /dev/null/man cannot be written", "cause:"]);
}

#[test]
fn the_version_is_there_for_people_and_for_programs() {
    assert_eq!(run(&["--version"]).stdout, run(&["version"]).stdout);
    let json: serde_json::Value = serde_json::from_str(&run(&["version", "-o", "json"]).stdout).unwrap();
    assert_eq!(run(&["version"]).stdout.trim(), format!("etcdop {}", json["version"].as_str().unwrap()));
    assert!(run(&["version", "-o", "yaml"]).stdout.starts_with("version:"));
}

#[test]
fn the_clusters_of_a_user_are_where_the_users_data_is() {
    let home = Home::new();
    let listed = |variables: &[(&str, &str)]| {
        let mut command = etcdop();
        command.args(["local", "ls"]).env_remove("HOME").envs(variables.iter().copied());
        Said::of(&command.output().unwrap())
    };
    let place = home.path().to_str().unwrap();
    let own = listed(&[("HOME", place)]).stdout;
    assert_eq!(own.trim(), format!("no clusters in {place}/.local/share/etcdop/local"));
    let data = listed(&[("HOME", "/nowhere"), ("XDG_DATA_HOME", place)]).stdout;
    assert_eq!(data.trim(), format!("no clusters in {place}/etcdop/local"));
    listed(&[]).refused(1, &["neither XDG_DATA_HOME nor HOME is set", "--dir"]);
}

#[test]
fn no_clusters_is_an_empty_list() {
    let home = Home::new();
    assert!(home.ok(&["ls"]).starts_with("no clusters in "));
    assert_eq!(home.ok(&["ls", "-o", "json"]).trim(), "[]");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let script = "\"$1\" completions bash | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}";
    let binary = crate::home::binary();
    let said = std::process::Command::new("bash").args(["-c", script, "bash"]).arg(binary).output().unwrap();
    assert_eq!(Said::of(&said).stdout.trim(), "0");
}
