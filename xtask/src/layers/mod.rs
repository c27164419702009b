//! `cargo xtask layers`: who may know whom.
//!
//! The arrows of the design, read from manifests and sources. Rust lets any module name any other
//! and any crate any other that its manifest lists; these rules are what keeps the parts apart. It
//! checks names, not meaning: what a trait object hides is not seen.

mod manifests;
mod scan;
mod sources;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{cli::Args, places::Places};

/// Something that is not where it belongs.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// Relative to the workspace.
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Checks this workspace.
///
/// # Errors
///
/// When a rule is broken.
pub(crate) fn command(args: Args, places: &Places) -> Result<()> {
    args.finish()?;
    check(&places.workspace)
}

/// Checks the workspace at `root` and prints each violation as `file:line: what`.
///
/// # Errors
///
/// When there are any.
pub(crate) fn check(root: &Path) -> Result<()> {
    let violations = violations(root)?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("all layers are kept");
            Ok(())
        }
        1 => bail!("1 layer violation"),
        many => bail!("{many} layer violations"),
    }
}

fn violations(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for folder in crates(root)? {
        manifests::check(root, &folder, &mut violations)?;
        let mut files = Vec::new();
        rust_files(&folder.join("src"), &mut files)?;
        for file in files {
            sources::check(root, &folder, &file, &mut violations)?;
        }
    }
    Ok(violations)
}

/// The folders of all crates of the workspace.
fn crates(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.join("proto"), root.join("xtask")];
    for group in ["crates", "services"] {
        folders.extend(entries(&root.join(group))?);
    }
    folders.retain(|folder| folder.join("Cargo.toml").exists());
    Ok(folders)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is in a folder, sorted; nothing when there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
