//! What a user does to a real cluster from another terminal, and what etcd itself says about it afterwards.

use std::{fs, net::TcpListener};

use serde_json::Value;

use crate::{
    etcd::{endpoints, get, put, voters},
    home::Home,
    up::Up,
};

fn ids(status: &Value) -> Vec<String> {
    let members = status["members"].as_array().unwrap();
    let mut ids: Vec<String> = members.iter().map(|member| member["id"].as_str().unwrap_or("-").to_owned()).collect();
    ids.sort();
    ids
}

fn slot(status: &Value, number: u64) -> &Value {
    status["members"].as_array().unwrap().iter().find(|member| member["slot"] == number).unwrap_or(&Value::Null)
}

fn follower(status: &Value) -> u64 {
    let members = status["members"].as_array().unwrap();
    members.iter().find(|member| member["leader"] == false).unwrap()["slot"].as_u64().unwrap()
}

#[test]
fn a_cluster_is_created_scaled_and_taken_down() {
    let home = Home::new();
    let mut up = Up::start(&home, &["a", "--size", "3", "--version", "3.6"]);
    up.await_line("keeping a in");
    let status = home.await_running("a");
    assert_eq!((&status["phase"], &status["ready"]), (&"Running".into(), &3.into()), "{status:#}");
    assert_eq!(status["managerPid"], up.pid());
    let one = &endpoints(&status)[0];
    assert_eq!(voters(one), ids(&status));
    put(one, "mine", "kept");

    let urls = endpoints(&status).join(",");
    home.await_said(&["env"], |said| said.trim() == format!("export ETCDCTL_ENDPOINTS={urls}"));
    home.await_said(&["env", "a", "--shell", "fish"], |said| {
        said.trim() == format!("set -gx ETCDCTL_ENDPOINTS {urls}")
    });

    let said = home.ok(&["scale", "5", "--wait=2m"]);
    assert!(said.starts_with("a: size 3 -> 5, done after "), "{said}");
    let status = home.await_running("a");
    assert_eq!(voters(one).len(), 5);
    assert_eq!(voters(one), ids(&status));

    let table = home.await_said(&["status"], |said| said.starts_with("a: Running, 5 of 5 ready, etcd 3.6."));
    assert!(!table.contains('\u{1b}'), "colours where no terminal is: {table:?}");
    home.await_said(&["status", "-o", "yaml"], |said| said.contains("\nphase: Running\n"));
    let id = format!("cluster ID {}", status["clusterId"].as_str().unwrap());
    home.await_said(&["status", "-o", "wide"], |said| said.contains(&id));
    home.await_said(&["ls"], |said| {
        let row: Vec<_> = said.lines().nth(1).unwrap().split_whitespace().take(3).collect();
        row == ["a", "Running", "5/5"]
    });

    home.ok(&["scale", "3", "--wait=2m"]);
    let left = endpoints(&home.await_running("a"));
    assert_eq!(voters(&left[0]).len(), 3);
    assert_eq!(get(&left[0], "mine").as_deref(), Some(&b"kept"[..]));

    assert!(home.ok(&["down"]).starts_with("a: 3 members stopped"));
    let (status, lines) = up.ended();
    assert!(status.success(), "{status} {lines:?}");
    assert!(home.processes().is_empty());
    assert_eq!(home.status("a")["phase"], "Stopped");
    assert!(home.ok(&["down"]).starts_with("a: nothing ran"));

    home.ok(&["destroy", "--yes"]);
    assert!(!home.path().join("a").exists(), "{:?}", home.files().keys());
    home.run(&["status", "a"]).refused(4, &["there is no cluster `a`"]);
}

#[test]
fn every_command_is_json_for_programs() {
    let home = Home::new();
    let _up = Up::start(&home, &["a", "--size", "1"]);
    home.await_running("a");
    let commands = [
        ("ls", "/0/name"),
        ("status", "/clusterId"),
        ("scale 1", "/name"),
        ("upgrade 3.6", "/name"),
        ("env", "/ETCDCTL_ENDPOINTS"),
        ("freeze 0", "/done"),
        ("thaw 0", "/done"),
        ("logs 0 --tail 1", "/line"),
        ("kill 0", "/done"),
        ("wipe 0", "/done"),
        ("down", "/membersStopped"),
        ("destroy --yes", "/destroyed"),
    ];
    for (command, field) in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["-o", "json"]).collect();
        let said = home.await_said(&arguments, |_| true);
        let json: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{command}: {error}: {said}"));
        assert!(json.pointer(field).is_some(), "{command}: {json:#}");
    }
}

