//! Our .proto files are held against etcd's own of every supported minor version, as its Go modules carry them: what we call
//! must have the same names, numbers and types there. A version that lacks something must be one that we know to lack it.
//!
//! Needs Go, for its module cache. Without Go the test says so and checks nothing; with `CI=true` it fails instead.
#![allow(clippy::panic, reason = "all of this is test code, also what stands outside of test functions")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use etcdop_etcd::Error;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet, field_descriptor_proto::Label};
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};

/// What came with 3.6: fields that 3.5 leaves empty and skips when it reads them.
const NOT_IN_3_5: [&str; 7] = [
    "etcdserverpb.DowngradeInfo enabled",
    "etcdserverpb.DowngradeInfo targetVersion",
    "etcdserverpb.HashKVResponse hash_revision",
    "etcdserverpb.SnapshotResponse version",
    "etcdserverpb.StatusResponse dbSizeQuota",
    "etcdserverpb.StatusResponse downgradeInfo",
    "etcdserverpb.StatusResponse storageVersion",
];

#[test]
fn the_words_that_errors_are_told_apart_by_are_etcds() {
    let Some(go) = go() else { return };
    for version in &versions() {
        let source =
            fs::read_to_string(module(&go, version).join("v3rpc/rpctypes/error.go")).expect("the module is whole");
        for error in Error::named().filter(|error| **error != Error::Unimplemented) {
            assert!(source.contains(&format!("\"etcdserver: {error}\"")), "{error:?} in {version}");
        }
    }
}

#[test]
fn what_we_call_is_what_etcd_serves() {
    let Some(go) = go() else { return };
    let ours = facts(&compile_ours());
    for version in &versions() {
        let theirs = facts(&compile_theirs(&module(&go, version)));
        let mut lacking = BTreeSet::new();
        for (name, fact) in &ours {
            match theirs.get(name) {
                Some(other) => assert_eq!(fact, other, "{name} in {version}"),
                None => _ = lacking.insert(name.as_str()),
            }
        }
        let known: BTreeSet<_> = if version.starts_with("v3.5.") { NOT_IN_3_5.into() } else { BTreeSet::new() };
        assert_eq!(lacking, known, "{version}");
    }
}

/// The releases that this repository is tested with, one of each minor, from where `make etcd` reads them: `v3.6.16`.
fn versions() -> Vec<String> {
    let pins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/etcd");
    let minors = fs::read_dir(&pins).expect("hack/etcd is there").map(|entry| entry.expect("it can be listed").path());
    let mut versions: Vec<String> = minors
        .filter_map(|minor| fs::read_to_string(minor.join("go.mod")).ok())
        .map(|text| {
            let pin = text.lines().find_map(|line| line.trim().strip_prefix("go.etcd.io/etcd/server/v3 "));
            let version = pin.and_then(|pin| pin.split_whitespace().next());
            version.unwrap_or_else(|| panic!("no etcd is pinned in {text}")).to_owned()
        })
        .collect();
    versions.sort_unstable();
    let minors: Vec<&str> = versions.iter().filter_map(|version| version.get(..5)).collect();
    assert_eq!(minors, ["v3.5.", "v3.6.", "v3.7."], "each supported minor has its pin");
    versions
}

fn go() -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()) {
        return Some(PathBuf::from("go"));
    }
    let missing = "there is no Go here: what goes over the wire was not held against etcd's own modules";
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    // Past the test harness, which would keep it to itself.
    writeln!(io::stderr(), "{missing}").expect("stderr");
    None
}

/// The folder of etcd's API module, downloaded if it is not in the module cache.
fn module(go: &Path, version: &str) -> PathBuf {
    let name = format!("go.etcd.io/etcd/api/v3@{version}");
    // Outside of any module, so that nobody's go.mod has a say.
    let output = Command::new(go)
        .args(["mod", "download", "-json", &name])
        .env("GOFLAGS", "-mod=mod")
        .current_dir(env::temp_dir())
        .output()
        .expect("go runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: serde_json::Value = serde_json::from_str(&text).expect("go answers in JSON");
    let dir = answer["Dir"].as_str();
    PathBuf::from(dir.unwrap_or_else(|| panic!("{name}: {text} {}", String::from_utf8_lossy(&output.stderr))))
}

fn compile_ours() -> FileDescriptorSet {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    protox::compile([protos.join("etcdserverpb.proto")], [protos]).expect("our .proto files compile")
}

fn compile_theirs(module: &Path) -> FileDescriptorSet {
    let mut resolver = ChainFileResolver::new();
    resolver.add(EtcdFiles { module: module.to_owned() });
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(module.to_owned()));
    Compiler::with_file_resolver(resolver)
        .include_imports(true)
        .open_file("etcd/api/etcdserverpb/rpc.proto")
        .expect("etcd's .proto files compile")
        .file_descriptor_set()
}

