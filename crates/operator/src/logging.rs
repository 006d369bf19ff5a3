//! Log lines, on standard error.

use tracing_subscriber::EnvFilter;

use crate::arguments::LogFormat;

/// Starts logging.
///
/// # Errors
/// The filter cannot be understood.
pub(crate) fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let wrong = |error| format!("--log `{filter}` is no filter: {error}; use a level such as info, or info,kube=debug");
    let filter = EnvFilter::try_new(filter).map_err(wrong)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
