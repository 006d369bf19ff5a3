//! The files that guard and platforms exchange: what is written is read back, anything else is an error with its line.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use std::{fs, path::Path};

use etcdop_guard::{
    ClusterState, DataState, Epoch, Generation, InstanceId, LearnerLimit, Ledger, LedgerEntry, Marker, MarkerState,
    MemberId, PeerName, PeerUrl, Permit, Problem, Progress, Refusal, Seat, Status, WaitReason, examine_data,
    examine_marker, read_text, replace, write_durably,
};
use proptest::prelude::*;
use tempfile::TempDir;

const MARKER: &str = "incarnation=9f1c-1\nmember=8e9e05c52164694d\ngeneration=2\nmax-learners=8\nepoch=7\n";
/// As releases before the learner limit wrote it.
const EARLIER_MARKER: &str = "incarnation=9f1c-1\nmember=8e9e05c52164694d\ngeneration=2\nepoch=7\n";
const PERMIT: &str = "instance=pod-uid:0\nincarnation=9f1c-1\ngeneration=2\nmember=-\n\
                      initial-cluster=a=http://10.0.0.1:2380,b=https://b.example:2380,c=http://[::1]:2380\n\
                      initial-cluster-state=existing\n";

#[test]
fn the_form_of_the_files_is_fixed() {
    let marker = Marker::parse(MARKER).unwrap();
    assert_eq!(marker.member, Some(MemberId(0x8e9e_05c5_2164_694d)));
    assert_eq!((marker.generation, marker.epoch), (Generation(2), Epoch(7)));
    assert_eq!(marker.max_learners, Some(LearnerLimit(8)));
    assert_eq!(marker.render(), MARKER);
    assert_eq!(Seat::parse(MARKER).unwrap().render(), MARKER);
    let permit = Permit::parse(PERMIT).unwrap();
    assert_eq!(permit.member, None);
    assert_eq!(permit.state, ClusterState::Existing);
    let hosts: Vec<(&str, u16)> = permit.initial_cluster.iter().map(|(_, url)| (url.host(), url.port())).collect();
    assert_eq!(hosts, [("10.0.0.1", 2380), ("b.example", 2380), ("::1", 2380)]);
    assert_eq!(permit.render(), PERMIT);
    let entry = LedgerEntry::of(&permit);
    assert_eq!(entry.render(), "instance=pod-uid:0\ngeneration=2\n");
    assert_eq!(LedgerEntry::parse(&entry.render()), Ok(entry));
}

#[test]
fn a_marker_of_an_earlier_release_is_read_and_says_nothing_of_the_learner_limit() {
    let marker = Marker::parse(EARLIER_MARKER).unwrap();
    assert_eq!(marker, Marker { max_learners: None, ..Marker::parse(MARKER).unwrap() });
    assert_eq!(Seat::parse(EARLIER_MARKER).unwrap().render(), EARLIER_MARKER);
}

#[test]
fn keys_may_come_in_any_order() {
    let turned = "epoch=7\nmax-learners=8\ngeneration=2\nmember=8e9e05c52164694d\nincarnation=9f1c-1\n";
    assert_eq!(Marker::parse(turned), Marker::parse(MARKER));
}

#[test]
fn the_ledger_speaks_of_one_process_and_one_disk() {
    let permit = Permit::parse(PERMIT).unwrap();
    let entry = LedgerEntry::of(&permit);
    assert_eq!(entry.about(&permit), Ledger::Used);
    assert_eq!(entry.about(&Permit { generation: Generation(3), ..permit.clone() }), Ledger::Unused);
    assert_eq!(entry.about(&Permit { instance: "pod-uid:1".parse().unwrap(), ..permit }), Ledger::Unused);
}

#[test]
fn a_marker_that_we_did_not_write_is_an_error_with_its_line() {
    let table = [
        ("", 1, "the file ends without key 'incarnation'"),
        ("incarnation=x\nmember=-\ngeneration=1\n", 3, "the file ends without key 'epoch'"),
        ("incarnation=x\nmember=-\ngeneration=1\nepoch=1", 4, "the line is not finished"),
        ("incarnation=x\nmember\n", 2, "not of the form key=value"),
        ("incarnation=x\n\nmember=-\ngeneration=1\nepoch=1\n", 2, "not of the form key=value"),
        ("incarnation=x\nmembers=-\n", 2, "unknown key 'members'"),
        ("incarnation=x\nmember=-\nmember=-\n", 3, "key 'member' is there twice"),
        ("incarnation=\nmember=-\ngeneration=1\nepoch=1\n", 1, "bad value of 'incarnation': it is empty"),
        ("incarnation=x y\nmember=-\ngeneration=1\nepoch=1\n", 1, "bad value of 'incarnation': it holds a space"),
        ("incarnation=x\nmember=8e9e\ngeneration=1\nepoch=1\n", 2, "bad value of 'member': it is not 16 lower-case"),
        ("incarnation=x\nmember=-\ngeneration=-1\nepoch=1\n", 3, "bad value of 'generation': it is not a plain"),
        ("incarnation=x\nmember=-\ngeneration=1\nepoch=01\n", 4, "bad value of 'epoch': it is not a plain"),
        ("incarnation=x\nmember=-\ngeneration=1\nepoch=18446744073709551616\n", 4, "bad value of 'epoch'"),
    ];
    for (text, line, problem) in table {
        let error = Marker::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text:?}");
        assert!(error.to_string().starts_with(&format!("line {line}: {problem}")), "{text:?}: {error}");
    }
}

