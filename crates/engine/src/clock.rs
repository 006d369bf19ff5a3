//! The manager's clock: monotonic, from the moment the engine started. A clock that jumps on the wall changes no decision.

use etcdop_core::id::Mono;
use tokio::time::Instant;

/// Counts from the start of one engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Mono {
        Mono(self.start.elapsed())
    }
}
