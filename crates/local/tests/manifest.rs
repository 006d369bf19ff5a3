//! What people write into `cluster.yaml`, and what they hear when it is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use etcdop_core::{desired::CompactOnNoSpace, launch::CompactionMode, size::Size};
use etcdop_local::{
    binaries::VersionWish,
    manifest::{Manifest, ManifestError},
};
use rstest::rstest;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(Path::new("cluster.yaml"), text)
}

#[test]
fn the_template_is_a_manifest_and_explains_every_field() {
    let wish: VersionWish = "3.6".parse().unwrap();
    let text = Manifest::template("demo", Size::try_from(3).unwrap(), &wish);
    let manifest = parse(&text).unwrap();
    assert_eq!((manifest.size.get(), manifest.version), (3, wish));
    assert_eq!(manifest.recovery.replace_after, Duration::from_mins(5));
    // What it explains in comments is what there is.
    let uncommented = text.replace("etcd: {}", "etcd:").replace("\n#  ", "\n  ").replace("\n  # defrag", "\n  defrag");
    let manifest = parse(&uncommented).unwrap();
    assert_eq!(manifest.options.quota_backend_bytes, Some(2_147_483_648));
    assert_eq!(manifest.options.auto_compaction_mode, Some(CompactionMode::Periodic));
    assert_eq!(manifest.options.auto_compaction_retention.as_deref(), Some("1h"));
    assert_eq!(manifest.options.snapshot_count, Some(10_000));
    assert_eq!(manifest.options.heartbeat_interval, Some(100));
    assert_eq!(manifest.options.election_timeout, Some(1000));
    assert_eq!(manifest.options.extra_args["log-level"], "warn");
    assert_eq!(manifest.maintenance.defragment_above, Some(100 << 20));
}

#[rstest]
#[case::nothing_else("size: 1\nversion: \"3.6\"\n")]
#[case::empty_sections("size: 1\nversion: \"3.6\"\netcd:\nrecovery:\nmaintenance:\n")]
#[case::unquoted_minor("size: 1\nversion: 3.6\n")]
#[case::leading_v("size: 1\nversion: v3.6\n")]
#[case::one_line("{size: 1, version: '3.6'}")]
fn small_manifests_have_the_usual_defaults(#[case] text: &str) {
    let manifest = parse(text).unwrap();
    assert_eq!(manifest.version, "3.6".parse().unwrap());
    assert_eq!(manifest.size.get(), 1);
    assert_eq!(manifest.maintenance.compact_on_no_space, CompactOnNoSpace::Never);
    assert_eq!(manifest.maintenance.defragment_above, None);
}

#[rstest]
#[case::even(
    "size: 4\nversion: '3.6'",
    "cluster.yaml:1:7: size 4 is even: it tolerates no more failures than 3, use 3 or 5"
)]
#[case::two("size: 2\nversion: '3.6'", "cluster.yaml:1:7: size 2 is even")]
#[case::eleven("version: '3.6'\nsize: 11", "cluster.yaml:2:7: size 11 is too large")]
#[case::negative("size: -1\nversion: '3.6'", "cluster.yaml:1:7: size `-1` is not a number: use one of")]
#[case::word("size: three\nversion: '3.6'", "cluster.yaml:1:7: size `three` is not a number")]
#[case::unknown_version("size: 1\nversion: '3.9'", "cluster.yaml:2:10: etcd 3.9 is not supported: use 3.5, 3.6 or 3.7")]
#[case::old_patch(
    "size: 1\nversion: 3.5.15",
    "cluster.yaml:2:10: etcd 3.5.15 is not supported: use 3.5 (3.5.16 or later)"
)]
#[case::no_version("size: 1\nversion: latest", "cluster.yaml:2:10: `latest` is not an etcd version")]
#[case::unknown_field("sise: 1\nversion: '3.6'", "cluster.yaml:1:1: unknown field `sise`, did you mean `size`?")]
#[case::unknown_section_field(
    "size: 1\nversion: '3.6'\nrecovery:\n  replaceafter: 5m",
    "cluster.yaml:4:3: unknown field `replaceafter`, did you mean `replaceAfter`?"
)]
#[case::unknown_option(
    "size: 1\nversion: '3.6'\netcd:\n  quotaBytes: 5",
    "cluster.yaml:4:3: unknown field `quotaBytes`, did you mean `quotaBackendBytes`?"
)]
#[case::nothing_like_it(
    "size: 1\nversion: '3.6'\npodTemplate: {}",
    "expected one of size, version, etcd, recovery, maintenance"
)]
#[case::unknown_value(
    "size: 1\nversion: '3.6'\nmaintenance:\n  compactOnNoSpace: nevr",
    "cluster.yaml:4:21: unknown value `nevr`, did you mean `never`?"
)]
#[case::wrong_type(
    "size: 1\nversion: '3.6'\netcd:\n  snapshotCount: many",
    "cluster.yaml:4:18: expected a whole number"
)]
#[case::list("size: [1]\nversion: '3.6'", "cluster.yaml:1:7: ")]
#[case::duration(
    "size: 1\nversion: '3.6'\nrecovery:\n  replaceAfter: 5 days",
    "cluster.yaml:4:17: `5 days` is not a duration"
)]
#[case::bytes(
    "size: 1\nversion: '3.6'\nmaintenance:\n  defragmentAbove: 5GB",
    "cluster.yaml:4:20: `5GB` is not a size"
)]
#[case::missing("version: '3.6'", "`size` is missing")]
#[case::twice("size: 1\nsize: 3\nversion: '3.6'", "cluster.yaml:2:1: `size` is there twice")]
#[case::broken_yaml("size: 1\nversion: '3.6", "cluster.yaml:")]
#[case::tab("size: 1\nversion: '3.6'\netcd:\n\tsnapshotCount: 1", "cluster.yaml:4:")]
#[case::two_documents("size: 1\nversion: '3.6'\n---\nsize: 3\n", "cluster.yaml:4:1: more than one document")]
#[case::empty("", "cluster.yaml:1:1: the file is empty")]
fn a_mistake_is_named_with_its_place(#[case] text: &str, #[case] words: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn commands_change_one_value_and_keep_all_other_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster.yaml");
    let text = "# mine\nversion:   '3.5'   # old\n\nsize: 1 # one\n# end";
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    Manifest::set_size(&path, Size::try_from(5).unwrap()).unwrap();
    Manifest::set_version(&path, &"3.6.16".parse().unwrap()).unwrap();
    let changed = fs::read_to_string(&path).unwrap();
    assert_eq!(changed, "# mine\nversion:   \"3.6.16\"   # old\n\nsize: 5 # one\n# end");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[rstest]
#[case::broken("size: 1\nversion: '3.6'\nsnapshots: 5\n", "cluster.yaml:3:1: unknown field")]
#[case::one_line("{size: 1, version: '3.6'}\n", "does not stand on one line of its own")]
#[case::anchored("size: &n 1\nversion: '3.6'\n", "does not stand on one line of its own")]
fn a_file_that_cannot_be_changed_safely_stays_as_it_is(#[case] text: &str, #[case] words: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster.yaml");
    fs::write(&path, text).unwrap();
    let error = Manifest::set_size(&path, Size::try_from(3).unwrap()).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_manifest_behind_a_symbolic_link_is_changed_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("real.yaml"), directory.path().join("cluster.yaml"));
    fs::write(&real, "size: 1\nversion: '3.6'\n").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    Manifest::set_size(&link, Size::try_from(3).unwrap()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Manifest::read(&real).unwrap().size.get(), 3);
}
