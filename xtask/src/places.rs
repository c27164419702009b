//! Where things are: the workspace, the build output, and the folder that xtask may fill.
//!
//! Nothing outside these folders is ever written.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

/// Bytes that must be free before anything is fetched, built or started.
const MIN_FREE: u64 = 1 << 30;

/// The folders of this checkout.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The root of the workspace.
    pub(crate) workspace: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Fetched packages, data and logs: `.dev`, or for root a folder under `/var/tmp`.
    pub(crate) dev: PathBuf,
}

impl Places {
    /// Finds the folders and creates `dev`.
    ///
    /// `CARE_CHAT_DEV` names another `dev` folder. Root gets one outside the workspace, because
    /// Postgres refuses to run as root and the user it runs as must be able to reach its files.
    ///
    /// # Errors
    ///
    /// When a folder can't be created, or the one for root belongs to somebody else.
    pub(crate) fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let workspace = manifest
            .parent()
            .context("xtask has no parent folder")?
            .to_owned();
        // target/<profile>/xtask
        let target = std::env::current_exe()?
            .ancestors()
            .nth(2)
            .context("xtask is not in a target folder")?
            .to_owned();
        let dev = match std::env::var_os("CARE_CHAT_DEV") {
            Some(folder) => std::path::absolute(folder)?,
            None if is_root() => folder_for_root(&workspace)?,
            None => workspace.join(".dev"),
        };
        fs::create_dir_all(&dev).with_context(|| format!("cannot create {}", dev.display()))?;
        Ok(Self {
            workspace,
            target,
            dev,
        })
    }

    /// Makes sure that there is room for data and build output.
    ///
    /// # Errors
    ///
    /// Names the folder whose disk is nearly full.
    pub(crate) fn check_disk(&self) -> Result<()> {
        for folder in [&self.dev, &self.target] {
            let disk = rustix::fs::statvfs(folder)?;
            let free = disk.f_bavail * disk.f_frsize;
            ensure!(
                free >= MIN_FREE,
                "only {} MB are free on the disk of {}; 1 GB is needed. \
                 Free some (`cargo clean` drops the build output), then try again",
                free >> 20,
                folder.display(),
            );
        }
        Ok(())
    }
}

/// Says whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns `/var/tmp/care-chat-<hash of the workspace>`, created and known to be root's own.
fn folder_for_root(workspace: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    workspace.hash(&mut hasher);
    let name = format!("care-chat-{:016x}", hasher.finish());

    let lasting = Path::new("/var/tmp");
    let folder = if lasting.is_dir() {
        lasting.join(name)
    } else {
        std::env::temp_dir().join(name)
    };
    match fs::create_dir(&folder) {
        Ok(()) => fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => bail!("cannot create {}: {error}", folder.display()),
    }
    let found = fs::symlink_metadata(&folder)?;
    ensure!(
        found.is_dir() && found.uid() == 0,
        "{} is not a folder of root; remove it or set CARE_CHAT_DEV to another folder",
        folder.display(),
    );
    Ok(folder)
}