/// etcd's files, without the options of other projects that they carry for their Go code, gateway and documentation: those live
/// in modules of their own and say nothing about what goes over the wire.
struct EtcdFiles {
    module: PathBuf,
}

impl FileResolver for EtcdFiles {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let path = name.strip_prefix("etcd/api/").ok_or_else(|| protox::Error::file_not_found(name))?;
        let source = fs::read_to_string(self.module.join(path)).map_err(|_| protox::Error::file_not_found(name))?;
        File::from_source(name, &without_foreign_options(&source))
    }
}

/// Leaves out imports of other projects and every option in parentheses, at files, messages, fields and calls.
fn without_foreign_options(source: &str) -> String {
    let mut text: String = source
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .filter(|line| {
            let import = line.trim_start().strip_prefix("import ");
            import.is_none_or(|file| file.contains("\"etcd/api/") || file.contains("\"google/protobuf/"))
        })
        .collect::<Vec<_>>()
        .join("\n");
    while let Some(start) = text.find("option (") {
        let end = end_of_statement(&text[start..]);
        text.replace_range(start..start + end, "");
    }
    while let Some(start) = text.find("[(") {
        let end = text[start..].find(']').expect("a field's options end");
        text.replace_range(start..=start + end, "");
    }
    text
}

/// How long the statement is that `text` begins with: to the semicolon outside of braces, or to the brace that ends the
/// block around it.
fn end_of_statement(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => {
                // The semicolon behind a block is optional.
                let rest = &text[at + 1..];
                return at + 1 + usize::from(rest.starts_with(';'));
            }
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    panic!("a statement does not end: {}", &text[..text.len().min(80)])
}

/// Everything that travels, by name: fields with number, type and repetition; values of enumerations; calls.
fn facts(files: &FileDescriptorSet) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for file in &files.file {
        let package = file.package();
        for message in &file.message_type {
            message_facts(package, message, &mut facts);
        }
        for enumeration in &file.enum_type {
            enum_facts(package, enumeration, &mut facts);
        }
        for service in &file.service {
            for call in &service.method {
                let name = format!("{package}.{} {}", service.name(), call.name());
                let stream = |streams: bool| if streams { "stream of " } else { "" };
                let question = format!("{}{}", stream(call.client_streaming()), call.input_type());
                let answer = format!("{}{}", stream(call.server_streaming()), call.output_type());
                facts.insert(name, format!("{question} -> {answer}"));
            }
        }
    }
    facts
}

fn message_facts(scope: &str, message: &DescriptorProto, facts: &mut BTreeMap<String, String>) {
    let scope = format!("{scope}.{}", message.name());
    for field in &message.field {
        let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
        let choice = field.oneof_index.map_or_else(String::new, |at| {
            let index = usize::try_from(at).expect("an index");
            format!(" of {}", message.oneof_decl[index].name())
        });
        let kind = format!("{:?} {}", field.r#type(), field.type_name());
        let fact = format!("{} {repeated}{}{choice}", field.number(), kind.trim_end());
        facts.insert(format!("{scope} {}", field.name()), fact);
    }
    for inner in &message.nested_type {
        message_facts(&scope, inner, facts);
    }
    for enumeration in &message.enum_type {
        enum_facts(&scope, enumeration, facts);
    }
}

fn enum_facts(scope: &str, enumeration: &EnumDescriptorProto, facts: &mut BTreeMap<String, String>) {
    for value in &enumeration.value {
        let name = format!("{scope}.{} {}", enumeration.name(), value.name());
        facts.insert(name, value.number().to_string());
    }
}
