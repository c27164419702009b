//! The crates that we build on, held to deny.toml: their licences, what is banned, what is there twice,
//! and where all of it comes from. `cargo deny` reads the same file.
//!
//! Advisories are not looked up.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use serde::Deserialize;
use serde_json::Value;

use crate::tools;

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
    skip: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

fn rules() -> Rules {
    toml::from_str(&tools::read("deny.toml")).unwrap()
}

/// Every crate that is locked, on whatever platform.
fn packages() -> Vec<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(tools::path(""));
    let metadata: Value = serde_json::from_str(&tools::output(&mut metadata)).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The parts of an SPDX expression between `word`s that are in no brackets.
fn split(expression: &str, word: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![Vec::new()], 0);
    for token in expression.split_whitespace() {
        if depth == 0 && token == word {
            parts.push(Vec::new());
            continue;
        }
        depth += token.matches('(').count();
        depth -= token.matches(')').count();
        parts.last_mut().unwrap().push(token);
    }
    parts.into_iter().map(|part| part.join(" ")).collect()
}

/// Adds the licences by which a crate may be used; whether there are enough.
fn permits(expression: &str, allowed: &BTreeSet<String>, used: &mut BTreeSet<String>) -> bool {
    let choices = split(expression, "OR");
    if choices.len() > 1 {
        let permitted = choices.iter().map(|choice| permits(choice, allowed, used));
        return permitted.fold(false, |any, one| any | one);
    }
    let parts = split(expression, "AND");
    if parts.len() > 1 {
        return parts.iter().all(|part| permits(part, allowed, used));
    }
    if let Some(inside) = expression.strip_prefix('(') {
        return permits(inside.trim_end_matches(')'), allowed, used);
    }
    // An exception permits more.
    let name = expression.split(" WITH ").next().unwrap_or_default();
    used.insert(name.to_owned());
    allowed.contains(name)
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let Licenses { allow } = rules().licenses;
    let mut used = BTreeSet::new();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or_default();
        // The old way to write it.
        let expression = licence.replace('/', " OR ");
        let name = &package["name"];
        assert!(permits(&expression, &allow, &mut used), "{name}: {licence}");
    }
    let unused: Vec<_> = allow.difference(&used).collect();
    assert!(unused.is_empty(), "deny.toml allows for nobody: {unused:?}");
}

#[test]
fn a_licence_is_read_as_it_is_meant() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for (expression, is_allowed) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("GPL-3.0 WITH Classpath-exception-2.0 OR MIT WITH x", true),
    ] {
        let permitted = permits(expression, &allowed, &mut BTreeSet::new());
        assert_eq!(permitted, is_allowed, "{expression}");
    }
}

#[test]
fn no_crate_is_banned_or_there_twice_without_being_listed() {
    let Bans { deny, skip } = rules().bans;
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions
            .entry(text("name"))
            .or_default()
            .insert(text("version"));
    }

    for banned in deny {
        assert!(!versions.contains_key(&banned.name), "{}", banned.name);
    }
    let twice = versions.into_iter().filter(|(_, all)| all.len() > 1);
    let twice: BTreeSet<_> = twice.map(|(name, _)| name).collect();
    assert_eq!(twice, skip, "left is what there is, right what is listed");
}

#[test]
fn everything_comes_from_the_one_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        // Ours come from nowhere.
        let is_known = source
            .is_none_or(|source| source == "registry+https://github.com/rust-lang/crates.io-index");
        assert!(is_known, "{}: {source:?}", package["name"]);
    }
}
