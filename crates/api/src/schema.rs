//! The resource's definition, as it is installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::EtcdCluster;

/// The definition of `EtcdCluster`.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = EtcdCluster::crd();
    for schema in crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()) {
        let Some(generated) = schema.open_api_v3_schema.take() else { continue };
        schema.open_api_v3_schema = Some(tidy(&generated));
    }
    crd
}

fn tidy(schema: &JSONSchemaProps) -> JSONSchemaProps {
    let mut tidy = serde_json::to_value(schema).expect("a schema is JSON");
    tidied(&mut tidy);
    serde_json::from_value(tidy).expect("a tidied schema is a schema")
}

/// `nullable` goes: without it the API server takes null for "not there", which is what people mean, and fills in the default.
/// Descriptions are one line each, whatever the source was wrapped at.
fn tidied(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            fields.values_mut().for_each(tidied);
        }
        Value::Array(items) => items.iter_mut().for_each(tidied),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Kubernetes' own conditions, described in fewer words.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "description": "Which condition." },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds." },
                "observedGeneration": { "type": "integer", "format": "int64", "description": "The generation of the resource that it speaks of." },
                "lastTransitionTime": { "type": "string", "format": "date-time", "description": "When its status changed last." },
                "reason": { "type": "string", "description": "Why, in one word for programs." },
                "message": { "type": "string", "description": "Why, and what to do about it." }
            }
        }
    })
}
