//! The command `etcdop`: argument parsing, output and exit codes around the crates that do the work.
//!
//! Every command ends in a value or a [`Failure`]; only `output` prints, and only `main` turns either into
//! an exit code.

mod arguments;
mod demo;
mod exit;
mod failure;
mod generate;
mod local;
mod logging;
mod output;
mod progress;
mod table;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::{
    arguments::{Cli, Command},
    exit::Exit,
    failure::Failure,
    output::Output,
};

fn main() -> ExitCode {
    let parsed = Cli::from_arg_matches(&arguments::command().get_matches());
    let cli = parsed.unwrap_or_else(|error| error.exit());
    let output = Output::new(cli.common.output);
    logging::start(cli.common.verbose);
    let exit = match run(cli.command, output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit()
        }
    };
    exit.into()
}

fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Local(local) => local::run(local, output),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { dir } => generate::man(&dir, output),
        Command::Version => generate::version(output),
    }
}
