//! The control plane that the tests run against.

use std::{
    env,
    path::{Path, PathBuf},
};

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

    /// As [`Self::find`], for a test that breaks something past the API server; `None` where nothing can, which the test says.
    pub(crate) async fn to_break() -> Option<Self> {
        let ground = Self::find().await?;
        if ground.scripts.is_none() {
            eprintln!("skipped: ETCDOP_TESTGROUND is not set: only the test ground can be broken");
        }
        ground.scripts.is_some().then_some(ground)
    }

    /// Does something, and holds the way back: it is gone when the test ends, however it ends.
    pub(crate) async fn harm(&self, script: &'static str, act: &[&str], undo: &[&str]) -> Harm {
        let undo = undo.iter().map(|&word| word.to_owned()).collect();
        let harm = Harm { scripts: self.scripts.clone().unwrap(), script, undo: Some(undo) };
        run(&harm.scripts, script, act).await;
        harm
    }

    /// Runs one of the test ground's scripts; `None` where there are none, which the test says.
    pub(crate) async fn script(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let Some(scripts) = &self.scripts else {
            eprintln!("skipped: ETCDOP_TESTGROUND is not set: only the test ground can {name} {}", arguments.join(" "));
            return None;
        };
        Some(run(scripts, name, arguments).await)
    }
}

async fn run(scripts: &Path, name: &str, arguments: &[&str]) -> String {
    let output = Command::new(scripts.join(name)).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a test has broken and others need whole: mended by the test, or at the latest when this is dropped.
#[must_use]
pub(crate) struct Harm {
    scripts: PathBuf,
    script: &'static str,
    undo: Option<Vec<String>>,
}

impl Harm {
    /// Undoes it.
    pub(crate) async fn mend(mut self) {
        let undo = self.undo.take().unwrap();
        let undo: Vec<&str> = undo.iter().map(String::as_str).collect();
        run(&self.scripts, self.script, &undo).await;
    }

    /// It has ended with what was harmed.
    pub(crate) fn forget(mut self) {
        self.undo = None;
    }
}

impl Drop for Harm {
    fn drop(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        // Nothing can be waited for any more, and it must be done before the next test begins.
        match std::process::Command::new(self.scripts.join(self.script)).args(&undo).output() {
            Ok(output) if output.status.success() => {}
            failed => eprintln!("not undone by {} {undo:?}: {failed:?}", self.script),
        }
    }
}
