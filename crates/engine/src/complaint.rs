//! Why a process ended, in its own last words: what etcd, the guard or Go's runtime wrote to the log before it did.

use serde::Deserialize;

/// A sentence for people is not longer.
const LONGEST: usize = 300;

#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
    error: Option<String>,
}

/// The last complaint in a log, or in the end of one; `None` when it complains of nothing.
pub fn last(log: &str) -> Option<String> {
    let complaint = log.lines().rev().find_map(complaint)?;
    Some(complaint.chars().take(LONGEST).collect())
}

fn complaint(line: &str) -> Option<String> {
    if let Ok(Line { level, msg, error }) = serde_json::from_str::<Line>(line) {
        let serious = matches!(level.as_str(), "error" | "fatal" | "panic" | "dpanic");
        return serious.then(|| error.map_or_else(|| msg.clone(), |error| format!("{msg}: {error}")));
    }
    let plain = ["panic: ", "fatal error: ", "etcdop-guard: ", "setsid: "].iter().any(|start| line.starts_with(start));
    // etcd prints a bad flag without its usual form, and its usage after it.
    let flag = line.starts_with("flag provided but not defined") || line.contains("error verifying flags");
    (plain || flag).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_etcd(
        "{\"level\":\"fatal\",\"msg\":\"discovery failed\",\"error\":\"address already in use\"}\n{\"level\":\"info\",\"msg\":\"bye\"}\nunfinished",
        Some("discovery failed: address already in use")
    )]
    #[case::before_its_usage(
        "flag provided but not defined: -no-such-flag\nUsage:\n\n  etcd [flags]\n    Start an etcd server.\n",
        Some("flag provided but not defined: -no-such-flag")
    )]
    #[case::of_go("panic: runtime error\n\ngoroutine 1 [running]:\n", Some("panic: runtime error"))]
    #[case::of_nothing("{\"level\":\"info\",\"msg\":\"starting\"}\n", None)]
    fn the_last_complaint_is_found(#[case] log: &str, #[case] words: Option<&str>) {
        assert_eq!(last(log).as_deref(), words);
    }
}
