//! What is around the members: the Services, the disruption budget, the network policy. Applied when it differs from what is there, so
//! that at rest nothing is written; somebody else's fields are left alone, somebody else's objects are not touched.

use etcdop_api::{Cluster, EtcdCluster};
use etcdop_core::quorum::quorum;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt, api::Patch};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    platform::{Surroundings, call, objects::is_wished, owner, words},
    resource::{disruption_budget, names, network_policy, service},
};

/// Holds everything that is around the members.
pub(super) async fn hold(around: &Surroundings, cluster: &Cluster, voters: usize, formed: bool) -> Result<(), String> {
    let resources: Api<EtcdCluster> = call::api(&around.client, &cluster.namespace);
    let wish = call::change(resources.get_metadata_opt(&cluster.name)).await.map_err(|error| words(&error))?;
    if wish.is_none_or(|wish| !is_wished(&wish.metadata, cluster)) {
        // What the garbage collector takes along must not be made again.
        return Ok(());
    }
    let keeper = Upkeep { around, cluster };
    keeper.keep(&service::peer(cluster)).await?;
    // No client is sent to a cluster that is not one yet (rule 2).
    if !formed {
        return Ok(());
    }
    // One that cannot be had (a node port that is taken, say) keeps none of the others away.
    let mut failures: Vec<String> = Vec::new();
    failures.extend(keeper.keep(&service::client(cluster)).await.err());
    let nodeport = names::nodeport_service(&cluster.name);
    failures.extend(keeper.keep_or_drop(service::nodeport(cluster), &nodeport).await.err());
    let most = voters.max(cluster.desired.size.get().into());
    let needed = i32::try_from(quorum(most)).unwrap_or(i32::MAX);
    failures.extend(keeper.keep(&disruption_budget::build(cluster, needed)).await.err());
    let policy = network_policy::build(cluster, &around.site);
    failures.extend(keeper.keep_or_drop(policy, &names::network_policy(&cluster.name)).await.err());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

struct Upkeep<'a> {
    around: &'a Surroundings,
    cluster: &'a Cluster,
}

impl Upkeep<'_> {
    async fn keep<K>(&self, wanted: &K) -> Result<(), String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let api: Api<K> = call::api(&self.around.client, &self.cluster.namespace);
        let name = wanted.name_any();
        let found = call::change(api.get_opt(&name)).await.map_err(|error| words(&error))?;
        if let Some(found) = &found {
            let kind = K::kind(&());
            if let Some(why) = owner::refusal(&kind, found.meta(), self.cluster, owner::Kept::No) {
                return Err(why);
            }
            if is_covered(&value(wanted)?, &value(found)?) {
                return Ok(());
            }
        }
        call::change(api.patch(&name, &call::apply(), &Patch::Apply(wanted)))
            .await
            .map(drop)
            .map_err(|error| words(&error))
    }

    async fn keep_or_drop<K>(&self, wanted: Option<K>, name: &str) -> Result<(), String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        if let Some(wanted) = wanted {
            return self.keep(&wanted).await;
        }
        let api: Api<K> = call::api(&self.around.client, &self.cluster.namespace);
        let found = call::change(api.get_opt(name)).await.map_err(|error| words(&error))?;
        let ours = found.filter(|found| owner::owner(found.meta(), self.cluster, owner::Kept::No) == owner::Owner::Us);
        let Some(uid) = ours.and_then(|found| found.uid()) else { return Ok(()) };
        call::change(api.delete(name, &call::delete(&uid))).await.map(drop).map_err(|error| words(&error))
    }
}

fn value(object: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(object).map_err(|error| error.to_string())
}

/// What selects is one value to the API server: one more label in it, and it selects something else.
const WHOLE: [&str; 2] = ["selector", "matchLabels"];

/// Whether everything that is wanted is there; what else is there was filled in by the server, or belongs to somebody else.
fn is_covered(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().all(|(key, wanted)| {
            let empty = wanted.is_null() || wanted.as_object().is_some_and(serde_json::Map::is_empty);
            let covers =
                |found| if WHOLE.contains(&key.as_str()) { wanted == found } else { is_covered(wanted, found) };
            found.get(key).map_or(empty, covers)
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| is_covered(wanted, found))
        }
        (wanted, found) => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::filled_in_by_the_server(json!({"spec": {"a": 1}}), json!({"spec": {"a": 1, "b": 2}, "status": {}}), true)]
    #[case::changed_by_somebody(json!({"spec": {"a": 1}}), json!({"spec": {"a": 2}}), false)]
    #[case::taken_away(json!({"spec": {"a": 1}}), json!({"spec": {}}), false)]
    #[case::one_more_port(json!({"ports": [{"port": 1}]}), json!({"ports": [{"port": 1}, {"port": 2}]}), false)]
    #[case::defaults_inside_a_list(json!({"ports": [{"port": 1}]}), json!({"ports": [{"port": 1, "protocol": "TCP"}]}), true)]
    #[case::one_more_label(json!({"metadata": {"labels": {"a": "1"}}}), json!({"metadata": {"labels": {"a": "1", "b": "2"}}}), true)]
    #[case::selects_less(json!({"selector": {"a": "1"}}), json!({"selector": {"a": "1", "b": "2"}}), false)]
    #[case::selects_the_same(
        json!({"selector": {"matchLabels": {"a": "1"}}}), json!({"selector": {"matchLabels": {"a": "1"}}}), true
    )]
    #[case::nothing_asked_for(json!({"metadata": {"annotations": {}}}), json!({"metadata": {}}), true)]
    fn an_object_is_as_it_should_be(#[case] wanted: Value, #[case] found: Value, #[case] covered: bool) {
        assert_eq!(is_covered(&wanted, &found), covered);
    }
}
