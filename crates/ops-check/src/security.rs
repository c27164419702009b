//! SECURITY.md: what is said to show a line has to be there.

use std::collections::BTreeSet;

use crate::tools;

/// Names of tests, alone and behind that of their file, and of the files.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in ["crates", "services"]
        .iter()
        .flat_map(|folder| tools::files(folder, ".rs"))
    {
        let stem = file.rsplit('/').next().unwrap().trim_end_matches(".rs");
        let text = tools::read(&file);
        let tests = text.split("test]\n").skip(1).filter_map(|test| {
            let (_, name) = test.split_once("fn ")?;
            name.split_once('(').map(|(name, _)| name)
        });
        for test in tests {
            names.insert(stem.to_owned());
            names.insert(test.to_owned());
            names.insert(format!("{stem}::{test}"));
        }
    }
    names
}

/// The cells of the table below a heading.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = tools::read("SECURITY.md");
    let (_, rest) = text.split_once(&format!("## {heading}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.skip(1)
        .map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// What is named as code in a cell.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn what_is_said_to_be_shown_by_a_test_is() {
    let tests = tests();
    for row in [table("Against whom"), table("HIPAA § 164.312")].concat() {
        for name in named(&row[3]) {
            let is_file = name.contains('/') && tools::path(name).exists();
            assert!(is_file || tests.contains(name), "{}: {name}", row[1]);
        }
    }
}

#[test]
fn every_line_of_the_rules_for_health_data_names_a_test_or_says_that_there_is_none() {
    for row in table("HIPAA § 164.312") {
        let says_none = row[3] == "nothing here";
        assert!(says_none || named(&row[3]).next().is_some(), "{}", row[1]);
    }
}
