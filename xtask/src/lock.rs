//! Locks between several runs of xtask on one checkout.
//!
//! The kernel lets go of them when a process ends, in whatever way, so none is ever stale.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

/// Waits for the lock at `path`, and says so if another process has it.
///
/// # Errors
///
/// When the file can't be created or locked.
pub(crate) fn wait(path: &Path) -> Result<Lock> {
    match attempt(path)? {
        Ok(lock) => Ok(lock),
        Err(holder) => {
            eprintln!("waiting for process {holder}, which fetches packages ...");
            let file = open(path)?;
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
            hold(file)
        }
    }
}

/// Takes the lock at `path`, or returns the process id of the holder.
///
/// # Errors
///
/// When the file can't be created or locked.
pub(crate) fn attempt(path: &Path) -> Result<std::result::Result<Lock, String>> {
    let mut file = open(path)?;
    match file.try_lock() {
        Ok(()) => hold(file).map(Ok),
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            Ok(Err(holder))
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Leaves word of who has the lock.
fn hold(mut file: File) -> Result<Lock> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(Lock(file))
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}
