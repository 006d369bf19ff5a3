//! The API reference for people, from the schema: one table per object, every field with its type and description.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::crd;

/// The reference of `EtcdCluster` as Markdown.
pub fn reference() -> String {
    let crd = crd();
    let mut page = vec![
        "# API reference\n".to_owned(),
        "<!-- Made from the types by `make manifests`; edit the doc comments in crates/api/src instead. -->\n"
            .to_owned(),
    ];
    let names = &crd.spec.names;
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    for version in &crd.spec.versions {
        page.push(format!("## {} `{}/{}`\n", names.kind, crd.spec.group, version.name));
        page.push(format!(
            "Namespaced; `kubectl get {}`, short names {short}; `kubectl scale etcd/NAME --replicas=5`.\n",
            names.plural
        ));
        let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
            continue;
        };
        for part in ["spec", "status"] {
            if let Some(object) = schema.properties.as_ref().and_then(|properties| properties.get(part)) {
                table(&mut page, part, object);
            }
        }
        page.push(
            "## What is refused\n\nThe API server refuses these when they are written, with these words.\n".to_owned(),
        );
        page.push("| where | what it says |\n|---|---|".to_owned());
        refusals(&mut page, "", schema);
    }
    page.push(String::new());
    page.join("\n")
}

/// The table of one object, then those of the objects in it.
fn table(page: &mut Vec<String>, path: &str, object: &JSONSchemaProps) {
    let Some(properties) = &object.properties else { return };
    page.push(format!("### `{path}`\n"));
    if let Some(description) = &object.description {
        page.push(format!("{description}\n"));
    }
    page.push("| field | type | meaning |\n|---|---|---|".to_owned());
    let required = object.required.clone().unwrap_or_default();
    for (name, field) in properties {
        let must = if required.contains(name) { " **Required.**" } else { "" };
        let meaning = field.description.as_deref().unwrap_or_default().replace('|', "\\|");
        page.push(format!("| `{name}` | {} | {meaning}{must} |", kind(field)));
    }
    page.push(String::new());
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
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(schema) => Some(schema),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn kind(field: &JSONSchemaProps) -> String {
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

fn refusals(page: &mut Vec<String>, path: &str, schema: &JSONSchemaProps) {
    let place = if path.is_empty() { "metadata.name" } else { path };
    for message in schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.as_ref()) {
        page.push(format!("| `{place}` | {} |", message.replace('|', "\\|")));
    }
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        refusals(page, &path, field);
    }
}
