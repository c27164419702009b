//! `cargo xtask ci`: everything that must hold before a change is taken, cheap checks first.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{
    chaos, cli::Args, layers, places::Places, process, services, sqlx, tally::Tally, test,
};

/// Runs all checks and tests, prints the counts as the last line, and says whether all passed.
///
/// A check that fails counts as one failed test, and the others run all the same. The faults count
/// as one test.
///
/// # Errors
///
/// When there are arguments.
pub(crate) fn command(args: Args, places: &Places) -> Result<bool> {
    args.finish()?;
    let mut tally = Tally::default();
    check(&mut tally, "format", || {
        cargo(places, &["fmt", "--all", "--check"])
    });
    check(&mut tally, "layers", || layers::check(&places.workspace));
    check(&mut tally, "query data", || {
        sqlx::run(places, sqlx::Intent::Check)
    });
    check(&mut tally, "lints", || {
        let lints = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ];
        cargo(places, &lints)
    });
    step("tests", || tally.add(test::run(&[], places)));
    let faults = check(&mut tally, "faults", || chaos::check(places));
    tally.passed += u64::from(faults);
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Says whether the check was run and passed.
fn check(tally: &mut Tally, name: &str, run: impl FnOnce() -> Result<()>) -> bool {
    if process::interrupted() {
        return false;
    }
    let outcome = step(name, run);
    if let Err(error) = &outcome {
        eprintln!("error: {name}: {error:#}");
        tally.failed += 1;
    }
    outcome.is_ok()
}

fn step<T>(name: &str, run: impl FnOnce() -> T) -> T {
    println!("\n==== {name}");
    let start = Instant::now();
    let outcome = run();
    println!("==== {name}: {:.1} s", start.elapsed().as_secs_f32());
    outcome
}

fn cargo(places: &Places, arguments: &[&str]) -> Result<()> {
    let mut command = services::cargo(places);
    command.args(arguments);
    let status = process::run(command)?;
    ensure!(
        status.success(),
        "cargo {} failed ({status})",
        arguments.join(" ")
    );
    Ok(())
}
