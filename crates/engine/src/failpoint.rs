//! Where a test lets the manager die: right before or right after its n-th change of anything. All changes pass here, so a test can
//! count them in one run and kill the manager at each of them in the next. A step that is tried again is the same change. Without the feature `failpoints` there is nothing here.

use std::future::Future;

use etcdop_core::step::Step;

/// Counts changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failpoint {
    #[cfg(feature = "failpoints")]
    armed: std::sync::Arc<armed::Armed>,
}

impl Failpoint {
    /// Carries out `change`, and dies around it when that is asked for.
    #[cfg(not(feature = "failpoints"))]
    pub(crate) async fn around<T>(&self, _: &Step, change: impl Future<Output = T>) -> T {
        change.await
    }

    /// Carries out `change`, and dies around it when that is asked for.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn around<T>(&self, step: &Step, change: impl Future<Output = T>) -> T {
        let number = self.armed.count(step);
        self.armed.die_if(number, armed::When::Before);
        let done = change.await;
        self.armed.die_if(number, armed::When::After);
        done
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        env,
        fs::OpenOptions,
        io::Write,
        path::PathBuf,
        sync::{Mutex, PoisonError},
    };

    use etcdop_core::step::Step;
    use rustix::process::{Signal, getpid, kill_process};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum When {
        Before,
        After,
    }

    #[derive(Debug, Default)]
    struct Counted {
        number: u64,
        last: Option<Step>,
    }

    #[derive(Debug)]
    pub(super) struct Armed {
        counted: Mutex<Counted>,
        /// `ETCDOP_FAILPOINT=<n>:before|after`.
        die_at: Option<(u64, When)>,
        /// `ETCDOP_FAILPOINT_LOG=path`: one line for each change, its number and its words.
        log: Option<PathBuf>,
    }

    impl Default for Armed {
        fn default() -> Self {
            // A test that asks for something else would pass without having tested anything.
            let die_at = env::var("ETCDOP_FAILPOINT")
                .ok()
                .map(|text| parse(&text).expect("ETCDOP_FAILPOINT is NUMBER:before or NUMBER:after"));
            Self { counted: Mutex::default(), die_at, log: env::var_os("ETCDOP_FAILPOINT_LOG").map(PathBuf::from) }
        }
    }

    pub(super) fn parse(text: &str) -> Option<(u64, When)> {
        let (number, when) = text.split_once(':')?;
        let when = match when {
            "before" => When::Before,
            "after" => When::After,
            _ => return None,
        };
        Some((number.parse().ok()?, when))
    }

    impl Armed {
        pub(super) fn count(&self, step: &Step) -> u64 {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            if counted.last.as_ref() == Some(step) {
                return counted.number;
            }
            counted.number += 1;
            counted.last = Some(step.clone());
            let number = counted.number;
            drop(counted);
            if let Some(path) = &self.log {
                let written = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .and_then(|mut file| file.write_all(format!("{number} {step}\n").as_bytes()));
                if let Err(error) = written {
                    tracing::error!(%error, path = %path.display(), "the log of fail points cannot be written");
                }
            }
            number
        }

        pub(super) fn die_if(&self, number: u64, when: When) {
            if self.die_at == Some((number, when)) {
                // Nothing is cleaned up: that is the point.
                let _ = kill_process(getpid(), Signal::KILL);
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

#[cfg(feature = "failpoints")]
#[cfg(test)]
mod tests;
