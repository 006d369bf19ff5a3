//! `logs`: what members wrote, and with `--follow` what they write, in the manner of `kubectl logs`.

use std::time::Duration;

use etcdop_local::{
    directory::ClusterDir,
    logs::{MemberLog, Tail},
};
use serde::Serialize;
use tokio::time::interval;

use crate::{
    arguments::local::{Follow, Logs},
    exit::Exit,
    failure::Failure,
    local::Context,
    output::{Output, Reader},
};

/// Between two looks for what was written.
const PACE: Duration = Duration::from_millis(100);
/// Of each member, when nobody says whose log or how much of it.
const NEWEST: Tail = Tail::Last(10);

/// A line, for programs.
#[derive(Serialize)]
struct Line<'a> {
    member: &'a str,
    line: &'a str,
}

/// How a line looks for people.
#[derive(Clone, Copy)]
enum Face {
    /// As it was written.
    Plain,
    /// Behind the name of its member.
    Named,
}

/// Prints logs until there is nothing more, nobody reads any more, or, following, the cluster is gone.
pub(crate) async fn logs(context: &Context, asked: Logs) -> Result<Exit, Failure> {
    let Logs { member, tail, .. } = &asked;
    let cluster = context.named_cluster()?;
    let dir = cluster.directory();
    let (mut logs, face) = match member {
        Some(member) => (vec![MemberLog::of(dir, member, tail.unwrap_or(Tail::All))?], Face::Plain),
        None => (MemberLog::all(dir, tail.unwrap_or(NEWEST))?, Face::Named),
    };
    let mut pace = interval(PACE);
    loop {
        for log in &mut logs {
            if print(context.output, log, face)? == Reader::Gone {
                return Ok(Exit::Ok);
            }
        }
        if asked.follow() == Follow::No || !dir.path().exists() {
            break;
        }
        pace.tick().await;
        if member.is_none() {
            newcomers(dir, &mut logs)?;
        }
    }
    for log in &mut logs {
        if let Some(line) = log.rest() {
            say(context.output, log.name(), &line, face)?;
        }
    }
    Ok(Exit::Ok)
}

/// All of what a log has to say now.
fn print(output: Output, log: &mut MemberLog, face: Face) -> Result<Reader, Failure> {
    while let Some(line) = log.next_line()? {
        if say(output, log.name(), &line, face)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
    }
    Ok(Reader::There)
}

fn say(output: Output, member: &str, line: &str, face: Face) -> Result<Reader, Failure> {
    output.event(&Line { member, line }, || match face {
        Face::Plain => line.to_owned(),
        Face::Named => format!("[{member}] {line}"),
    })
}

/// Members that came since; all that they wrote is new.
fn newcomers(dir: &ClusterDir, logs: &mut Vec<MemberLog>) -> Result<(), Failure> {
    let all = MemberLog::all(dir, Tail::All)?;
    let news: Vec<_> = all.into_iter().filter(|log| logs.iter().all(|known| known.name() != log.name())).collect();
    logs.extend(news);
    Ok(())
}
