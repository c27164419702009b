//! Debian packages without root: downloaded and unpacked into a folder, nothing installed.
//!
//! Uses the package sources and keys of the machine, or those of a release of Debian, and lists, cache
//! and files of its own. It runs no package's scripts.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{places::Places, process};

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

/// The keys that sign Debian, below the root.
const KEYS: &str = "usr/share/keyrings/debian-archive-keyring.gpg";

/// apt with folders of its own.
pub(crate) struct Apt {
    state: PathBuf,
    archives: PathBuf,
    root: PathBuf,
    /// The file with the package sources, in place of the machine's.
    sources: Option<PathBuf>,
}

impl Apt {
    pub(crate) fn new(places: &Places) -> Result<Self> {
        let apt = Self {
            state: places.dev.join("apt"),
            archives: places.dev.join("packages"),
            root: places.dev.join("root"),
            sources: None,
        };
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.state.join(folder))?;
        }
        fs::create_dir_all(&apt.archives)?;
        fs::create_dir_all(&apt.root)?;
        Ok(apt)
    }

    /// As [`Apt::new`], with the packages of a `release` of Debian: for programs that bring all they
    /// need, and that the machine's own release does not have, or too old.
    ///
    /// # Errors
    ///
    /// When a folder can't be written, or Debian's keys can't be fetched where they are missing.
    pub(crate) fn debian(places: &Places, release: &str) -> Result<Self> {
        let mut keys = PathBuf::from("/").join(KEYS);
        if !keys.exists() {
            keys = places.dev.join("root").join(KEYS);
        }
        if !keys.exists() {
            Self::new(places)?.unpack(&["debian-archive-keyring"])?;
        }
        let mut apt = Self::new(places)?;
        let sources = apt.state.join("sources.list");
        let keys = keys.display();
        fs::write(
            &sources,
            format!("deb [signed-by={keys}] http://deb.debian.org/debian {release} main\n"),
        )?;
        apt.sources = Some(sources);
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
        if let Some(sources) = &self.sources {
            let list = format!("Dir::Etc::SourceList={}", sources.display());
            command.args(["-o", &list, "-o", "Dir::Etc::SourceParts=/dev/null"]);
        }
        command
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Unpacks `packages` and whatever they need that the machine does not have.
    pub(crate) fn unpack(&self, packages: &[&str]) -> Result<()> {
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