#[test]
fn faults_are_shown_and_healed() {
    let home = Home::new();
    let _up = Up::start(&home, &["a"]);
    let status = home.await_running("a");
    let one = &endpoints(&status)[0];
    put(one, "mine", "kept");

    // A process that is killed comes back as the same member.
    let before = home.members();
    let said = home.ok(&["kill", "0"]);
    assert!(said.contains("the member in slot 0 was killed"), "{said}");
    let healed = home.await_status("a", "the killed member is back", |status| {
        status["converged"] == true && home.members().len() == 3 && home.members() != before
    });
    assert_eq!(ids(&healed), ids(&status));

    // A disk that is wiped comes back as another member.
    let lost = follower(&healed);
    let lost_id = &slot(&healed, lost)["id"];
    home.ok(&["wipe", &lost.to_string()]);
    let healed = home.await_status("a", "another member takes its place", |status| {
        status["converged"] == true && !ids(status).contains(&lost_id.as_str().unwrap().to_owned())
    });
    let one = &endpoints(&healed)[0];
    assert_eq!(voters(one), ids(&healed));

    // A frozen member is silent, and goes on when it is thawed: by its name and by its ID.
    let frozen = follower(&healed);
    let (name, id) = (slot(&healed, frozen)["name"].as_str().unwrap(), slot(&healed, frozen)["id"].as_str().unwrap());
    home.ok(&["freeze", name]);
    let silent =
        home.await_status("a", "the frozen member is silent", |status| slot(status, frozen)["health"] == "silent");
    assert_eq!(silent["phase"], "Recovering");
    assert!(silent["reasons"].to_string().contains("does not answer"), "{silent:#}");
    home.ok(&["thaw", id]);
    let thawed = home.await_running("a");
    assert_eq!(ids(&thawed), ids(&healed));
    assert_eq!(get(&endpoints(&thawed)[0], "mine").as_deref(), Some(&b"kept"[..]));
}

#[test]
fn versions_go_one_minor_at_a_time() {
    let home = Home::new();
    let up = Up::start(&home, &["a", "--size", "1", "--version", "3.5"]);
    let status = home.await_running("a");
    put(&endpoints(&status)[0], "mine", "kept");

    let before = fs::read(home.manifest("a")).unwrap();
    home.run(&["upgrade", "3.7"]).refused(1, &["cannot go to 3.7", "set a version of 3.6 first"]);
    assert_eq!(fs::read(home.manifest("a")).unwrap(), before);

    home.ok(&["upgrade", "3.6", "--wait=2m"]);
    let status = home.await_running("a");
    assert!(slot(&status, 0)["version"].as_str().unwrap().starts_with("3.6."), "{status:#}");
    assert_eq!(get(&endpoints(&status)[0], "mine").as_deref(), Some(&b"kept"[..]));

    // A cluster that is down is held to what it ran last.
    home.ok(&["down"]);
    drop(up);
    home.run(&["upgrade", "3.8"]).refused(2, &["not supported"]);
    let said = home.run(&["upgrade", "3.7"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_port_that_somebody_took_is_named() {
    let home = Home::new();
    let up = Up::start(&home, &["a", "--size", "1"]);
    let status = home.await_running("a");
    let address = endpoints(&status)[0].strip_prefix("http://").unwrap().to_owned();
    home.ok(&["down"]);
    drop(up);
    let stranger = TcpListener::bind(&address).unwrap();
    let _up = Up::start(&home, &["a"]);
    let port = address.rsplit_once(':').unwrap().1;
    home.await_status("a", "the port is named", |status| {
        slot(status, 0)["instance"].as_str().is_some_and(|instance| instance.contains(port))
    });
    drop(stranger);
    home.await_running("a");
}

#[test]
fn data_of_somebody_else_is_named_and_left_alone() {
    let home = Home::new();
    let up = Up::start(&home, &["a", "--size", "1"]);
    home.await_running("a");
    home.ok(&["down"]);
    drop(up);
    // Another cluster's disk in the place of the member's own.
    let volume = home.path().join("a/members/0/volume");
    fs::remove_dir_all(&volume).unwrap();
    fs::create_dir_all(volume.join("etcd/member/wal")).unwrap();
    let foreign = volume.join("etcd/member/wal/0000000000000000-0000000000000000.wal");
    fs::write(&foreign, "somebody else's").unwrap();
    let _up = Up::start(&home, &["a"]);
    let status = home.await_status("a", "the foreign disk is refused", |status| {
        slot(status, 0)["instance"].as_str().is_some_and(|instance| instance.starts_with("refused"))
    });
    assert_ne!(status["converged"], true);
    assert_eq!(fs::read(&foreign).unwrap(), b"somebody else's");
}

#[test]
fn clusters_live_side_by_side() {
    let home = Home::new();
    let _first = Up::start(&home, &["first", "--size", "1"]);
    let _second = Up::start(&home, &["second", "--size", "1", "--version", "3.7"]);
    let (first, second) = (home.await_running("first"), home.await_running("second"));
    assert_ne!(first["clusterId"], second["clusterId"]);
    assert_ne!(endpoints(&first), endpoints(&second));
    home.run(&["env"]).refused(2, &["first, second"]);
    home.ok(&["destroy", "first", "--yes"]);
    assert_eq!(home.await_running("second")["clusterId"], second["clusterId"]);
}
