//! What is checked in is what the types say; `make manifests` writes it.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use std::{fs, path::PathBuf};

/// The path of a file, from the repository's root.
fn checked_in(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn compare_or_write(path: &str, generated: &str) {
    let file = checked_in(path);
    if std::env::var_os("REGENERATE").is_some() {
        fs::write(&file, generated).unwrap();
        return;
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == generated, "{path} is not what the types say: run `make manifests` and commit the difference");
}

#[test]
fn the_definition_that_is_installed_is_up_to_date() {
    let yaml = serde_saphyr::to_string(&etcdop_api::crd()).unwrap();
    compare_or_write("config/crd/etcd.etcd.io_etcdclusters.yaml", &yaml);
}

#[test]
fn the_api_reference_is_up_to_date() {
    compare_or_write("docs/api.md", &etcdop_api::reference());
}
