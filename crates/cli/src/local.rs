//! `etcdop local ...`: which cluster is meant, and who does what is asked.

mod chronicle;
mod declared;
mod edit;
mod end;
mod env;
mod fault;
mod list;
mod logs;
pub(crate) mod report;
pub(crate) mod signals;
mod status;
mod up;
mod view;
mod wait;

use std::path::PathBuf;

use etcdop_local::{
    faults::Fault,
    home::{ClusterName, Home},
    open::Cluster,
};

use crate::{
    arguments::local::{Local, LocalCommand, Place, Which},
    demo,
    exit::Exit,
    failure::Failure,
    output::Output,
};

/// The name of a cluster that nobody named.
const DEFAULT_NAME: &str = "default";

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) output: Output,
    pub(crate) etcd_dir: Option<PathBuf>,
    name: Option<ClusterName>,
    /// `--dir` as it was given, to be repeated in hints.
    dir: Option<PathBuf>,
}

/// Runs one command to its end.
pub(crate) fn run(local: Local, output: Output) -> Result<Exit, Failure> {
    let Local { place: Place { dir, etcd_dir, name }, command } = local;
    let context = Context { home: Home::locate(dir.as_deref())?, output, etcd_dir, name, dir };
    let no_runtime = |source| Failure::System { what: "the asynchronous runtime cannot be started", source };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(no_runtime)?;
    let done = runtime.block_on(dispatch(context, command));
    // Who leaves at a second Ctrl-C does not wait for a disk that hangs.
    runtime.shutdown_background();
    done
}

async fn dispatch(context: Context, command: LocalCommand) -> Result<Exit, Failure> {
    match command {
        LocalCommand::Up(up) => up::up(&context, up).await,
        LocalCommand::Ls => list::list(&context).await,
        LocalCommand::Status(which) => status::status(&context, which).await,
        LocalCommand::Scale { size, wait } => edit::scale(&context, size, wait).await,
        LocalCommand::Upgrade { version, wait } => edit::upgrade(&context, version, wait).await,
        LocalCommand::Kill(victim) => fault::inflict(&context, victim, Fault::Kill).await,
        LocalCommand::Freeze(victim) => fault::inflict(&context, victim, Fault::Freeze).await,
        LocalCommand::Thaw(victim) => fault::inflict(&context, victim, Fault::Thaw).await,
        LocalCommand::Wipe(victim) => fault::inflict(&context, victim, Fault::Wipe).await,
        LocalCommand::Logs(asked) => logs::logs(&context, asked).await,
        LocalCommand::Env { which, shell } => env::env(&context, which, shell).await,
        LocalCommand::Down(which) => end::down(&context, which).await,
        LocalCommand::Destroy { which, yes } => end::destroy(&context, which, yes).await,
        LocalCommand::Demo => demo::demo(&context).await,
    }
}

impl Context {
    /// The cluster that is meant, whether it exists or not.
    pub(crate) fn name(&self, which: Which) -> Result<ClusterName, Failure> {
        match (which.cluster, self.name.clone()) {
            (Some(one), Some(other)) if one != other => Err(Failure::TwoNames(one, other)),
            (Some(name), _) | (None, Some(name)) => Ok(name),
            (None, None) => {
                let mut names = self.home.clusters()?;
                match names.len() {
                    0 => Ok(DEFAULT_NAME.parse()?),
                    1 => Ok(names.remove(0)),
                    _ => names.iter().find(|name| name.as_str() == DEFAULT_NAME).cloned().ok_or_else(|| {
                        Failure::Ambiguous(names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                    }),
                }
            }
        }
    }

    /// The cluster that is meant and exists.
    pub(crate) fn cluster(&self, which: Which) -> Result<Cluster, Failure> {
        let named = which.cluster.is_some() || self.name.is_some();
        if !named && self.home.clusters()?.is_empty() {
            return Err(Failure::NoCluster(self.home.root().to_owned()));
        }
        Ok(Cluster::open(&self.home, &self.name(which)?)?)
    }

    /// The cluster that is meant where the command's first word is something else.
    pub(crate) fn named_cluster(&self) -> Result<Cluster, Failure> {
        self.cluster(Which { cluster: None })
    }

    /// A command for the same cluster from another terminal.
    pub(crate) fn hint(&self, command: &str, name: &ClusterName) -> String {
        let dir = self.dir.as_ref().map(|dir| format!(" --dir {}", dir.display())).unwrap_or_default();
        format!("etcdop local {command} {name}{dir}")
    }
}
