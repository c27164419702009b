//! Rules about sources: which module may name which, where subjects are spelled, how long a file is.

use std::{
    fs,
    path::{Component, Path},
};

use anyhow::Result;

use super::{
    Violation,
    scan::{self, Strings},
};

/// Modules of a service that talk to the outside. They do what ports ask of them, so only wiring
/// needs their names.
const ADAPTERS: [&str; 6] = ["pg", "http", "nats", "redis", "files", TRANSPORT];

/// The adapter that defines what it asks of an application; those who answer it may name it.
const TRANSPORT: &str = "transport";

/// Files that put the parts of a service together.
const KNOW_ALL: [&str; 3] = ["wiring", "main", "lib"];

/// The one file that spells subjects.
const SUBJECTS: &str = "proto/src/subject.rs";

/// How subjects begin, in a literal.
const SUBJECT: &str = concat!("\"chat", ".v1.");

/// Lines of a file, its tests aside.
const LONGEST: usize = 500;

/// Checks one source `file` of the crate in `folder`.
pub(super) fn check(
    root: &Path,
    folder: &Path,
    file: &Path,
    violations: &mut Vec<Violation>,
) -> Result<()> {
    let source = fs::read_to_string(file)?;
    let relative = file.strip_prefix(root).unwrap_or(file);
    let modules = modules(file.strip_prefix(folder.join("src")).unwrap_or(file));
    if modules.iter().any(|module| module == "tests") {
        return Ok(());
    }
    let without_tests = before_tests(&source);
    let mut report = |line, what| {
        violations.push(Violation {
            file: relative.to_owned(),
            line,
            what,
        });
    };

    let length = without_tests.lines().count();
    if length > LONGEST {
        report(
            length,
            format!("{length} lines; a file has {LONGEST} at most"),
        );
    }
    if relative != Path::new(SUBJECTS) {
        let code = scan::code(without_tests, Strings::Kept);
        for (index, _) in code
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains(SUBJECT))
        {
            report(
                index + 1,
                format!("subjects are spelled in {SUBJECTS} alone"),
            );
        }
    }
    let in_service = relative.starts_with("services");
    if let Some(own) = modules.first().filter(|_| in_service)
        && !KNOW_ALL.contains(&own.as_str())
    {
        let code = scan::code(without_tests, Strings::Blanked);
        for (line, named) in scan::root_modules(&code, modules.len()) {
            let answers = named == TRANSPORT && own != "app" && !ADAPTERS.contains(&own.as_str());
            if ADAPTERS.contains(&named.as_str()) && named != *own && !answers {
                report(line, format!("`{own}` must not name the adapter `{named}`"));
            }
        }
    }
    Ok(())
}

/// The path of modules that a file below `src` is: `app/send.rs` and `app/send/mod.rs` are both
/// `app`, `send`.
fn modules(relative: &Path) -> Vec<String> {
    let mut modules: Vec<_> = relative
        .with_extension("")
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::Prefix(_) => None,
            Component::RootDir => None,
            Component::CurDir => None,
            Component::ParentDir => None,
        })
        .collect();
    if modules.len() > 1 && modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    modules
}

/// What comes before the tests, which come last in a file.
fn before_tests(source: &str) -> &str {
    let end = source.find("\n#[cfg(test)]\nmod ").unwrap_or(source.len());
    source.get(..end).unwrap_or(source)
}
