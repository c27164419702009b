//! Python with the packages of the tests that need some: clients in Python, and a bucket that speaks
//! S3. They are in an environment of its own.
//!
//! Not here: Python itself. Debian's does not run from anywhere else, and nobody has to install it for
//! a few tests: without it they are skipped, and say so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{lock, places::Places, process, tied};

/// Returns the interpreter of an environment with what `requirements` lists; `None` on a machine whose
/// Python makes no environments.
///
/// # Errors
///
/// When the packages cannot be installed.
pub(crate) fn get(requirements: &Path, places: &Places) -> Result<Option<PathBuf>> {
    let wanted = fs::read(requirements)?;
    let folder = places.dev.join("python");
    let program = folder.join("bin/python3");
    let mark = folder.join("requirements.installed");
    let is_there = || fs::read(&mark).is_ok_and(|installed| installed == wanted);

    let _alone = lock::wait(&places.dev.join("fetch.lock"))?;
    if is_there() {
        return Ok(Some(program));
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    if process::output(&mut make).is_err() {
        eprintln!("no python3 with venv: the clients in Python and the bucket are skipped");
        return Ok(None);
    }
    let mut install = tied::command(&program, None);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--only-binary", ":all:", "--requirement"])
        .arg(requirements);
    ensure!(
        process::run(install)?.success(),
        "pip could not install what the tests in Python need; see above"
    );
    fs::write(&mark, wanted)?;
    Ok(Some(program))
}
