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
mod apt;
mod audit;
mod bench;
mod chaos;
mod chromium;
mod ci;
mod cli;
mod demo;
mod demo_apps;
mod endpoints;
mod fetch;
mod find;
mod help;
mod http;
mod json;
mod layers;
mod links;
mod loadtest;
mod lock;
mod node;
mod ops;
mod places;
mod ports;
mod process;
mod python;
mod run_dir;
mod secret;
mod servers;
mod services;
mod sqlx;
mod system;
mod tail;
mod tally;
mod test;
mod tied;
mod token;
mod up;
mod user;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{cli::Args, places::Places};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<chaos::GaveUp>() {
                return ExitCode::from(chaos::GAVE_UP);
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs one command and says whether what it checks holds.
fn run() -> Result<bool> {
    let mut args = Args::of_process();
    let command = args.command().unwrap_or_default();
    if command == "tied" {
        return tied::become_program(args).map(|()| true);
    }
    if command.is_empty() || command == "help" || args.wants_help(&command) {
        print!("{}", help::MANUAL);
        return Ok(true);
    }
    process::watch_signals()?;
    let places = Places::find()?;
    match command.as_str() {
        "audit" => return audit::command(args, &places),
        "bench" => bench::command(args, &places)?,
        "chaos" => return chaos::command(args, &places),
        "ci" => return ci::command(args, &places),
        "chromium" => chromium::print(args, &places)?,
        "conformance-server" => services::conformance_server(args, &places)?,
        "layers" => layers::command(args, &places)?,
        "loadtest" => return loadtest::command(args, &places),
        "ops" => ops::command(args, &places)?,
        "servers" => up::servers(args, &places)?,
        "sqlx" => sqlx::command(args, &places)?,
        "test" => return Ok(test::command(args, &places)),
        "token" => token::print(args, &places)?,
        "up" => up::up(args, &places)?,
        other => bail!("unknown command {other:?}; see `cargo xtask --help`"),
    }
    Ok(true)
}
