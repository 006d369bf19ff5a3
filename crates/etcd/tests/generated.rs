//! The checked-in client is what the .proto files of this crate generate: nobody edits it by hand, and nobody who builds
//! the crate needs a generator.

use std::{fs, path::Path};

const PACKAGES: [&str; 3] = ["authpb", "etcdserverpb", "mvccpb"];

#[test]
fn the_checked_in_client_is_what_the_protos_generate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let protos = root.join("proto");
    let files = protox::compile(PACKAGES.map(|package| protos.join(format!("{package}.proto"))), [&protos])
        .expect("the .proto files compile");
    let out = tempfile::tempdir().expect("a temporary directory");
    let mut config = tonic_prost_build::Config::new();
    config.bytes(["."]);
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .out_dir(out.path())
        .compile_fds_with_config(files, config)
        .expect("the client generates");

    let update = std::env::var_os("UPDATE").is_some();
    for package in PACKAGES {
        let generated = fs::read_to_string(out.path().join(format!("{package}.rs"))).expect("a file per package");
        let path = root.join(format!("src/generated/{package}.rs"));
        if update {
            fs::write(&path, &generated).expect("the checked-in file is writable");
        }
        let checked_in = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == generated,
            "{} is not what the .proto files generate; write it anew with `UPDATE=1 cargo test -p etcdop-etcd --test generated`",
            path.display(),
        );
    }
}
