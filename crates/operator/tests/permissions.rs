//! What the operator is granted is what its documentation says, verb by verb.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

/// Resource and verb.
type Grant = (String, String);

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

fn words(list: &Value) -> impl Iterator<Item = String> + '_ {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned())
}

/// What the roles in this file grant.
fn granted(path: &str) -> BTreeSet<Grant> {
    let text = text(path);
    let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    let rules = documents.filter(|document| document["kind"].as_str().unwrap().ends_with("Role"));
    let mut grants = BTreeSet::new();
    for role in rules {
        for rule in role["rules"].as_array().unwrap() {
            assert!(rule.get("resourceNames").is_none(), "the table of the documentation has no names");
            for resource in words(&rule["resources"]) {
                grants.extend(words(&rule["verbs"]).map(|verb| (resource.clone(), verb)));
            }
        }
    }
    grants
}

/// What the table under this heading lists; a row without a resource goes on with that of the row before.
fn documented(heading: &str) -> BTreeSet<Grant> {
    let text = text("docs/rbac.md");
    let (_, section) = text.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut resource = String::new();
    let mut grants = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        if !cells[0].is_empty() {
            // The API group stands behind a resource that two groups have.
            cells[0].split(' ').next().unwrap().clone_into(&mut resource);
        }
        grants.extend(cells[1].split(", ").map(|verb| (resource.clone(), verb.to_owned())));
    }
    grants
}

#[test]
fn in_the_namespaces_of_clusters() {
    assert_eq!(granted("config/rbac/role.yaml"), documented("In the namespaces of clusters"));
}

#[test]
fn in_the_operators_own_namespace() {
    assert_eq!(granted("config/rbac/leader_election.yaml"), documented("In the operator's namespace"));
}
