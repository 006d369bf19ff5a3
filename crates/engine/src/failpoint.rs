//! Where a test lets the manager die: right before or right after a change of anything, the n-th one or the first one that no manager
//! has died at yet. All steps pass here, and whatever a platform changes by itself, so a test can visit all of them. A step that is
//! tried again is the same change. Without the feature `failpoints` there is nothing here.

use std::future::Future;

use etcdop_core::step::Step;

/// Carries out `step`, and dies around it when that is asked for.
#[cfg(not(feature = "failpoints"))]
pub(crate) async fn step<T>(_: &Step, change: impl Future<Output = T>) -> T {
    change.await
}

/// Carries out `step`, and dies around it when that is asked for.
#[cfg(feature = "failpoints")]
pub(crate) async fn step<T>(step: &Step, change: impl Future<Output = T>) -> T {
    let change = Box::pin(change);
    around(&step.to_string(), &format!("{step:?}"), change).await
}

/// Carries out a change, and dies around it when that is asked for. `words` go to the log of changes; `identity` tells a change from
/// others of the same words.
#[cfg(feature = "failpoints")]
pub async fn around<T>(words: &str, identity: &str, change: impl Future<Output = T>) -> T {
    let under_way = armed::ARMED.begin(words, identity);
    let done = change.await;
    armed::ARMED.end(under_way);
    done
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        collections::{BTreeMap, HashSet},
        env, fmt,
        fs::{self, OpenOptions},
        io::Write,
        path::PathBuf,
        sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    };

    use rustix::process::{Signal, getpid, kill_process};

    /// The process dies as a whole, so it counts as a whole.
    pub(super) static ARMED: LazyLock<Armed> = LazyLock::new(Armed::from_environment);

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum When {
        Before,
        After,
    }

    impl fmt::Display for When {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Before => "before",
                Self::After => "after",
            })
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Which {
        /// The n-th change of this process.
        Nth(u64),
        /// The first one at which no process has died on that side, as the log tells.
        New,
    }

    pub(super) struct Armed {
        counted: Mutex<Counted>,
        /// `ETCDOP_FAILPOINT=<n>|new:before|after`.
        die_at: Option<(Which, When)>,
        /// Changes at which a process has died on this side.
        visited: HashSet<String>,
        /// `ETCDOP_FAILPOINT_LOG=path`: one line for each change, its number and its words; one for each death, and one for each other
        /// change that it cut off.
        log: Option<PathBuf>,
    }

    #[derive(Default)]
    struct Counted {
        number: u64,
        last: Option<String>,
        under_way: BTreeMap<u64, (u64, String)>,
        calls: u64,
    }

    /// A change under way, until this is dropped: one that is given up is not under way any more.
    pub(super) struct UnderWay(u64);

    impl Drop for UnderWay {
        fn drop(&mut self) {
            ARMED.counted().under_way.remove(&self.0);
        }
    }

    pub(super) fn parse(text: &str) -> Option<(Which, When)> {
        let (which, when) = text.split_once(':')?;
        let when = match when {
            "before" => When::Before,
            "after" => When::After,
            _ => return None,
        };
        let which = if which == "new" { Which::New } else { Which::Nth(which.parse().ok()?) };
        Some((which, when))
    }

    impl Armed {
        fn from_environment() -> Self {
            // A test that asks for something else would pass without having tested anything.
            let die_at = env::var("ETCDOP_FAILPOINT").ok().map(|text| {
                parse(&text).expect("ETCDOP_FAILPOINT is NUMBER:before, NUMBER:after, new:before or new:after")
            });
            let log = env::var_os("ETCDOP_FAILPOINT_LOG").map(PathBuf::from);
            let visited = match (&log, die_at) {
                (Some(log), Some((Which::New, when))) => {
                    let before = fs::read_to_string(log).unwrap_or_default();
                    let died = format!("died {when} ");
                    before.lines().filter_map(|line| Some(line.strip_prefix(&died)?.to_owned())).collect()
                }
                _ => HashSet::new(),
            };
            Self { counted: Mutex::default(), die_at, visited, log }
        }

        pub(super) fn begin(&self, words: &str, identity: &str) -> UnderWay {
            let mut counted = self.counted();
            if counted.last.as_deref() != Some(identity) {
                counted.number += 1;
                counted.last = Some(identity.to_owned());
                self.note(&format!("{} {words}", counted.number));
            }
            counted.calls += 1;
            let (call, number) = (counted.calls, counted.number);
            counted.under_way.insert(call, (number, words.to_owned()));
            self.die_if(&counted, call, When::Before);
            UnderWay(call)
        }

        pub(super) fn end(&self, under_way: UnderWay) {
            self.die_if(&self.counted(), under_way.0, When::After);
            drop(under_way);
        }

        fn counted(&self) -> MutexGuard<'_, Counted> {
            self.counted.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// The lock is held: nothing else begins or ends from here on.
        fn die_if(&self, counted: &Counted, call: u64, side: When) {
            let Some((which, when)) = self.die_at else { return };
            let Some((number, words)) = counted.under_way.get(&call) else { return };
            let here = match which {
                Which::Nth(nth) => *number == nth,
                Which::New => !self.visited.contains(words),
            };
            if !here || side != when {
                return;
            }
            if which == Which::New {
                self.note(&format!("died {side} {words}"));
                for (_, (_, other)) in counted.under_way.iter().filter(|(other, _)| **other != call) {
                    self.note(&format!("cut off {other}"));
                }
            }
            // Nothing is cleaned up: that is the point.
            let _ = kill_process(getpid(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }

        fn note(&self, line: &str) {
            let Some(path) = &self.log else { return };
            let written = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
            if let Err(error) = written {
                tracing::error!(%error, path = %path.display(), "the log of fail points cannot be written");
            }
        }
    }
}

#[cfg(feature = "failpoints")]
#[cfg(test)]
mod tests;
