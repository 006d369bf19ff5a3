//! The control plane that the tests run against.

use std::{env, path::PathBuf};

use kube::{Client, Config};
use tokio::process::Command;

/// A control plane, and what is to be used on it.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) client: Client,
    /// The operator's image as Pods find it: the guard is copied out of it.
    pub(crate) operator_image: String,
    /// Host and path of etcd's image.
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// The scripts that break nodes, Pods and disks; only the test ground has them.
    pub(crate) scripts: Option<PathBuf>,
}

impl Ground {
    /// `None` when no control plane is named: the test says so and passes, unless one is demanded.
    pub(crate) async fn find() -> Option<Self> {
        if env::var_os("KUBECONFIG").is_none() {
            let demanded = env::var_os("ETCDOP_E2E").is_some_and(|value| value == "required");
            assert!(!demanded, "KUBECONFIG is not set: run `make testground-up` first");
            eprintln!("skipped: KUBECONFIG is not set (`make testground-up` makes a control plane)");
            return None;
        }
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = Config::infer().await.expect("KUBECONFIG is readable");
        let set = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        Some(Self {
            client: Client::try_from(config).unwrap(),
            operator_image: set("ETCDOP_E2E_IMAGE", "etcdop:dev"),
            registry: set("ETCDOP_E2E_REGISTRY", "quay.io"),
            repository: set("ETCDOP_E2E_REPOSITORY", "coreos/etcd"),
            scripts: env::var_os("ETCDOP_TESTGROUND").map(PathBuf::from),
        })
    }

    /// Runs one of the test ground's scripts; `None` where there are none, which the test says.
    pub(crate) async fn script(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let Some(scripts) = &self.scripts else {
            eprintln!("skipped: ETCDOP_TESTGROUND is not set: only the test ground can {name} {}", arguments.join(" "));
            return None;
        };
        let output = Command::new(scripts.join(name)).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}