#[test]
fn a_permit_that_etcd_would_read_differently_is_an_error() {
    let table = [
        ("initial-cluster-state=existing", "initial-cluster-state=exist", "it is neither 'new' nor 'existing'"),
        ("a=http://10.0.0.1:2380", "", "it is not a list name=url,name=url"),
        ("a=http://10.0.0.1:2380", "a", "it is not a list name=url,name=url"),
        ("a=http://10.0.0.1:2380", "=http://10.0.0.1:2380", "a name is empty or holds"),
        ("a=http://10.0.0.1:2380", "a&b=http://10.0.0.1:2380", "a name is empty or holds"),
        ("http://10.0.0.1:2380", "ftp://10.0.0.1:2380", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://10.0.0.1", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://10.0.0.1:2380/path", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://10.0.0.1:99999", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://10.0.0.1:+80", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://10.0.0.1:0", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://user@host:1", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://[10.0.0.1]:1", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://::1:2380", "a URL is not of the form"),
        ("http://10.0.0.1:2380", "http://:2380", "a URL is not of the form"),
    ];
    for (good, bad, problem) in table {
        let error = Permit::parse(&PERMIT.replacen(good, bad, 1)).unwrap_err();
        assert!(matches!(error.problem, Problem::BadValue { .. }), "{bad:?}: {error}");
        assert!(error.to_string().contains(problem), "{bad:?}: {error}");
    }
}

#[test]
fn a_permit_becomes_the_flags_of_a_first_start() {
    let flags = Permit::parse(PERMIT).unwrap().first_start_flags();
    let list = "--initial-cluster=a=http://10.0.0.1:2380,b=https://b.example:2380,c=http://[::1]:2380";
    assert_eq!(flags, ["--initial-cluster-token=9f1c-1", list, "--initial-cluster-state=existing"]);
}

#[test]
fn a_status_is_one_line_even_when_a_path_is_not() {
    let refusal = Refusal::EtcdNotRunnable { program: "/opt/a\nb".into(), why: "no such\nfile".into() };
    let status = Status { instance: "me".parse().unwrap(), progress: Progress::from(&refusal) };
    let line = status.render();
    assert!(line.starts_with("me refused etcd-not-runnable /opt/a b cannot be executed"), "{line}");
    assert_eq!(line.lines().count(), 1);
    assert_eq!(Status::parse(&line), Ok(status));
}

#[test]
fn waiting_and_started_are_read_back() {
    let instance: InstanceId = "proc:boot:1:2".parse().unwrap();
    let waiting = Status { instance: instance.clone(), progress: Progress::from(&WaitReason::NoPermit) };
    assert!(waiting.render().starts_with("proc:boot:1:2 waiting no-permit the disk is empty"));
    assert_eq!(Status::parse(&waiting.render()), Ok(waiting));
    let started = Status { instance, progress: Progress::Started { epoch: Epoch(4) } };
    assert_eq!(started.render(), "proc:boot:1:2 started epoch=4\n");
    assert_eq!(Status::parse(&started.render()), Ok(started));
}

#[test]
fn a_line_that_no_guard_writes_is_no_status() {
    for line in [
        "",
        "\n",
        "me",
        "me started",
        "me started epoch=x",
        "me started epoch=1 more",
        "me waiting no-permit",
        "me waiting permit-used used before",
        "me refused no-permit none",
        "me sleeping no-permit none",
        "me started epoch=1\nme started epoch=2\n",
    ] {
        assert!(Status::parse(line).is_err(), "{line:?}");
    }
}

fn put(path: impl AsRef<Path>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

#[test]
fn a_data_directory_is_empty_only_without_anything_of_etcd() {
    let table: [(&[&str], DataState); 8] = [
        (&[], DataState::Empty),
        (&["lost+found/x"], DataState::Empty),
        (&["marker", "marker.tmp"], DataState::Empty),
        (&["marker", "other"], DataState::Remnants),
        (&["member/snap/db"], DataState::Remnants),
        (&["member/wal.tmp/0.wal"], DataState::Remnants),
        (&["member/wal/0.tmp"], DataState::Remnants),
        (&["marker", "member/snap/db", "member/wal/0000000000000000-0000000000000000.wal"], DataState::HasWal),
    ];
    for (files, expected) in table {
        let directory = TempDir::new().unwrap();
        for file in files {
            put(directory.path().join(file));
        }
        let found = examine_data(directory.path(), &directory.path().join("marker")).unwrap();
        assert_eq!(found, expected, "{files:?}");
    }
}

#[test]
fn a_marker_outside_lends_its_name_to_no_file_inside() {
    let directory = TempDir::new().unwrap();
    put(directory.path().join("data/marker"));
    let found = examine_data(&directory.path().join("data"), &directory.path().join("marker")).unwrap();
    assert_eq!(found, DataState::Remnants);
}

#[test]
fn a_missing_data_directory_is_empty_and_a_file_in_its_place_an_error() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let marker = directory.path().join("marker");
    assert_eq!(examine_data(&data, &marker).unwrap(), DataState::Empty);
    put(&data);
    assert!(examine_data(&data, &marker).is_err());
}

#[test]
fn a_member_that_is_a_file_is_remnants() {
    let directory = TempDir::new().unwrap();
    put(directory.path().join("member"));
    let found = examine_data(directory.path(), &directory.path().join("marker")).unwrap();
    assert_eq!(found, DataState::Remnants);
}

#[test]
fn a_marker_is_absent_present_or_unreadable() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("marker");
    assert_eq!(examine_marker(&path), MarkerState::Absent);
    for torn in [&b""[..], b"incarnation=x\n", b"\xff\xfe"] {
        fs::write(&path, torn).unwrap();
        assert!(matches!(examine_marker(&path), MarkerState::Unreadable(_)), "{torn:?}");
    }
    write_durably(&path, MARKER).unwrap();
    assert_eq!(examine_marker(&path), MarkerState::Present(Marker::parse(MARKER).unwrap()));
}

