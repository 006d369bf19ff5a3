//! `etcd-operator`: keeps etcd clusters on Kubernetes.

mod arguments;
mod clock;
mod controller;
mod election;
mod events;
mod guard;
mod health;
mod logging;
mod metrics;
mod platform;
mod requests;
mod resource;
mod run;
mod status;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use self::arguments::{Arguments, Command};

/// The image of this operator, unless another one is named.
const DEFAULT_IMAGE: &str = concat!("ghcr.io/etcdop/etcd-operator:v", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Crd => show(&resource::install::crd()),
        Command::Manifests(arguments) => show(&resource::install::manifests(&arguments.image, &arguments.namespace)),
        Command::Guard(arguments) => guard::copy(&arguments.to),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody is left to tell when that fails.
            let _ = writeln!(io::stderr(), "etcd-operator: {why}");
            ExitCode::FAILURE
        }
    }
}

fn show(text: &str) -> Result<(), String> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| format!("standard output: {error}"))
}
