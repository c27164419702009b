//! `cargo xtask sqlx`: the query data that lets the workspace compile without a database.
//!
//! Does what sqlx's own tool does, without the tool: the macros write the data themselves when they
//! can ask a database, so all it takes is a database with the present schema and a fresh compile.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cli::Args,
    fetch::{self, Source},
    find::Tool,
    places::Places,
    ports::Ports,
    process,
    run_dir::{Keep, RunDir},
    servers::{Durability, postgres},
    services,
};

/// The one crate with queries.
const CRATE: &str = "services/chat-store";

/// What to do when the data is not what the queries give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Rewrite it.
    Write,
    /// Fail.
    Check,
}

/// Regenerates the data, or with `--check` compares it to what the queries and migrations give.
///
/// # Errors
///
/// When a query does not fit the schema or, with `--check`, the data is not up to date.
pub(crate) fn command(mut args: Args, places: &Places) -> Result<()> {
    let intent = if args.flag("--check") {
        Intent::Check
    } else {
        Intent::Write
    };
    args.finish()?;
    run(places, intent)
}

/// See [`command`].
pub(crate) fn run(places: &Places, intent: Intent) -> Result<()> {
    let run = RunDir::open(places, Keep::ThisRun)?;
    let fresh = run.path.join("sqlx");
    fs::create_dir(&fresh)?;
    generate(places, &run, &fresh)?;

    let committed = places.workspace.join(".sqlx");
    let (new, old) = (contents(&fresh)?, contents(&committed)?);
    if new == old {
        println!("{} queries are up to date", new.len());
        return Ok(());
    }
    ensure!(
        intent == Intent::Write,
        "{} is not what the queries give: run `cargo xtask sqlx` and commit the result",
        committed.display(),
    );
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        fs::remove_file(committed.join(name))?;
    }
    fs::create_dir_all(&committed)?;
    for (name, data) in &new {
        fs::write(committed.join(name), data)?;
    }
    println!("wrote {} queries to {}", new.len(), committed.display());
    Ok(())
}

/// Compiles the crate against a database with its schema; the macros fill `fresh`.
fn generate(places: &Places, run: &RunDir, fresh: &Path) -> Result<()> {
    let programs = fetch::find_or_fetch(&[Tool::Postgres], places, Source::Private)?;
    let program = programs.first().context("no Postgres")?;
    let server = postgres::start(program, run, &mut Ports::new(), Durability::None)?;
    let psql = program.neighbour("psql");
    for migration in sorted(&places.workspace.join(CRATE).join("migrations"), "sql")? {
        let mut command = psql.command();
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--file",
        ]);
        command
            .arg(&migration)
            .arg(&server.url)
            .stdout(Stdio::null());
        process::output(&mut command)?;
    }

    // What cargo believes to be up to date is not compiled, and the macros not asked.
    for folder in ["src", "tests", "examples"] {
        for root in sorted(&places.workspace.join(CRATE).join(folder), "rs")? {
            File::options()
                .append(true)
                .open(root)?
                .set_modified(SystemTime::now())?;
        }
    }
    let mut command: Command = services::cargo(places);
    command
        .args(["check", "--package", "chat-store", "--all-targets"])
        .env("DATABASE_URL", &server.url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", fresh);
    let status = process::run(command)?;
    ensure!(
        status.success(),
        "a query does not fit the schema; see above"
    );
    Ok(())
}

/// The files in `folder` with this extension, in the order of their names; none without a folder.
fn sorted(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The query data in `folder`, by file name.
fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    sorted(folder, "json")?
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), fs::read(&path)?))
        })
        .collect()
}
