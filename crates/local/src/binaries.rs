//! Where etcd and the guard come from. An etcd is what it says of itself when it is asked; what a directory is called is
//! checked against it and never believed.

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use etcdop_core::version::{EtcdVersion, Minor, VersionError};
use thiserror::Error;
use tokio::process::Command;

/// How long `etcd --version` may take; a loaded machine takes a tenth of a second.
const ANSWER: Duration = Duration::from_secs(10);
const ETCD_DIR: &str = "ETCDOP_ETCD_DIR";
const GUARD: &str = "ETCDOP_GUARD";
const GUARD_NAME: &str = "etcdop-guard";

/// A file that should be an etcd and cannot be used as one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Defect {
    /// There, and not a program.
    #[error("{0} is not executable: chmod +x it, or name another directory")]
    NotExecutable(PathBuf),
    /// Does not run, or says nothing that etcd says.
    #[error("{path} does not answer --version as etcd does ({why}): it may be for another machine, or no etcd at all")]
    Speechless {
        /// The file.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// In a directory named after another minor.
    #[error(
        "{path} says that it is etcd {version}, its directory says {minor}: put each version into its own directory"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: EtcdVersion,
        /// What its directory says.
        minor: Minor,
    },
    /// A version whose rules we do not know.
    #[error("{path} is etcd {version}, which is not supported: use 3.5 (3.5.16 or later), 3.6 or 3.7")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: EtcdVersion,
    },
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BinariesError {
    /// The directory that was named holds an etcd that cannot be used.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// The directory that was named holds none.
    #[error("no etcd in {dir}, named by {by}: expected {dir}/etcd or {dir}/MINOR/etcd, as in {dir}/3.6/etcd", dir = .dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
        /// Option or variable.
        by: &'static str,
    },
    /// No etcd of this version anywhere.
    #[error("no etcd {wish} was found. {search}; run `make etcd`, or name a directory with --etcd-dir or ${ETCD_DIR}")]
    NoSuchVersion {
        /// What was asked for.
        wish: VersionWish,
        /// Where was looked and what was there.
        search: Search,
    },
    /// The guard is not there.
    #[error(
        "{GUARD_NAME} was not found ({looked}): build it with `cargo build -p {GUARD_NAME}`, or name it with ${GUARD}"
    )]
    NoGuard {
        /// Where it was looked for.
        looked: String,
    },
}

/// What a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionWish {
    /// The newest patch of this minor that is there.
    Newest(Minor),
    /// This one.
    Exact(EtcdVersion),
}

impl fmt::Display for VersionWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(minor) => minor.fmt(f),
            Self::Exact(version) => version.fmt(f),
        }
    }
}

/// What cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WishError {
    /// Neither a minor nor a version.
    #[error("`{0}` is not an etcd version: write a minor as in 3.6, or a full version as in 3.6.16")]
    Malformed(String),
    /// A minor whose rules we do not know.
    #[error("etcd {0} is not supported: use 3.5, 3.6 or 3.7")]
    Minor(Minor),
    /// A version whose rules we do not know.
    #[error(transparent)]
    Version(VersionError),
}

impl std::str::FromStr for VersionWish {
    type Err = WishError;

    fn from_str(text: &str) -> Result<Self, WishError> {
        if let Ok(minor) = text.parse::<Minor>() {
            // Judged by a patch that is late enough for every minor.
            let late = EtcdVersion::new(minor.major, minor.minor, u64::MAX).supported();
            return late.map(|_| Self::Newest(minor)).map_err(|_| WishError::Minor(minor));
        }
        let version: EtcdVersion = text.parse().map_err(|_| WishError::Malformed(text.to_owned()))?;
        version.supported().map(Self::Exact).map_err(WishError::Version)
    }
}

/// Where was looked and what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    places: Vec<PathBuf>,
    found: Vec<EtcdVersion>,
    defects: Vec<Defect>,
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.places.iter().map(|place| place.display().to_string()).collect();
        write!(f, "Looked in {}", if places.is_empty() { "no directory".to_owned() } else { places.join(", ") })?;
        let found: Vec<String> = self.found.iter().map(ToString::to_string).collect();
        write!(f, "; found {}", if found.is_empty() { "none".to_owned() } else { found.join(", ") })?;
        self.defects.iter().try_for_each(|defect| write!(f, "; {defect}"))
    }
}

/// The programs that members are made of.
#[derive(Clone, Debug)]
pub struct Binaries {
    guard: PathBuf,
    setsid: Option<PathBuf>,
    etcd: BTreeMap<EtcdVersion, PathBuf>,
    search: Search,
}

