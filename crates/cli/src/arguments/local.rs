//! `etcdop local ...`: everything about clusters on this machine.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use etcdop_core::size::Size;
use etcdop_local::{binaries::VersionWish, home::ClusterName, logs::Tail, member_name::MemberName};

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Local {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: LocalCommand,
}

/// Which cluster, and where things are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which cluster")]
pub(crate) struct Place {
    /// The directory that holds one directory per cluster [default: ~/.local/share/etcdop/local]
    #[arg(long, global = true, value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    /// The directory with the etcd binaries, as `etcd` or `MINOR/etcd` [default: what `make etcd` built, then PATH]
    #[arg(long, global = true, value_hint = ValueHint::DirPath)]
    pub(crate) etcd_dir: Option<PathBuf>,
    /// The cluster [default: the only one there is, else `default`]
    #[arg(short, long, global = true)]
    pub(crate) name: Option<ClusterName>,
}

/// The cluster, for commands whose first word it may be.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The cluster; the same as --name
    #[arg(value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Keep a cluster as declared, in the foreground; create it when it is not there
    ///
    /// Members are processes that listen on 127.0.0.1. Ctrl-C stops them in order and keeps their disks; a second one leaves
    /// at once. What is declared is in cluster.yaml in the cluster's directory: edit it at any time, or use the other commands
    /// from another terminal.
    Up(Up),
    /// List the clusters
    Ls,
    /// Show a cluster as it is now
    Status(Which),
    /// Change how many members it has: 0 (stopped, disks kept), 1, 3, 5, 7 or 9
    Scale {
        /// Voting members
        size: Size,
        #[command(flatten)]
        wait: Wait,
    },
    /// Change which etcd it runs, one minor at a time
    Upgrade {
        /// A minor (3.6: the newest that is installed) or a full version (3.6.16)
        version: VersionWish,
        #[command(flatten)]
        wait: Wait,
    },
    /// Kill a member's process (SIGKILL), as a crash does
    Kill(Victim),
    /// Freeze a member's process (SIGSTOP), as a machine that hangs does
    Freeze(Victim),
    /// Let a frozen member go on (SIGCONT)
    Thaw(Victim),
    /// Kill a member and destroy its data, as a disk that dies does
    Wipe(Victim),
    /// Print what a member wrote to its log
    ///
    /// Without MEMBER the newest lines of all members, each behind the name of its member.
    Logs(Logs),
    /// Print what etcdctl needs: eval "$(etcdop local env)"
    Env {
        #[command(flatten)]
        which: Which,
        /// For which shell
        #[arg(long, value_enum, default_value_t)]
        shell: EnvShell,
    },
    /// Stop the manager and all members; disks are kept
    Down(Which),
    /// Stop a cluster and remove its directory, data included
    Destroy {
        #[command(flatten)]
        which: Which,
        /// Yes, remove the data
        #[arg(long)]
        yes: bool,
    },
    /// Watch a real cluster being created, scaled, killed, healed and rolled under a running writer
    ///
    /// Takes less than two minutes, works in a temporary directory and removes it. Fails when an acknowledged write was
    /// lost or a step did not come to its end.
    Demo,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Voting members: 0, 1, 3, 5, 7 or 9 [default: as declared; 3 for a new cluster]
    #[arg(long)]
    pub(crate) size: Option<Size>,
    /// A minor such as 3.6 or a full version [default: as declared; 3.6 for a new cluster]
    #[arg(long)]
    pub(crate) version: Option<VersionWish>,
    /// Print events line by line instead of the live view [default: text when stderr is no terminal]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// How `up` tells what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line with a time
    Text,
    /// A JSON document in a line
    Json,
}

/// Whether to wait for an edit to have taken effect.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Wait until the cluster is as declared, at most this long; exit with 3 when it is not
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "2m", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
}

/// Whom a fault hits.
#[derive(Debug, Args)]
pub(crate) struct Victim {
    /// Slot number, name or ID of the member, as `status` shows them
    pub(crate) member: MemberName,
}

/// Whose log, and how much of it; as `kubectl logs` has it.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Slot number, name or ID of the member, as `status` shows them [default: all members]
    pub(crate) member: Option<MemberName>,
    /// Go on with what is written from now on, until Ctrl-C or the end of the cluster
    #[arg(short, long)]
    follow: bool,
    /// How many of the newest lines; -1 for all [default: all of one member, 10 of each of all]
    #[arg(long, value_name = "LINES", allow_negative_numbers = true, value_parser = tail)]
    pub(crate) tail: Option<Tail>,
}

/// Whether a log that was read to its end is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// As it is written.
    Yes,
    /// What is there is all.
    No,
}

impl Logs {
    pub(crate) fn follow(&self) -> Follow {
        if self.follow { Follow::Yes } else { Follow::No }
    }
}

/// The shells that `env` speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvShell {
    /// sh, bash, zsh
    #[default]
    Sh,
    /// fish
    Fish,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write it as in 30s, 5m or 1m30s");
    let parsed = text.parse::<jiff::SignedDuration>().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

fn tail(text: &str) -> Result<Tail, String> {
    let wrong = |_| format!("`{text}` is not a number of lines: write it as in 100, or -1 for all");
    if text == "-1" { Ok(Tail::All) } else { text.parse().map(Tail::Last).map_err(wrong) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("30s", Some(30))]
    #[case("5m", Some(300))]
    #[case("1m30s", Some(90))]
    #[case("-5s", None)]
    #[case("5", None)]
    #[case("soon", None)]
    fn durations_have_a_unit_and_are_not_negative(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
    }

    #[rstest]
    #[case("100", Some(Tail::Last(100)))]
    #[case("0", Some(Tail::Last(0)))]
    #[case("-1", Some(Tail::All))]
    #[case("-2", None)]
    #[case("ten", None)]
    fn a_tail_is_a_number_of_lines_or_all(#[case] text: &str, #[case] expected: Option<Tail>) {
        assert_eq!(tail(text).ok(), expected, "{text}");
    }
}
