//! What is made out of the command line's own description: completions, manual pages, the version.

use std::{fs, io, path::Path};

use clap_complete::Shell;
use serde::Serialize;

use crate::{
    arguments::command,
    exit::Exit,
    failure::Failure,
    output::{self, Output},
};

/// Prints the completions for `shell`.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "etcdop", &mut script);
    output::raw(&script)?;
    Ok(Exit::Ok)
}

#[derive(Debug, Serialize)]
struct Pages {
    pages: Vec<String>,
}

/// Writes a page for every command into `dir`.
pub(crate) fn man(dir: &Path, output: Output) -> Result<Exit, Failure> {
    let unwritable = |source| Failure::Unwritable { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(unwritable)?;
    let mut command = command();
    command.build();
    let mut pages = Pages { pages: Vec::new() };
    write_pages(&command, dir, &mut pages).map_err(unwritable)?;
    pages.pages.sort();
    output.show(&pages, |_| pages.pages.join("\n"))?;
    Ok(Exit::Ok)
}

fn write_pages(command: &clap::Command, dir: &Path, pages: &mut Pages) -> io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let path = dir.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(&path, text)?;
    pages.pages.push(path.display().to_string());
    command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
        .try_for_each(|command| write_pages(command, dir, pages))
}

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

/// Prints the version of this program.
pub(crate) fn version(output: Output) -> Result<Exit, Failure> {
    let version = Version { version: env!("CARGO_PKG_VERSION") };
    output.show(&version, |_| format!("etcdop {}", version.version))?;
    Ok(Exit::Ok)
}