impl Binaries {
    /// Finds them: in `etcd_dir` or `$ETCDOP_ETCD_DIR` alone when one is named, else what `make etcd` built and `PATH`.
    pub async fn find(etcd_dir: Option<&Path>) -> Result<Self, BinariesError> {
        let guard = find_guard()?;
        let named = etcd_dir.map(|dir| (dir.to_owned(), "--etcd-dir"));
        let named =
            named.or_else(|| Some((PathBuf::from(env::var_os(ETCD_DIR).filter(|dir| !dir.is_empty())?), ETCD_DIR)));
        let places = match &named {
            Some((dir, _)) => vec![std::path::absolute(dir).unwrap_or_else(|_| dir.clone())],
            None => built().into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())).collect(),
        };
        let asked: Vec<_> =
            places.iter().flat_map(|dir| candidates(dir)).map(|found| tokio::spawn(found.ask())).collect();
        let setsid = in_path("setsid");
        let mut binaries =
            Self { guard, setsid, etcd: BTreeMap::new(), search: Search { places, ..Search::default() } };
        for answer in asked {
            let (path, version) = match answer.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(defect)) if named.is_some() => return Err(defect.into()),
                Ok(Err(defect)) => {
                    binaries.search.defects.push(defect);
                    continue;
                }
                Err(panicked) => {
                    tracing::error!(%panicked, "an etcd was not asked for its version");
                    continue;
                }
            };
            // The first place wins.
            binaries.etcd.entry(version).or_insert(path);
        }
        binaries.search.found = binaries.etcd.keys().cloned().collect();
        match named {
            Some((dir, by)) if binaries.etcd.is_empty() => Err(BinariesError::Empty { dir, by }),
            _ => Ok(binaries),
        }
    }

    /// The version that a wish comes down to.
    pub fn resolve(&self, wish: &VersionWish) -> Result<EtcdVersion, BinariesError> {
        let fits = |version: &&EtcdVersion| match wish {
            VersionWish::Newest(minor) => version.minor() == *minor,
            VersionWish::Exact(exact) => *version == exact,
        };
        let found = self.etcd.keys().rev().find(fits);
        found.cloned().ok_or_else(|| BinariesError::NoSuchVersion { wish: wish.clone(), search: self.search.clone() })
    }

    /// The etcd of exactly this version.
    pub fn etcd(&self, version: &EtcdVersion) -> Result<&Path, BinariesError> {
        self.etcd.get(version).map(PathBuf::as_path).ok_or_else(|| BinariesError::NoSuchVersion {
            wish: VersionWish::Exact(version.clone()),
            search: self.search.clone(),
        })
    }

    /// Every version that was found.
    pub fn versions(&self) -> impl Iterator<Item = &EtcdVersion> {
        self.etcd.keys()
    }

    /// The program at the gate.
    pub fn guard(&self) -> &Path {
        &self.guard
    }

    /// The program that starts another one in a session of its own; part of util-linux and of busybox.
    pub(crate) fn setsid(&self) -> Option<&Path> {
        self.setsid.as_deref()
    }
}

/// A file called etcd.
struct Candidate {
    path: PathBuf,
    /// What its directory says.
    minor: Option<Minor>,
}

fn candidates(dir: &Path) -> Vec<Candidate> {
    let below = fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| {
        let minor = entry.file_name().to_str()?.parse::<Minor>().ok()?;
        Some(Candidate { path: entry.path().join("etcd"), minor: Some(minor) })
    });
    let own = Candidate { path: dir.join("etcd"), minor: None };
    [own].into_iter().chain(below).filter(|candidate| candidate.path.is_file()).collect()
}

impl Candidate {
    async fn ask(self) -> Result<(PathBuf, EtcdVersion), Defect> {
        let path = self.path;
        if !is_executable(&path) {
            return Err(Defect::NotExecutable(path));
        }
        let speechless = |why: String| Defect::Speechless { path: path.clone(), why };
        let version = ask(&path).await.map_err(speechless)?;
        match self.minor {
            Some(minor) if version.minor() != minor => Err(Defect::OtherVersion { path, version, minor }),
            _ if version.clone().supported().is_err() => Err(Defect::Unsupported { path, version }),
            _ => Ok((path, version)),
        }
    }
}

async fn ask(path: &Path) -> Result<EtcdVersion, String> {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER, command.output()).await;
    let output = output.map_err(|_| format!("no answer within {ANSWER:?}"))?.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    let line = line.ok_or_else(|| format!("{}, without a line `etcd Version: ...`", output.status))?;
    line.trim().parse().map_err(|error: VersionError| error.to_string())
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What `make etcd` built, when this program runs out of a target folder.
fn built() -> Option<PathBuf> {
    let exe = env::current_exe().ok()?;
    exe.ancestors().map(|folder| folder.join("etcd")).find(|folder| {
        // A folder of minors, not some etcd's own.
        folder.is_dir() && candidates(folder).iter().any(|candidate| candidate.minor.is_some())
    })
}

fn find_guard() -> Result<PathBuf, BinariesError> {
    let places = match env::var_os(GUARD).filter(|path| !path.is_empty()) {
        Some(named) => vec![PathBuf::from(named)],
        None => beside(env::current_exe()),
    };
    let found = places.iter().find(|path| is_executable(path)).map(std::path::absolute);
    let looked: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    found.and_then(Result::ok).ok_or_else(|| BinariesError::NoGuard { looked: looked.join(", ") })
}

fn beside(exe: io::Result<PathBuf>) -> Vec<PathBuf> {
    let Ok(exe) = exe else { return Vec::new() };
    // Tests run from `deps` below the folder that programs are built into.
    let folders = exe.ancestors().skip(1).take(2);
    folders
        .take(if exe.parent().is_some_and(|folder| folder.ends_with("deps")) { 2 } else { 1 })
        .map(|folder| folder.join(GUARD_NAME))
        .collect()
}
