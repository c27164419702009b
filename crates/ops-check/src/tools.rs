//! The workspace's files, and the programs that read them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A path in the workspace.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// Reads a file of the workspace.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files in a folder of the workspace with this ending, as names in the workspace.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path(folder)).unwrap() {
        let name = format!(
            "{folder}/{}",
            entry.unwrap().file_name().into_string().unwrap()
        );
        if path(&name).is_dir() {
            found.extend(files(&name, ending));
        } else if name.ends_with(ending) {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// A program that `cargo xtask ops` has found, to be run in the workspace.
pub(crate) fn command(variable: &str) -> Command {
    let program = env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set; run these tests by `cargo xtask ops`"));
    let mut command = Command::new(program);
    command.current_dir(path(""));
    if let Some(libraries) = env::var_os("CHAT_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

/// What a program prints; fails with what it complains about.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Whether an image is always the same: its tag is the whole version, which Postgres has in two parts.
pub(crate) fn is_exact(image: &str) -> bool {
    let Some((name, tag)) = image.rsplit_once(':') else {
        return false;
    };
    let version = tag.trim_start_matches('v').split('-').next().unwrap();
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let n_parts = version.split('.').filter(|part| is_number(part)).count();
    n_parts == if name == "postgres" { 2 } else { 3 }
}

#[test]
fn a_version_in_part_is_not_exact() {
    for image in [
        "nats:2.11.15-alpine",
        "prom/prometheus:v2.53.3",
        "postgres:17.6-bookworm",
    ] {
        assert!(is_exact(image), "{image}");
    }
    for image in ["nats", "nats:latest", "nats:2.11-alpine", "postgres:17"] {
        assert!(!is_exact(image), "{image}");
    }
}
