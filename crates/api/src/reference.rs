//! The API reference for people, from the schema: one table per object, every field with its type and description.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::CustomResourceExt;

use crate::{EtcdCluster, crd};

/// The reference of `EtcdCluster` as Markdown.
pub fn reference() -> String {
    let crd = crd();
    let mut page = String::from(
        "# API reference\n\n\
         <!-- Made from the types by `make manifests`; edit the doc comments in crates/api/src instead. -->\n\n",
    );
    let names = &crd.spec.names;
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    for version in &crd.spec.versions {
        page += &format!("## {} `{}/{}`\n\n", names.kind, crd.spec.group, version.name);
        page += &format!(
            "Namespaced; `kubectl get {}`, short names {short}; `kubectl scale etcd/NAME --replicas=5`.\n\n",
            EtcdCluster::crd_name().split('.').next().unwrap_or_default()
        );
        let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
            continue;
        };
        for part in ["spec", "status"] {
            if let Some(object) = schema.properties.as_ref().and_then(|properties| properties.get(part)) {
                table(&mut page, part, object);
            }
        }
        page += "## What is refused\n\nThe API server refuses these when they are written, with these words.\n\n";
        page += "| where | what it says |\n|---|---|\n";
        refusals(&mut page, "", schema);
    }
    page
}

/// The table of one object, then those of the objects in it.
fn table(page: &mut String, path: &str, object: &JSONSchemaProps) {
    let Some(properties) = &object.properties else { return };
    *page += &format!("### `{path}`\n\n");
    if let Some(description) = &object.description {
        *page += &format!("{description}\n\n");
    }
    *page += "| field | type | meaning |\n|---|---|---|\n";
    let required = object.required.clone().unwrap_or_default();
    for (name, field) in properties {
        let must = if required.contains(name) { " **Required.**" } else { "" };
        let meaning = field.description.as_deref().unwrap_or_default().replace('|', "\\|");
        *page += &format!("| `{name}` | {} | {meaning}{must} |\n", kind(field));
    }
    *page += "\n";
    for (name, field) in properties {
        let (path, field) = match element(field) {
            Some(element) => (format!("{path}.{name}[]"), element),
            None => (format!("{path}.{name}"), field),
        };
        table(page, &path, field);
    }
}

/// The schema of a list's elements.
fn element(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrArray;
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(schema) => Some(schema),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn kind(field: &JSONSchemaProps) -> String {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrBool;
    if field.x_kubernetes_int_or_string == Some(true) {
        return "quantity".to_owned();
    }
    if let Some(values) = &field.enum_ {
        let words: Vec<String> =
            values.iter().map(|value| format!("`{}`", value.0.as_str().unwrap_or_default())).collect();
        return words.join(", ");
    }
    if let Some(element) = element(field) {
        return format!("list of {}", kind(element));
    }
    match &field.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(value)) => format!("map to {}", kind(value)),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => field.type_.clone().unwrap_or_else(|| "any".to_owned()),
    }
}

fn refusals(page: &mut String, path: &str, schema: &JSONSchemaProps) {
    let place = if path.is_empty() { "metadata.name" } else { path };
    for message in schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.as_ref()) {
        *page += &format!("| `{place}` | {} |\n", message.replace('|', "\\|"));
    }
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        refusals(page, &path, field);
    }
}
