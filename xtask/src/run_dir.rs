//! The folder of one running system: data, secrets, logs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{
    lock::{self, Lock},
    places::Places,
};

/// How long data lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Until somebody deletes it; one run at a time.
    Forever,
    /// Until the run ends; any number of runs at a time.
    ThisRun,
}

/// A run folder that no other run uses; an ephemeral one is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct RunDir {
    /// The folder.
    pub(crate) path: PathBuf,
    keep: Keep,
    _lock: Lock,
}

impl RunDir {
    /// Opens the lasting folder or makes a fresh one.
    ///
    /// # Errors
    ///
    /// When another run has the lasting folder, or the disk is nearly full.
    pub(crate) fn open(places: &Places, keep: Keep) -> Result<Self> {
        places.check_disk()?;
        let path = match keep {
            Keep::Forever => lasting(places),
            Keep::ThisRun => {
                let ephemeral = places.dev.join("ephemeral");
                remove_orphans(&ephemeral);
                ephemeral.join(std::process::id().to_string())
            }
        };
        fs::create_dir_all(path.join("log"))?;
        match lock::attempt(&path.join("lock"))? {
            Ok(lock) => Ok(Self {
                path,
                keep,
                _lock: lock,
            }),
            Err(holder) => bail!(
                "process {holder} already runs on the data in {}; stop it, \
                 or start a second system with --ephemeral and another --port",
                path.display(),
            ),
        }
    }

    /// Where the output of `name` goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path.join("log").join(format!("{name}.log"))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.keep == Keep::ThisRun {
            // Whatever can't be removed now is removed by the next ephemeral run.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The folder of [`Keep::Forever`].
pub(crate) fn lasting(places: &Places) -> PathBuf {
    places.dev.join("run")
}

/// Removes the folders of runs that were killed before they could do so.
fn remove_orphans(ephemeral: &Path) {
    for entry in fs::read_dir(ephemeral).into_iter().flatten().flatten() {
        let path = entry.path();
        if let Ok(Ok(_unused)) = lock::attempt(&path.join("lock")) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
