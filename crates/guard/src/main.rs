//! `etcdop-guard`: stands in etcd's place, decides whether it may start on this disk, and becomes it.
//!
//! One process all along: the platform that started the guard holds etcd's PID. The guard handles no signals, so SIGTERM
//! ends it at once, except as process 1 of a container: there the kernel drops what nobody handles. Only the rehearsal of a joiner
//! (`rehearsal.rs`) is a process beside it.

mod arguments;
mod gate;
mod hand_over;
mod program;
mod rehearsal;
mod reporter;
mod resolve;

use std::{
    env,
    io::{self, Write},
    process::{self, ExitCode},
};

use arguments::{Arguments, Request};
use etcdop_guard::process_instance;

const USAGE: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse(env::args_os().skip(1), env::vars_os()) {
        Ok(Request::Help) => show(arguments::HELP),
        Ok(Request::Version) => show(concat!("etcdop-guard ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Request::Guard(arguments)) => guard(arguments),
        Ok(Request::Report(subject, address, hand_over)) => {
            reporter::answer_while_parent_lives(subject, address, hand_over);
            ExitCode::SUCCESS
        }
        Err(usage) => {
            eprintln!("etcdop-guard: {usage} (see etcdop-guard --help)");
            ExitCode::from(USAGE)
        }
    }
}

fn guard(arguments: Box<Arguments>) -> ExitCode {
    let instance = arguments.instance.clone().map_or_else(|| process_instance(process::id()), Ok);
    match instance {
        Ok(instance) => {
            // Before anything else, so that whoever waits for this guard hears why it waits.
            if let Some(address) = arguments.report {
                reporter::accompany(&arguments.files, address, arguments.hand_over.as_ref());
            }
            ExitCode::from(gate::pass(*arguments, instance))
        }
        Err(error) => {
            eprintln!("etcdop-guard: /proc does not tell this process's start time ({error}): pass --instance");
            ExitCode::from(USAGE)
        }
    }
}

fn show(text: &str) -> ExitCode {
    if io::stdout().write_all(text.as_bytes()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
