//! Fetches missing programs as Debian packages and unpacks them under `.dev`, without root.
//!
//! Works on Debian and Ubuntu with the package sources and keys of the machine, but with lists,
//! cache and files of its own: nothing is installed, no service is started, and deleting `.dev`
//! removes it all. Elsewhere it says what to install.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::Apt,
    find::{self, Program, Tool},
    lock, places,
    places::Places,
};

/// How missing programs come to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Unpacked where only xtask looks.
    Private,
    /// Installed by apt-get, for everybody.
    System,
}

/// Returns the programs for `tools`, in the same order, fetching those that are missing.
///
/// # Errors
///
/// Says which programs are missing and how to get them.
pub(crate) fn find_or_fetch(
    tools: &[Tool],
    places: &Places,
    source: Source,
) -> Result<Vec<Program>> {
    let missing = missing(tools, places);
    if !missing.is_empty() {
        get(&missing, places, source)?;
    }
    tools
        .iter()
        .map(|tool| {
            find::find(*tool, places).with_context(|| {
                let (major, minor) = tool.minimum();
                format!(
                    "no {} of version {major}.{minor} or newer was found; install one, or name it in {}",
                    tool.program(),
                    tool.variable(),
                )
            })
        })
        .collect()
}

fn missing(tools: &[Tool], places: &Places) -> Vec<Tool> {
    tools
        .iter()
        .copied()
        .filter(|tool| find::find(*tool, places).is_none())
        .collect()
}

fn get(tools: &[Tool], places: &Places, source: Source) -> Result<()> {
    let packages: Vec<_> = tools
        .iter()
        .flat_map(|tool| tool.packages())
        .copied()
        .collect();
    let has_apt = Path::new("/usr/bin/apt-get").exists() && Path::new("/usr/bin/dpkg-deb").exists();
    if cfg!(target_os = "macos") {
        let formulae: Vec<_> = tools.iter().map(|tool| tool.formula()).collect();
        bail!("missing programs; run: brew install {}", formulae.join(" "));
    }
    if !has_apt {
        bail!(
            "missing programs; install them with your package manager (Debian calls them {}) \
             or use `docker compose up`",
            packages.join(", "),
        );
    }
    if source == Source::System {
        return apt_install(&packages);
    }
    let _alone = lock::wait(&places.dev.join("fetch.lock"))?;
    // Somebody else may have fetched them while we waited.
    let tools = missing(tools, places);
    if tools.is_empty() {
        return Ok(());
    }
    places.check_disk()?;
    let packages: Vec<_> = tools
        .iter()
        .flat_map(|tool| tool.packages())
        .copied()
        .collect();
    // Not on the standard output: `cargo xtask chromium` prints a path there, and nothing else.
    eprintln!(
        "fetching {} into {}",
        packages.join(", "),
        places.dev.display()
    );
    Apt::new(places)?.unpack(&packages)?;
    for tool in tools {
        let mark = find::fetched_mark(tool, places);
        fs::create_dir_all(mark.parent().unwrap_or(&mark))?;
        fs::write(mark, "")?;
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let mut command = if places::is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command.args(["install", "--yes", "--no-install-recommends"]);
    let status = command
        .args(packages)
        .status()
        .context("cannot start apt-get")?;
    if !status.success() {
        bail!("apt-get could not install {}", packages.join(" "));
    }
    Ok(())
}
