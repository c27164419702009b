//! Shows the warnings and errors of services as they are logged.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::Result;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct Tail {
    name: String,
    log: BufReader<File>,
    /// The beginning of a line whose end is not written yet.
    partial: String,
}

impl Tail {
    /// Follows `log` from its present end.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub(crate) fn follow(name: &str, log: &Path) -> Result<Self> {
        let mut log = BufReader::new(File::open(log)?);
        log.seek(SeekFrom::End(0))?;
        Ok(Self {
            name: name.to_owned(),
            log,
            partial: String::new(),
        })
    }

    /// Prints what has been logged since the last call and matters.
    pub(crate) fn show(&mut self) {
        // A log that can't be read any more is no reason to end a system that works.
        while let Ok(1..) = self.log.read_line(&mut self.partial) {
            if !self.partial.ends_with('\n') {
                return;
            }
            if matters(&self.partial) {
                eprint!("[{}] {}", self.name, self.partial);
            }
            self.partial.clear();
        }
    }
}

/// Says whether a line is a warning, an error or a panic.
fn matters(line: &str) -> bool {
    let level = line.split_whitespace().nth(1);
    matches!(level, Some("WARN" | "ERROR")) || line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::matters;

    #[test]
    fn warnings_errors_and_panics_matter() {
        assert!(matters("2026-11-21T01:02:03Z  WARN chat_store: slow\n"));
        assert!(matters("2026-11-21T01:02:03Z ERROR chat_store: lost\n"));
        assert!(matters("thread 'main' panicked at src/main.rs:1:1\n"));
        assert!(!matters(
            "2026-11-21T01:02:03Z  INFO chat_store: no WARN here\n"
        ));
    }
}
