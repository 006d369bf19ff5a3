//! `up`: keeps a cluster in the foreground. Creates it when it is not there, holds its lock, runs the engine, shows what happens.

use std::{io::IsTerminal, sync::Arc};

use etcdop_core::{size::Size, version::Minor};
use etcdop_engine::{driver::Driver, publish::Published, tuning::Tuning};
use etcdop_local::{
    binaries::{Binaries, VersionWish},
    home::ClusterName,
    lock::LockError,
    open::{Cluster, Manager},
};
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::local::{LogFormat, Up, Which},
    exit::Exit,
    failure::Failure,
    local::{
        Context,
        chronicle::{Chronicle, Event},
        edit::set_version,
        report::summary,
        signals::Signals,
        view::View,
    },
    output::{Format, Output},
};

/// What a new cluster runs when nobody names a version: the newest 3.6 that is installed.
const DEFAULT_VERSION: VersionWish = VersionWish::Newest(Minor::V3_6);
/// What a new cluster tolerates a failure with.
const DEFAULT_SIZE: Size = Size::ALL[2];

/// Keeps a cluster until a signal ends it.
pub(crate) async fn up(context: &Context, up: Up) -> Result<Exit, Failure> {
    let name = context.name(Which { cluster: up.which.cluster.clone() })?;
    let mut signals = Signals::listen()?;
    let binaries = Binaries::find(context.etcd_dir.as_deref()).await?;
    let cluster = declare(context, &name, &up, &binaries).await?;
    let manager = cluster.manager(binaries).await?;
    let mut screen = Screen::new(&name, up.log_format, context.output);
    let env = context.hint("env", &name);
    screen.tell(&Event::Manager {
        what: format!(
            "keeping {name} in {}; from another terminal: eval \"$({env})\"",
            cluster.directory().path().display()
        ),
    })?;
    keep(manager, &mut screen, &mut signals).await
}

/// Creates the cluster or opens it; what the flags say is written into its manifest.
async fn declare(context: &Context, name: &ClusterName, up: &Up, binaries: &Binaries) -> Result<Cluster, Failure> {
    if !context.home.cluster(name).manifest().exists() {
        let version = up.version.clone().unwrap_or(DEFAULT_VERSION);
        binaries.resolve(&version)?;
        let size = up.size.unwrap_or(DEFAULT_SIZE);
        return Ok(Cluster::create(&context.home, name, size, &version)?);
    }
    let cluster = Cluster::open(&context.home, name)?;
    // Before the edits: the flags of a manager that is refused change nothing.
    if let Some(holder) = cluster.manager_process()? {
        return Err(LockError::Held { holder: Some(holder) }.into());
    }
    let declared = cluster.manifest()?;
    if let Some(version) = up.version.as_ref().filter(|version| **version != declared.version) {
        set_version(&cluster, version, binaries).await?;
    }
    if let Some(size) = up.size.filter(|size| *size != declared.size) {
        cluster.set_size(size)?;
    }
    Ok(cluster)
}

/// Runs the engine until a signal, then stops the members. A second signal leaves at once.
async fn keep(manager: Manager, screen: &mut Screen, signals: &mut Signals) -> Result<Exit, Failure> {
    let Manager { platform, declared } = manager;
    let (driver, mut published) = Driver::new(Arc::new(platform.clone()), declared.desired.clone(), Tuning::default());
    let mut broken = declared.error.clone();
    let stop = CancellationToken::new();
    let mut driver = tokio::spawn(driver.run(stop.clone()));
    loop {
        tokio::select! {
            changed = published.changed() => {
                if changed.is_ok() {
                    let pass = published.borrow_and_update().clone();
                    screen.show(&pass)?;
                }
            }
            Ok(()) = broken.changed() => {
                let why = broken.borrow_and_update().as_ref().map(ToString::to_string);
                screen.tell(&why.map_or(Event::GoodManifest, |why| Event::BadManifest { why }))?;
            }
            ended = &mut driver => {
                ended.map_err(Failure::LoopEnded)?;
                return Ok(Exit::Failed);
            }
            () = signals.next() => break,
        }
    }
    screen.tell(&Event::Manager { what: "stopping the members; once more to leave at once".to_owned() })?;
    screen.stopping();
    stop.cancel();
    let exit = tokio::select! {
        () = async { let _ = driver.await; platform.stop_members().await } => Exit::Ok,
        () = signals.next() => Exit::Aborted,
    };
    screen.end();
    let what = if exit == Exit::Ok { "stopped, all disks are kept" } else { "left; members may still run" };
    screen.tell(&Event::Manager { what: what.to_owned() })?;
    Ok(exit)
}

/// Where a manager tells what happens.
#[derive(Debug)]
struct Screen {
    chronicle: Chronicle,
    view: Option<View>,
    lines: Output,
}

/// A line of the log for programs.
#[derive(Serialize)]
struct Stamped<'a> {
    time: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

impl Screen {
    fn new(name: &ClusterName, log: Option<LogFormat>, output: Output) -> Self {
        let lines = match log {
            Some(LogFormat::Json) => Output::new(Format::Json),
            Some(LogFormat::Text) => Output::new(Format::Table),
            None => output,
        };
        let live = log.is_none() && !lines.is_data() && std::io::stderr().is_terminal();
        Self { chronicle: Chronicle::default(), view: live.then(|| View::new(name.as_str())), lines }
    }

    fn show(&mut self, pass: &Published) -> Result<(), Failure> {
        let summary = summary(pass);
        let news = self.chronicle.news(pass, &summary);
        if let Some(view) = &mut self.view {
            view.draw(pass, &summary);
        }
        news.iter().try_for_each(|event| self.tell(event))
    }

    #[expect(clippy::disallowed_methods, reason = "people want to know when; nothing is decided by it")]
    fn tell(&self, event: &Event) -> Result<(), Failure> {
        let line = || format!("{} {}", Zoned::now().strftime("%H:%M:%S%.3f"), event.text());
        match &self.view {
            Some(view) if event.is_headline() => view.keep(&line()),
            Some(_) => {}
            // Whether anybody reads it or not, the cluster is kept.
            None => self.lines.event(&Stamped { time: Timestamp::now(), event }, line).map(drop)?,
        }
        Ok(())
    }

    fn stopping(&self) {
        if let Some(view) = &self.view {
            view.stopping();
        }
    }

    /// From here on lines are printed plainly.
    fn end(&mut self) {
        if let Some(view) = self.view.take() {
            view.end();
        }
    }
}
