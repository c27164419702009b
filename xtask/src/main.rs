//! `cargo xtask`: the one command that fetches, builds, starts, tests and checks everything.
//!
//! Has next to no dependencies, so that it is compiled in seconds and can prepare the servers while
//! cargo builds the services. It holds no logic of the product.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod apps;
mod cli;
mod demo;
mod endpoints;
mod fetch;
mod find;
mod http;
mod json;
mod lock;
mod places;
mod ports;
mod process;
mod run_dir;
mod secret;
mod servers;
mod services;
mod system;
mod tail;
mod token;
mod up;
mod user;

use std::process::ExitCode;

use anyhow::Result;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut args = cli::Args::of_process();
    let command = args.command().unwrap_or_default();
    if command == "tied" {
        process::become_tied(&std::env::args().skip(2).collect::<Vec<_>>())?;
    }
    process::watch_signals()?;
    let places = places::Places::find()?;
    match command.as_str() {
        "token" => token::print(args, &places)?,
        "up" => up::up(args, &places)?,
        "servers" => up::servers(args, &places)?,
        other => anyhow::bail!("unknown command {other:?}; see `cargo xtask --help`"),
    }
    Ok(ExitCode::SUCCESS)
}