#[test]
fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    assert_eq!(read_text(&path).unwrap(), None);
    // What a crash in the middle of an earlier write left.
    fs::write(directory.path().join("file.tmp"), "a longer, unfinished content").unwrap();
    write_durably(&path, "one").unwrap();
    assert_eq!(read_text(&path).unwrap().as_deref(), Some("one"));
    replace(&path, "two").unwrap();
    assert_eq!(read_text(&path).unwrap().as_deref(), Some("two"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_write_that_fails_leaves_the_old_content() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    write_durably(&path, "one").unwrap();
    // Nobody, root included, writes to a directory as if it were a file.
    fs::create_dir(directory.path().join("file.tmp")).unwrap();
    assert!(write_durably(&path, "two").is_err());
    assert!(replace(&path, "two").is_err());
    assert_eq!(read_text(&path).unwrap().as_deref(), Some("one"));
}

fn any_marker() -> impl Strategy<Value = Marker> {
    let limit = any::<Option<u8>>();
    ("[!-~]{1,40}", any::<Option<u64>>(), any::<u64>(), limit, any::<u64>()).prop_map(
        |(life, member, generation, limit, epoch)| Marker {
            incarnation: life.parse().unwrap(),
            member: member.map(MemberId),
            generation: Generation(generation),
            max_learners: limit.map(LearnerLimit),
            epoch: Epoch(epoch),
        },
    )
}

fn any_peer() -> impl Strategy<Value = (PeerName, PeerUrl)> {
    ("[A-Za-z0-9._-]{1,20}", "https?://([a-z0-9.-]{1,30}|\\[::[0-9a-f]{1,4}\\]):[1-9][0-9]{0,3}")
        .prop_map(|(name, url)| (name.parse().unwrap(), url.parse().unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn markers_and_seats_are_read_back(marker in any_marker()) {
        let Marker { incarnation, member, generation, max_learners, epoch } = marker.clone();
        let seat = Seat { incarnation, member, generation, max_learners, epoch };
        prop_assert_eq!(Seat::parse(&seat.render()), Ok(seat));
        prop_assert_eq!(Marker::parse(&marker.render()), Ok(marker));
    }

    #[test]
    fn permits_are_read_back(holder in "[!-~]{1,40}", of in any_marker(), peers in prop::collection::vec(any_peer(), 1..9)) {
        let permit = Permit {
            instance: holder.parse().unwrap(),
            incarnation: of.incarnation,
            generation: of.generation,
            member: of.member,
            initial_cluster: peers,
            state: ClusterState::New,
        };
        prop_assert_eq!(Permit::parse(&permit.render()), Ok(permit));
    }

    #[test]
    fn a_marker_cut_short_is_never_another_marker(marker in any_marker(), at in any::<prop::sample::Index>()) {
        let whole = marker.render();
        let cut = &whole[..at.index(whole.len())];
        prop_assert!(Marker::parse(cut).is_err(), "{cut:?}");
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        let _ = (Marker::parse(&text), Permit::parse(&text), LedgerEntry::parse(&text), Status::parse(&text));
    }
}
