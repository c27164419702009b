//! `cargo xtask ops`: checks what runs the system elsewhere, without an engine or a cluster.
//!
//! The checks are the tests of the crate `ops-check`; here is what they need: the programs that will
//! read the files, fetched like the servers. `cargo xtask test` runs them with all others.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    apt::Apt,
    cli::Args,
    fetch::{self, Source},
    find::Tool,
    lock,
    places::Places,
    process, services,
};

/// The release whose programs are used everywhere, so that all machines check alike. They need a C
/// library of version 2.34, and nothing else.
const RELEASE: &str = "trixie";

/// A program that checks files.
struct Checker {
    /// The variable that names the executable, for the tests and for those who have their own.
    variable: &'static str,
    package: &'static str,
    /// Where the package puts it.
    path: &'static str,
}

const CHECKERS: [Checker; 3] = [
    Checker {
        variable: "CHAT_COMPOSE",
        package: "docker-compose",
        path: "usr/libexec/docker/cli-plugins/docker-compose",
    },
    Checker {
        variable: "CHAT_KUSTOMIZE",
        package: "kustomize",
        path: "usr/bin/kustomize",
    },
    Checker {
        variable: "CHAT_PROMTOOL",
        package: "promtool",
        path: "usr/bin/promtool",
    },
];

/// Runs the checks alone.
///
/// # Errors
///
/// When there are arguments, a program can't be had, or a check fails.
pub(crate) fn command(args: Args, places: &Places) -> Result<()> {
    args.finish()?;
    let mut command: Command = services::cargo(places);
    command
        .args(["test", "--package", "ops-check", "--lib"])
        .env("SQLX_OFFLINE", "true")
        .envs(environment(places)?);
    let status = process::run(command)?;
    ensure!(status.success(), "a check failed; see above");
    Ok(())
}

/// What the tests of `ops-check` find in their environment, fetching what is missing.
///
/// # Errors
///
/// When a program is missing and can't be fetched; says what to install.
pub(crate) fn environment(places: &Places) -> Result<Vec<(&'static str, OsString)>> {
    let mut environment = Vec::new();
    let servers = [Tool::Haproxy, Tool::Nats];
    let programs = fetch::find_or_fetch(&servers, places, Source::Private)?;
    for (tool, program) in servers.into_iter().zip(programs) {
        environment.push((tool.variable(), program.path.into_os_string()));
        if let Some(libraries) = program.libraries {
            environment.push(("CHAT_LIBRARIES", libraries.into()));
        }
    }
    let lacking: Vec<_> = CHECKERS
        .iter()
        .filter(|checker| find(checker, places).is_none())
        .collect();
    if !lacking.is_empty() {
        fetch(&lacking, places)?;
    }
    for checker in &CHECKERS {
        let path = find(checker, places).with_context(|| {
            format!(
                "no {} was found; name one in {}",
                checker.package, checker.variable
            )
        })?;
        environment.push((checker.variable, path.into_os_string()));
    }
    Ok(environment)
}

fn find(checker: &Checker, places: &Places) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(checker.variable) {
        return Some(path.into());
    }
    let path = places.dev.join("root").join(checker.path);
    (mark(checker, places).exists() && path.exists()).then_some(path)
}

/// The mark that all of it is unpacked.
fn mark(checker: &Checker, places: &Places) -> PathBuf {
    places.dev.join("fetched").join(checker.package)
}

fn fetch(lacking: &[&Checker], places: &Places) -> Result<()> {
    let packages: Vec<_> = lacking.iter().map(|checker| checker.package).collect();
    let has_apt = ["/usr/bin/apt-get", "/usr/bin/dpkg-deb"]
        .iter()
        .all(|program| Path::new(program).exists());
    if !has_apt {
        let variables: Vec<_> = lacking.iter().map(|checker| checker.variable).collect();
        bail!(
            "the checks of deployment files need {}; install them and name the executables in {}",
            packages.join(", "),
            variables.join(", "),
        );
    }
    let _alone = lock::wait(&places.dev.join("fetch.lock"))?;
    places.check_disk()?;
    eprintln!(
        "fetching {} into {}",
        packages.join(", "),
        places.dev.display()
    );
    Apt::debian(places, RELEASE)?.unpack(&packages)?;
    for checker in lacking {
        let mark = mark(checker, places);
        fs::create_dir_all(mark.parent().unwrap_or(&mark))?;
        fs::write(mark, "")?;
    }
    Ok(())
}
