//! Rules about manifests: which crate may depend on which.

use std::{fs, path::Path};

use anyhow::Result;

use super::Violation;

/// What each of our crates may depend on among our crates.
const ARROWS: [(&str, &[&str]); 14] = [
    ("chat-domain", &[]),
    ("socketio-protocol", &[]),
    ("chat-proto", &["chat-domain"]),
    ("dialects", &["chat-domain"]),
    ("service-kit", &["chat-domain", "chat-proto"]),
    ("test-kit", &["chat-domain", "chat-proto"]),
    ("load-kit", &["socketio-protocol"]),
    ("loadtest", &["load-kit"]),
    ("chaos", &["chat-proto", "load-kit", "socketio-protocol"]),
    (
        "chat-store",
        &[
            "chat-domain",
            "chat-proto",
            "dialects",
            "service-kit",
            "test-kit",
        ],
    ),
    (
        "realtime-gateway",
        &[
            "chat-domain",
            "chat-proto",
            "dialects",
            "service-kit",
            "socketio-protocol",
            "test-kit",
        ],
    ),
    ("ops-check", &["chat-store", "realtime-gateway"]),
    (
        "fuzz-check",
        &[
            "chat-domain",
            "chat-proto",
            "dialects",
            "realtime-gateway",
            "service-kit",
            "socketio-protocol",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that compute and do nothing else.
const PURE: [&str; 3] = ["chat-domain", "socketio-protocol", "dialects"];

/// Crates that do I/O, with everything whose name begins like theirs.
const IO: [&str; 7] = [
    "tokio",
    "axum",
    "sqlx",
    "async-nats",
    "redis",
    "hyper",
    "reqwest",
];

/// A line of a manifest that names a dependency.
#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    name: String,
    line: usize,
    only_for_tests: bool,
}

/// Checks the manifest of the crate in `folder`.
pub(super) fn check(root: &Path, folder: &Path, violations: &mut Vec<Violation>) -> Result<()> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path)?;
    let file = path.strip_prefix(root).unwrap_or(&path);
    let mut report = |line, what| {
        violations.push(Violation {
            file: file.to_owned(),
            line,
            what,
        });
    };

    let name = package_name(&text);
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        report(
            1,
            format!("{name} has no place in the layers yet; give it one in xtask"),
        );
        return Ok(());
    };
    for dependency in dependencies(&text) {
        let on = dependency.name.as_str();
        let ours = ARROWS.iter().any(|(known, _)| *known == on);
        if ours && !allowed.contains(&on) {
            report(dependency.line, format!("{name} must not depend on {on}"));
        }
        if on == "test-kit" && !dependency.only_for_tests {
            report(dependency.line, "test-kit is for tests alone".to_owned());
        }
        if PURE.contains(&name) && IO.iter().any(|io| on.starts_with(io)) {
            report(
                dependency.line,
                format!("{name} does no I/O, so it has no use for {on}"),
            );
        }
    }
    Ok(())
}

fn package_name(manifest: &str) -> &str {
    manifest
        .lines()
        .find_map(|line| line.strip_prefix("name"))
        .and_then(|rest| rest.split('"').nth(1))
        .unwrap_or("?")
}

/// Reads `name = ..`, `name.workspace = true` and `[dependencies.name]`, under whatever target, and
/// sees through `package = "name"`.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = "";
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        let name = if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            section.split_once("dependencies.").map(|(_, name)| name)
        } else if section.ends_with("dependencies") && !line.starts_with('#') {
            let renamed = line
                .split_once("package")
                .and_then(|(_, rest)| rest.split('"').nth(1));
            renamed.or_else(|| line.split(['=', '.', ' ']).next())
        } else {
            None
        };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            found.push(Dependency {
                name: name.to_owned(),
                line: index + 1,
                only_for_tests: section.contains("dev-dependencies"),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::dependencies;

    #[test]
    fn every_way_to_list_a_dependency_is_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# why\na.workspace = true\n\
                        b = \"1\"\nc = { version = \"1\", package = \"real\" }\n\
                        [target.'cfg(unix)'.dependencies]\nd = \"1\"\n\
                        [dev-dependencies.e]\nversion = \"1\"\n[lints]\nworkspace = true\n";

        let found: Vec<_> = dependencies(manifest)
            .into_iter()
            .map(|found| (found.name, found.line, found.only_for_tests))
            .collect();

        let expected = [
            ("a", 5, false),
            ("b", 6, false),
            ("real", 7, false),
            ("d", 9, false),
            ("e", 10, true),
        ];
        assert_eq!(
            found,
            expected.map(|(name, line, tests)| (name.to_owned(), line, tests))
        );
    }
}
