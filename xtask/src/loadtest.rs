//! `cargo xtask loadtest`: the load generator, optimised, against a deployment that runs.
//!
//! It starts and ends nothing. Everything about the load is the generator's own (`crates/loadtest`).

use anyhow::{Result, ensure};

use crate::{cli::Args, places::Places, process, run_dir, services, tied};

/// Builds the generator and runs it; without `--url` and `--endpoints` against the system of
/// `cargo xtask up` that runs here.
///
/// # Errors
///
/// When it can't be built.
pub(crate) fn command(args: Args, places: &Places) -> Result<bool> {
    services::check_compiler()?;
    let args = args.rest();
    let is_named = args.iter().any(|arg| {
        ["--url", "--endpoints"]
            .iter()
            .any(|name| arg.starts_with(name))
    });
    let here = run_dir::lasting(places).join("endpoints.json");
    ensure!(
        is_named || here.exists(),
        "nothing runs here: start `cargo xtask up` in another terminal, or name a deployment with \
         --url and --pairs; `cargo run -p loadtest -- run --help` tells more"
    );
    let mut build = services::cargo(places);
    build.args(["build", "--release", "--package", "loadtest"]);
    ensure!(
        process::run(build)?.success(),
        "the build failed; see above"
    );

    let mut load = tied::command(places.target.join("release/loadtest"), None);
    load.arg("run").args(args).current_dir(&places.workspace);
    if !is_named {
        load.arg("--endpoints").arg(here);
    }
    Ok(process::run(load)?.success())
}
