//! Parts of a Pod that users write in Kubernetes' own words. Their schema would be a hundred times as long as ours, so the
//! resource takes them as they are; they are read strictly when the resource is checked.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Invalid;

/// An object whose fields are not described here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fragment(pub Map<String, Value>);

impl Fragment {
    /// The object as its type in Kubernetes' API; `field` is its path for messages.
    ///
    /// # Errors
    /// A value of another type, or a field that the type does not have.
    pub fn read<T: DeserializeOwned + Serialize>(&self, field: &str) -> Result<T, Invalid> {
        let written = Value::Object(self.0.clone());
        let invalid = |why: String| Invalid::new(field, why);
        let typed: T = serde_json::from_value(written.clone())
            .map_err(|error| invalid(format!("{error}: write it as in a Pod's own spec")))?;
        let understood = serde_json::to_value(&typed).map_err(|error| invalid(error.to_string()))?;
        match lost(&written, &understood) {
            None => Ok(typed),
            Some(path) => Err(Invalid::new(format!("{field}{path}"), "a Pod has no such field: correct or remove it")),
        }
    }
}

/// The path of the first thing that was written and not understood.
fn lost(written: &Value, understood: &Value) -> Option<String> {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => written.iter().find_map(|(key, value)| {
            if value.is_null() {
                return None;
            }
            match understood.get(key) {
                None => Some(format!(".{key}")),
                Some(there) => lost(value, there).map(|rest| format!(".{key}{rest}")),
            }
        }),
        (Value::Array(written), Value::Array(understood)) => written
            .iter()
            .zip(understood)
            .enumerate()
            .find_map(|(at, (value, there))| lost(value, there).map(|rest| format!("[{at}]{rest}"))),
        _ => None,
    }
}

impl JsonSchema for Fragment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Fragment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Affinity, Toleration};
    use serde_json::json;

    use super::*;

    fn fragment(value: Value) -> Fragment {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_a_pod_knows_is_understood() {
        let written = json!({ "key": "dedicated", "operator": "Exists", "tolerationSeconds": 5, "effect": null });
        let toleration: Toleration = fragment(written).read("spec.podTemplate.tolerations[0]").unwrap();
        assert_eq!(toleration.toleration_seconds, Some(5));
    }

    #[test]
    fn a_slip_is_named_with_its_path() {
        let written = json!({ "podAntiAffinity": { "requiredDuringScheduling": [] } });
        let error = fragment(written).read::<Affinity>("spec.podTemplate.affinity").unwrap_err();
        assert_eq!(error.field, "spec.podTemplate.affinity.podAntiAffinity.requiredDuringScheduling");
        let in_list = json!({ "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution":
            [{ "weight": 1, "preference": {} }, { "weight": 1, "preference": {}, "colour": 1 }] } });
        let error = fragment(in_list).read::<Affinity>("a").unwrap_err();
        assert!(error.field.ends_with("Execution[1].colour"), "{error}");
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let error = fragment(json!({ "operator": 5 })).read::<Toleration>("spec.x").unwrap_err();
        assert!(error.to_string().starts_with("spec.x: invalid type"), "{error}");
    }
}
