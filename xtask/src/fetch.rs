//! Fetches missing programs as Debian packages and unpacks them under `.dev`, without root.
//!
//! Works on Debian and Ubuntu with the package sources and keys of the machine, but with lists,
//! cache and files of its own: nothing is installed, no service is started, and deleting `.dev`
//! removes it all. Elsewhere it says what to install.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    find::{self, Program, Tool},
    lock, places,
    places::Places,
    process,
};

/// Begin the names of packages that are large and not needed to run a server: what compiles SQL to
/// machine code, which is switched off, and what installs and configures packages.
const SKIPPED: [&str; 6] = [
    "libllvm",
    "libz3",
    "perl",
    "libperl",
    "locales",
    "libc-l10n",
];

/// Returns the programs for `tools`, in the same order, fetching those that are missing.
///
/// `install` is the wish to have them installed by the system's package manager.
///
/// # Errors
///
/// Says which programs are missing and how to get them.
pub(crate) fn find_or_fetch(
    tools: &[Tool],
    places: &Places,
    install: bool,
) -> Result<Vec<Program>> {
    let missing = missing(tools, places);
    if !missing.is_empty() {
        get(&missing, places, install)?;
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

fn get(tools: &[Tool], places: &Places, install: bool) -> Result<()> {
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
    if install {
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
    println!(
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

/// apt with folders of its own.
struct Apt {
    state: PathBuf,
    archives: PathBuf,
    root: PathBuf,
}

impl Apt {
    fn new(places: &Places) -> Result<Self> {
        let apt = Self {
            state: places.dev.join("apt"),
            archives: places.dev.join("packages"),
            root: places.dev.join("root"),
        };
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.state.join(folder))?;
        }
        fs::create_dir_all(&apt.archives)?;
        fs::create_dir_all(&apt.root)?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let state = self.state.display();
        for option in [
            format!("Dir::State::lists={state}/lists"),
            format!("Dir::Cache={state}/cache"),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Get::List-Cleanup=false".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Debug::NoLocking=true".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Unpacks `packages` and whatever they need that the machine does not have.
    fn unpack(&self, packages: &[&str]) -> Result<()> {
        // One broken source of many is no reason to stop: what is needed may come from the others.
        let updated = process::output(self.command("apt-get").arg("update"));
        let closure = match (self.closure(packages), updated) {
            (Ok(closure), _) => closure,
            (Err(error), Ok(_)) => return Err(error),
            (Err(_), Err(error)) => {
                return Err(error.context(format!(
                    "the package lists could not be fetched. Check the network, \
                     or install {} yourself",
                    packages.join(", "),
                )));
            }
        };
        self.download(&closure)?;
        for package in &closure {
            if self.extract(package).is_err() {
                // Damaged on the way, or by a run that was cut off: fetched once more.
                fs::remove_file(self.archive(package))?;
                self.download(&BTreeSet::from([package.clone()]))?;
                self.extract(package)?;
            }
        }
        // Unpacked, they only take room; the next time they would be too old anyway.
        fs::remove_dir_all(&self.archives)?;
        fs::remove_dir_all(&self.state)?;
        Ok(())
    }

    /// `name=version` of everything that installing `packages` would add to this machine.
    fn closure(&self, packages: &[&str]) -> Result<BTreeSet<String>> {
        let mut command = self.command("apt-get");
        command.args(["--simulate", "--no-install-recommends", "install"]);
        let plan = process::output(command.args(packages))
            .with_context(|| format!("apt does not offer {}", packages.join(" ")))?;
        Ok(plan.lines().filter_map(planned).collect())
    }

    /// Downloads what is not there yet.
    fn download(&self, packages: &BTreeSet<String>) -> Result<()> {
        let is_lacking = |package: &&String| !self.archive(package).exists();
        let lacking: Vec<_> = packages.iter().filter(is_lacking).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let arriving = self.archives.join("arriving");
        let _ = fs::remove_dir_all(&arriving); // Left by a run that was cut off, or not there.
        fs::create_dir_all(&arriving)?;
        let mut command = self.command("apt-get");
        command
            .arg("download")
            .args(&lacking)
            .current_dir(&arriving);
        let downloaded = process::output(&mut command);
        self.take_in(&arriving)?;
        downloaded.context(
            "packages could not be downloaded. Check the network and the free disk space, \
             then try again: what has arrived is kept",
        )?;
        match lacking.into_iter().find(is_lacking) {
            Some(package) => bail!("{package} did not arrive; try again"),
            None => Ok(()),
        }
    }

    /// Moves archives from `arriving` to the names that [`Apt::archive`] gives them.
    fn take_in(&self, arriving: &Path) -> Result<()> {
        for entry in fs::read_dir(arriving)? {
            let path = entry?.path();
            let mut command = Command::new("dpkg-deb");
            command.args(["--show", "--showformat", "${Package}=${Version}"]);
            // One that is cut off before its name is fetched again.
            if let Ok(package) = process::output(command.arg(&path)) {
                fs::rename(&path, self.archive(package.trim()))?;
            }
        }
        Ok(())
    }

    fn extract(&self, package: &str) -> Result<()> {
        let archive = self.archive(package);
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(&archive).arg(&self.root);
        process::output(&mut command)
            .with_context(|| format!("cannot unpack {}; is the disk full?", archive.display()))?;
        Ok(())
    }

    fn archive(&self, package: &str) -> PathBuf {
        self.archives
            .join(format!("{}.deb", package.replace(['/', ':'], "_")))
    }
}

/// Reads one line of apt's plan, `Inst name [old] (version source [arch])`.
fn planned(line: &str) -> Option<String> {
    let rest = line.strip_prefix("Inst ")?;
    let name = rest.split_whitespace().next()?;
    let version = rest.split_once('(')?.1.split_whitespace().next()?;
    let skipped = SKIPPED.iter().any(|prefix| name.starts_with(prefix));
    (!skipped).then(|| format!("{name}={version}"))
}

#[cfg(test)]
mod tests {
    use super::planned;

    #[test]
    fn the_plan_of_apt_names_packages_and_versions() {
        let line = "Inst redis-tools (5:7.0.15-1~deb12u5 Debian:12.11/stable [amd64]) []";
        let upgrade = "Inst libssl3 [3.0.15-1] (3.0.17-1~deb12u2 Debian-Security:12 [amd64])";

        assert_eq!(
            planned(line).as_deref(),
            Some("redis-tools=5:7.0.15-1~deb12u5")
        );
        assert_eq!(
            planned(upgrade).as_deref(),
            Some("libssl3=3.0.17-1~deb12u2")
        );
    }

    #[test]
    fn other_lines_and_the_compiler_of_postgres_are_left_out() {
        assert_eq!(
            planned("Conf redis-tools (5:7.0.15-1 Debian:12 [amd64])"),
            None
        );
        assert_eq!(
            planned("Inst libllvm14 (1:14.0.6-12 Debian:12 [amd64])"),
            None
        );
    }
}
