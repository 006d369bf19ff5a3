//! The technical log on stderr, for whoever looks for a fault; what users are told is printed by `output`.

use std::io::stderr;

use tracing_subscriber::EnvFilter;

/// Which events are logged, in the syntax of tracing's filters.
const VARIABLE: &str = "ETCDOP_LOG";

/// Starts the log: off by default, more with each `-v`, or as `ETCDOP_LOG` says.
pub(crate) fn start(verbose: u8) {
    let default = match verbose {
        0 => "off",
        1 => "etcdop=info",
        2 => "etcdop=debug",
        _ => "trace",
    };
    let asked = std::env::var(VARIABLE).ok().filter(|_| verbose == 0);
    let filter = EnvFilter::new(asked.as_deref().unwrap_or(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(false).init();
}
