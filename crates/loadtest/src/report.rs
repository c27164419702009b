//! The figures, as a table for people and as JSON for machines.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what the tool is for"
)]

use std::path::Path;

use serde::Serialize;

use crate::machine;

/// One measured figure beside its yardstick.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The value, with its unit.
    pub(crate) value: String,
    /// What it is held against, measured in the same run, or the budget.
    pub(crate) yardstick: String,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    figures: Vec<Figure>,
}

impl Report {
    /// Starts an empty report about this machine.
    pub(crate) fn new() -> Self {
        Self {
            machine: machine::describe(),
            figures: Vec::new(),
        }
    }

    /// Tells the person who waits what is going on.
    #[expect(clippy::unused_self, reason = "reads as what it is at the call")]
    pub(crate) fn progress(&self, step: &str) {
        eprintln!("bench: {step} ...");
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, name: &str, value: String, yardstick: String) {
        eprintln!("bench:   {name}: {value} ({yardstick})");
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            yardstick,
        });
    }

    /// Prints the table and writes the JSON.
    pub(crate) fn finish(&self, json: Option<&Path>) -> anyhow::Result<()> {
        println!("Machine: {}\n", self.machine);
        println!("| figure | measured | beside |\n|---|---|---|");
        for Figure {
            name,
            value,
            yardstick,
        } in &self.figures
        {
            println!("| {name} | {value} | {yardstick} |");
        }
        if let Some(path) = json {
            std::fs::write(path, serde_json::to_vec_pretty(self)?)?;
        }
        Ok(())
    }
}
