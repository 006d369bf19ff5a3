//! The cluster of `$KUBECONFIG`, a namespace of our own on it, and the folder that this was built in.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use etcdop_api::EtcdCluster;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Node},
};
use kube::{
    Api, Client, Config, Resource,
    api::{DeleteParams, ListParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The images that are measured.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    pub(crate) operator: String,
    pub(crate) registry: String,
    pub(crate) repository: String,
}

/// A cluster, and what is used on it.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) images: Images,
    pub(crate) target: PathBuf,
}

impl Ground {
    /// Looks whether everything is there, and makes the namespace.
    pub(crate) async fn open(images: Images) -> Result<Self, Failure> {
        if env::var_os("KUBECONFIG").is_none() {
            return Err(missing("KUBECONFIG is not set: run `make testground-up testground-load install` first"));
        }
        let config = Config::infer().await.map_err(Failure::ours("read $KUBECONFIG"))?;
        let client = Client::try_from(config).map_err(Failure::ours("connect to the cluster"))?;
        let nodes: Api<Node> = Api::all(client.clone());
        let nodes = nodes.list(&ListParams::default()).await.map_err(Failure::ours("list the nodes"))?;
        if !nodes.items.iter().any(is_ready) {
            return Err(missing("no node is ready: see `make testground-status`"));
        }
        let resources: Api<EtcdCluster> = Api::all(client.clone());
        if resources.list(&ListParams::default().limit(1)).await.is_err() {
            return Err(missing("the API server knows no EtcdCluster: run `make install` first"));
        }
        let executable = env::current_exe().map_err(Failure::io("find this executable"))?;
        let target = executable.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), Path::to_owned);
        let ground = Self { client, namespace: format!("bench-{}", std::process::id()), images, target };
        ground.make_namespace(&ground.namespace).await?;
        Ok(ground)
    }

    /// A namespace as strict as any.
    pub(crate) async fn make_namespace(&self, name: &str) -> Result<(), Failure> {
        let namespace: Namespace = object(json!({
            "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
        }))?;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.create(&PostParams::default(), &namespace).await.map_err(Failure::ours("make a namespace"))?;
        Ok(())
    }

    /// Takes a namespace away, and everything in it; nobody waits for that.
    pub(crate) async fn drop_namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        // One that stays is seen by whoever looks, and does no harm.
        let _ = namespaces.delete(name, &DeleteParams::default()).await;
    }

    pub(crate) async fn close(&self) {
        self.drop_namespace(&self.namespace).await;
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// One of our own programs, built beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let program = env::current_exe().map_err(Failure::io("find this executable"))?.with_file_name(name);
    if program.is_file() { Ok(program) } else { Err(Failure::NoProgram { program }) }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn missing(what: &str) -> Failure {
    Failure::Missing { what: what.to_owned() }
}

/// An object as its type.
pub(crate) fn object<T: DeserializeOwned>(object: Value) -> Result<T, Failure> {
    serde_json::from_value(object).map_err(Failure::ours("write an object down"))
}

/// For everything that takes time on a busy cluster and is no figure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
