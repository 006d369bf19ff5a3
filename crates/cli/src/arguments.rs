//! The command line as a tree of values. Words are parsed into the types of the core here, so that a size of 2 or a version of
//! `latest` never gets further than this.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, builder::Styles};
use clap_complete::Shell;

use crate::{exit::EXIT_CODES, output::Format};

pub(crate) mod local;

/// An etcd lifecycle manager: declare a cluster, it is created, scaled, healed and rolled without losing a write
#[derive(Debug, Parser)]
#[command(
    name = "etcdop",
    version,
    about,
    subcommand_required = true,
    arg_required_else_help = true,
    styles = Styles::styled(),
    max_term_width = 120
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Understood by every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Common {
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Log what happens inside to stderr; twice for more. `ETCDOP_LOG` takes a filter instead
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Real etcd clusters on this machine: no Kubernetes, no root
    Local(local::Local),
    /// Print the completions for a shell
    ///
    /// For bash: etcdop completions bash > ~/.local/share/bash-completion/completions/etcdop
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual pages of all commands into a directory
    Man {
        /// Created when it is not there
        #[arg(value_hint = clap::ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Print the version
    Version,
}

/// The command line with its exit codes below every help text and in every manual page.
pub(crate) fn command() -> clap::Command {
    fn with_exit_codes(command: clap::Command) -> clap::Command {
        command.after_help(EXIT_CODES).mut_subcommands(with_exit_codes)
    }
    with_exit_codes(Cli::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        command().debug_assert();
    }
}
