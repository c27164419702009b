//! Secrets for development, made here and kept in the run folder.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};

/// Returns 32 random bytes in hex.
///
/// # Errors
///
/// When the system has no randomness to give.
pub(crate) fn random() -> Result<String> {
    let mut bytes = [0_u8; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // Writing to a string never fails.
    }
    Ok(text)
}

/// Returns the secret in `file`; the first call makes it.
///
/// # Errors
///
/// When the file can't be read or written.
pub(crate) fn kept(file: &Path) -> Result<String> {
    kept_or(file, random)
}

/// Returns the secret in `file`; the first call has it made.
///
/// # Errors
///
/// When it can't be made, or the file can't be read or written.
pub(crate) fn kept_or(file: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match fs::read_to_string(file) {
        Ok(secret) => Ok(secret),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = make()?;
            write_private(file, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Writes `text` to a file that only its owner can read, whole or not at all.
///
/// # Errors
///
/// When the file can't be written.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<()> {
    let arriving = file.with_extension(format!("arriving-{}", std::process::id()));
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&arriving)
        .and_then(|mut output| output.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&arriving, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
