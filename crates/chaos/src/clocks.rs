//! What the services take for the time of day: a file for each, read by `crates/chaos/clock.c`.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use anyhow::Context as _;

/// The clocks of all services, in a folder that xtask prepared.
#[derive(Debug, Clone)]
pub struct Clocks(pub PathBuf);

impl Clocks {
    /// Sets the clock of a service so many seconds ahead of the machine's, or behind it.
    ///
    /// # Errors
    ///
    /// Returns that the service has no clock of its own.
    pub fn shift(&self, name: &str, seconds: i64) -> anyhow::Result<()> {
        // In place: the service has it mapped.
        let file = OpenOptions::new().write(true).open(self.0.join(name));
        let mut file = file.with_context(|| format!("{name} has no clock of its own"))?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }
}
