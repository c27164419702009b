//! What a run found: for people, for machines, and as a page.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what the tool is for"
)]

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use super::{
    log::{Log, Quantiles, Second, Totals},
    page,
    talk::Outcome,
};

/// What was asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Settings {
    pub(crate) conversations: u32,
    pub(crate) connections: usize,
    pub(crate) rate: u32,
    pub(crate) calls: u32,
    pub(crate) seconds: u64,
}

/// Everything that is told about a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) url: String,
    pub(crate) settings: Settings,
    pub(crate) outcome: Outcome,
    pub(crate) totals: Totals,
    pub(crate) seconds: Vec<Second>,
}

impl Summary {
    pub(crate) fn new(url: &str, settings: Settings, log: &Log, outcome: Outcome) -> Self {
        Self {
            url: url.to_owned(),
            settings,
            outcome,
            totals: log.totals(),
            seconds: log.seconds(),
        }
    }

    /// Tells whether every confirmed message came once and in order.
    pub(crate) const fn is_right(&self) -> bool {
        self.outcome.lost == 0 && self.outcome.doubled == 0 && self.outcome.out_of_order == 0
    }

    /// Prints the text, and writes it, the JSON and the page into a folder.
    ///
    /// # Errors
    ///
    /// Returns that the folder cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = self.text();
        print!("{text}");
        let put = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
        };
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        put("report.txt", text.as_bytes())?;
        put("report.json", &serde_json::to_vec_pretty(self)?)?;
        put("report.html", page::page(self).as_bytes())?;
        println!("\n{} shows it", folder.join("report.html").display());
        Ok(())
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.rows() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<44}{value}");
        }
        text
    }

    /// Returns what is told, line by line.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let Totals {
            connected,
            connections_failed,
            connections_lost,
            recovered,
            sent,
            confirmed,
            heard,
            calls,
            calls_failed,
            errors,
            ..
        } = &self.totals;
        let totals = &self.totals;
        let mut rows = vec![
            ("sockets connected", connected.to_string()),
            (
                "sockets that could not connect",
                connections_failed.to_string(),
            ),
            ("  connecting took", times(totals.connect_ms)),
            ("connections lost and back", connections_lost.to_string()),
            ("  with everything that was missed", recovered.to_string()),
            ("  away for", times(totals.away_ms)),
            ("messages sent", sent.to_string()),
            ("messages confirmed", confirmed.to_string()),
            ("  confirmed after", times(totals.confirmed_ms)),
            ("messages heard by the other side", heard.to_string()),
            ("  heard after", times(totals.heard_ms)),
            (
                "messages not confirmed",
                self.outcome.unconfirmed.to_string(),
            ),
            ("confirmed messages LOST", self.outcome.lost.to_string()),
            ("messages DOUBLED", self.outcome.doubled.to_string()),
            (
                "messages OUT OF ORDER",
                self.outcome.out_of_order.to_string(),
            ),
            ("calls", calls.to_string()),
            ("calls that failed", calls_failed.to_string()),
            ("  the other side rang after", times(totals.ring_ms)),
        ];
        let errors = errors.iter().map(|(code, n)| format!("{n} x {code}"));
        let errors: Vec<String> = errors.collect();
        if !errors.is_empty() {
            rows.push(("refusals", errors.join(", ")));
        }
        rows
    }
}

/// Tells the person who waits what is going on.
pub(crate) fn tell(text: &str) {
    eprintln!("loadtest: {text}");
}

/// Tells of one second, while it goes on.
pub(crate) fn line(n: usize, second: &Second) -> String {
    format!(
        "{n:>4} s: {} sent, {} confirmed, {} heard, after {}{}",
        second.sent,
        second.confirmed,
        second.heard,
        times(second.heard_ms),
        match second.connections_lost {
            0 => String::new(),
            lost => format!(", {lost} connections lost"),
        }
    )
}

fn times(quantiles: Option<Quantiles>) -> String {
    quantiles.map_or_else(
        || "-".to_owned(),
        |Quantiles { p50, p99, max }| {
            format!("p50 {p50:.1} ms, p99 {p99:.1} ms, at most {max:.1} ms")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_wrong_with_one_message_that_is() {
        let settings = Settings {
            conversations: 1,
            connections: 0,
            rate: 1,
            calls: 0,
            seconds: 1,
        };
        let is_right = |outcome| Summary::new("u", settings, &Log::new(), outcome).is_right();
        let right = Outcome::default();

        assert!(is_right(right));
        assert!(!is_right(Outcome { lost: 1, ..right }));
        assert!(!is_right(Outcome {
            doubled: 1,
            ..right
        }));
        assert!(!is_right(Outcome {
            out_of_order: 1,
            ..right
        }));
    }
}
