//! `cargo xtask bench`: the load generator against an optimised system of its own.

use anyhow::{Result, ensure};

use crate::{
    cli::Args,
    fetch::Source,
    places::Places,
    process::{self, Task},
    run_dir::Keep,
    servers::Durability,
    services::{self, Profile},
    system::{Options, System},
    tied,
};

/// Builds everything optimised, starts the system and measures it. A replica that the load generator
/// asks to end is started again, as a cluster would.
///
/// # Errors
///
/// When anything can't be built or started, or a measurement fails.
pub(crate) fn command(mut args: Args, places: &Places) -> Result<()> {
    let options = Options {
        gateways: args.option("--gateways")?.unwrap_or(2),
        stores: args.option("--stores")?.unwrap_or(1),
        port: None,
        keep: Keep::ThisRun,
        durability: Durability::Full,
        profile: Profile::Release,
        source: Source::Private,
        traces: false,
    };
    let build = build(places)?;
    let mut system = System::start(&options, places, Some(build))?;
    let endpoints = system.run.path.join("endpoints.json");
    system.write_endpoints(&endpoints)?;

    let release = places.target.join("release");
    let mut command = tied::command(release.join("loadtest"), None);
    command.args(["bench", "--endpoints"]).arg(&endpoints);
    command
        .arg("--append-yardstick")
        .arg(release.join("examples/append_yardstick"));
    command.args(args.rest()).current_dir(&places.workspace);
    let mut bench = Task::start(command)?;
    while !bench.has_ended()? {
        ensure!(!process::interrupted(), "interrupted");
        for running in system.processes() {
            if running.ended().is_some_and(|status| status.success()) {
                running.start_again()?;
            }
        }
        std::thread::sleep(process::POLL);
    }
    let status = bench.wait()?;
    ensure!(status.success(), "the load generator failed ({status})");
    Ok(())
}

fn build(places: &Places) -> Result<Task> {
    services::check_compiler()?;
    let mut command = services::cargo(places);
    command.args([
        "build",
        "--release",
        "--bins",
        "--example",
        "append_yardstick",
    ]);
    for package in ["chat-store", "realtime-gateway", "loadtest"] {
        command.args(["--package", package]);
    }
    Task::start(command)
}
