//! The rules on small trees.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::violations;

/// A workspace made of files, removed when dropped.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn violations(&self) -> Vec<String> {
        let found = violations(&self.0).unwrap();
        found.iter().map(ToString::to_string).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const STORE: (&str, &str) = (
    "services/chat-store/Cargo.toml",
    "[package]\nname = \"chat-store\"\n[dependencies]\nchat-domain.workspace = true\n",
);

#[test]
fn a_tree_that_keeps_the_layers_passes() {
    let tree = Tree::new(
        "clean",
        &[
            STORE,
            (
                "services/chat-store/src/wiring.rs",
                "use crate::{pg, nats, app};\n",
            ),
            (
                "services/chat-store/src/app/mod.rs",
                "//! Not crate::pg.\nuse crate::ports;\n",
            ),
            (
                "services/chat-store/src/pg/mod.rs",
                "use crate::{app, pg::rows};\n",
            ),
            (
                "proto/Cargo.toml",
                "[package]\nname = \"chat-proto\"\n[dependencies]\nchat-domain = { path = \"x\" }\n",
            ),
            (
                "proto/src/subject.rs",
                concat!("const A: &str = \"chat", ".v1.rpc\";\n"),
            ),
        ],
    );

    assert_eq!(tree.violations(), Vec::<String>::new());
}

#[test]
fn crates_do_not_depend_upwards_or_on_their_equals() {
    let tree = Tree::new(
        "arrows",
        &[
            (
                "crates/chat-domain/Cargo.toml",
                "[package]\nname = \"chat-domain\"\n[dependencies]\nchat-proto = \"1\"\n",
            ),
            (
                "services/chat-store/Cargo.toml",
                "[package]\nname = \"chat-store\"\n[dependencies]\nrealtime-gateway = \"1\"\n",
            ),
        ],
    );

    assert_eq!(
        tree.violations(),
        [
            "crates/chat-domain/Cargo.toml:4: chat-domain must not depend on chat-proto",
            "services/chat-store/Cargo.toml:4: chat-store must not depend on realtime-gateway",
        ],
    );
}

#[test]
fn pure_crates_have_no_io_not_even_in_tests() {
    let tree = Tree::new(
        "pure",
        &[(
            "crates/dialects/Cargo.toml",
            "[package]\nname = \"dialects\"\n[dev-dependencies]\ntokio-util = \"1\"\n",
        )],
    );

    assert_eq!(
        tree.violations(),
        ["crates/dialects/Cargo.toml:4: dialects does no I/O, so it has no use for tokio-util"],
    );
}

#[test]
fn helpers_of_tests_stay_out_of_services_and_new_crates_get_a_place() {
    let tree = Tree::new(
        "helpers",
        &[
            ("crates/new/Cargo.toml", "[package]\nname = \"new\"\n"),
            (
                "services/chat-store/Cargo.toml",
                "[package]\nname = \"chat-store\"\n[dependencies]\ntest-kit = \"1\"\n",
            ),
        ],
    );

    assert_eq!(
        tree.violations(),
        [
            "crates/new/Cargo.toml:1: new has no place in the layers yet; give it one in xtask",
            "services/chat-store/Cargo.toml:4: test-kit is for tests alone",
        ],
    );
}

#[test]
fn use_cases_and_adapters_do_not_name_adapters() {
    let tree = Tree::new(
        "adapters",
        &[
            STORE,
            (
                "services/chat-store/src/app/send.rs",
                "fn a() {\n    crate::pg::insert();\n}\n",
            ),
            (
                "services/chat-store/src/nats/mod.rs",
                "use crate::{\n    app,\n    http::status,\n};\nuse super::pg;\n",
            ),
        ],
    );

    assert_eq!(
        tree.violations(),
        [
            "services/chat-store/src/app/send.rs:2: `app` must not name the adapter `pg`",
            "services/chat-store/src/nats/mod.rs:3: `nats` must not name the adapter `http`",
            "services/chat-store/src/nats/mod.rs:5: `nats` must not name the adapter `pg`",
        ],
    );
}

#[test]
fn those_who_answer_the_transport_may_name_it_and_adapters_may_not() {
    let tree = Tree::new(
        "transport",
        &[
            STORE,
            (
                "services/chat-store/src/events.rs",
                "use crate::transport::Application;\n",
            ),
            (
                "services/chat-store/src/nats.rs",
                "use crate::transport::Application;\n",
            ),
        ],
    );

    assert_eq!(
        tree.violations(),
        ["services/chat-store/src/nats.rs:1: `nats` must not name the adapter `transport`"],
    );
}

#[test]
fn subjects_are_spelled_once_except_in_tests_and_comments() {
    let source = concat!(
        "//! `\"chat",
        ".v1.rpc\"` is one.\nconst A: &str = \"chat",
        ".v1.rpc\";\n",
        "\n#[cfg(test)]\nmod tests {\n    const B: &str = \"chat",
        ".v1.rpc\";\n}\n",
    );
    let tree = Tree::new(
        "subjects",
        &[STORE, ("services/chat-store/src/nats/mod.rs", source)],
    );

    assert_eq!(
        tree.violations(),
        [
            "services/chat-store/src/nats/mod.rs:2: subjects are spelled in proto/src/subject.rs alone"
        ],
    );
}

#[test]
fn a_file_over_500_lines_is_reported_but_its_tests_do_not_count() {
    let long = "// line\n".repeat(501);
    let tests = format!(
        "{}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "// line\n".repeat(499),
        "// line\n".repeat(400)
    );
    let tree = Tree::new(
        "length",
        &[
            STORE,
            ("services/chat-store/src/a.rs", &long),
            ("services/chat-store/src/b.rs", &tests),
            ("services/chat-store/src/b/tests.rs", &long),
        ],
    );

    assert_eq!(
        tree.violations(),
        ["services/chat-store/src/a.rs:501: 501 lines; a file has 500 at most"],
    );
}
