//! The programs as their settings describe them, and what is wrong with an environment for one.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command, CommandFactory as _};

use crate::tools;

/// Variables by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// How a setting begins that names a file with a secret.
pub(crate) const FILE: &str = "file:";

/// Where secrets are mounted.
pub(crate) const SECRETS: &str = "/run/secrets/";

/// A program, and the image that it comes in.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    settings: Command,
    /// What the image sets.
    pub(crate) image: Environment,
}

impl Program {
    pub(crate) fn store() -> Self {
        Self::new("chat-store", subcommand("serve"))
    }

    pub(crate) fn migrate() -> Self {
        Self::new("chat-store", subcommand("migrate"))
    }

    pub(crate) fn gateway() -> Self {
        let settings = realtime_gateway::config::Config::command();
        Self::new("realtime-gateway", settings)
    }

    /// The program that a container runs: by its name, and its arguments.
    pub(crate) fn of(name: &str, arguments: &[&str]) -> Option<Self> {
        match (name, arguments) {
            ("chat-store", []) => Some(Self::store()),
            ("chat-store", ["migrate"]) => Some(Self::migrate()),
            ("realtime-gateway", []) => Some(Self::gateway()),
            ("chat-store" | "realtime-gateway", _) => panic!("{name} {arguments:?}"),
            _ => None,
        }
    }

    fn new(name: &'static str, settings: Command) -> Self {
        let image = image_environment(name);
        Self {
            name,
            settings,
            image,
        }
    }

    fn arguments(&self) -> impl Iterator<Item = (String, &Arg)> {
        self.settings
            .get_arguments()
            .filter_map(|arg| Some((arg.get_env()?.to_str()?.to_owned(), arg)))
    }

    /// The port of each address that it listens on in its image, by the variable.
    pub(crate) fn ports(&self) -> BTreeMap<String, u16> {
        self.image
            .iter()
            .filter(|(name, _)| name.ends_with("_LISTEN"))
            .map(|(name, address)| (name.clone(), port(address)))
            .collect()
    }

    /// The port of health and metrics.
    pub(crate) fn admin_port(&self) -> u16 {
        let ports = self.ports();
        let admin = ports.iter().find(|(name, _)| name.contains("_ADMIN_"));
        *admin.unwrap().1
    }

    /// What is wrong with `environment` over the image's own: unknown names, missing and malformed
    /// values, secrets that are not in one of the files `mounted` below [`SECRETS`].
    pub(crate) fn complaints(
        &self,
        environment: &Environment,
        mounted: &BTreeSet<String>,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        let known: BTreeMap<_, _> = self.arguments().collect();
        for (name, value) in environment {
            match known.get(name) {
                None => complaints.push(format!("{} has no setting {name}", self.name)),
                Some(arg) if arg.is_hide_env_values_set() => match value.strip_prefix(FILE) {
                    None => complaints.push(format!("{name} is a secret and in no file")),
                    Some(file) if !is_mounted(file, mounted) => {
                        complaints.push(format!("{name}: {file} is not mounted"));
                    }
                    Some(_) => {}
                },
                Some(_) if value.starts_with('/') && !is_mounted(value, mounted) => {
                    complaints.push(format!("{name}: {value} is not mounted"));
                }
                Some(_) => {}
            }
        }
        let arguments =
            std::iter::once(self.name.to_owned()).chain(known.iter().filter_map(|(name, arg)| {
                let value = environment.get(name).or_else(|| self.image.get(name))?;
                // The files are not here.
                let value = if value.starts_with(FILE) { "x" } else { value };
                Some(format!("--{}={value}", arg.get_long()?))
            }));
        // Without what this process has in its own environment.
        let settings = self.settings.clone().mut_args(|arg| arg.env(None::<&str>));
        if let Err(error) = settings.try_get_matches_from(arguments) {
            complaints.push(error.to_string());
        }
        complaints
    }
}

/// The port at the end of an address.
pub(crate) fn port(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

fn is_mounted(file: &str, mounted: &BTreeSet<String>) -> bool {
    file.strip_prefix(SECRETS)
        .is_some_and(|name| mounted.contains(name))
}

fn subcommand(name: &str) -> Command {
    let cli = chat_store::config::Cli::command();
    cli.find_subcommand(name).unwrap().clone()
}

/// The lines of an image's recipe, those that go on joined.
fn instructions(name: &str) -> Vec<String> {
    let recipe = tools::read(&format!("deploy/docker/{name}.Dockerfile"));
    let recipe = recipe.replace("\\\n", " ");
    recipe.lines().map(str::to_owned).collect()
}

fn image_environment(name: &str) -> Environment {
    instructions(name)
        .iter()
        .filter_map(|line| line.strip_prefix("ENV "))
        .flat_map(str::split_whitespace)
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn images_listen_everywhere_on_the_ports_that_are_the_default() {
    for program in [Program::store(), Program::gateway()] {
        let listening = program.arguments().filter_map(|(name, arg)| {
            let default = arg.get_default_values().first()?.to_str()?;
            name.ends_with("_LISTEN").then(|| (name, port(default)))
        });
        assert_eq!(program.ports(), listening.collect(), "{}", program.name);
        for (name, value) in &program.image {
            assert!(!name.ends_with("_LISTEN") || value.starts_with("0.0.0.0:"));
        }
        let lines = instructions(program.name);
        let exposed = lines.iter().find_map(|line| line.strip_prefix("EXPOSE "));
        let exposed = exposed.unwrap().split_whitespace();
        let exposed: BTreeSet<u16> = exposed.map(|port| port.parse().unwrap()).collect();
        assert_eq!(exposed, program.ports().into_values().collect());
    }
}

#[test]
fn images_run_the_program_without_root_and_ask_it_whether_it_is_ready() {
    for program in [Program::store(), Program::gateway()] {
        let lines = instructions(program.name);
        let after = |word| lines.iter().rev().find_map(|line| line.strip_prefix(word));
        let path = format!("[\"/usr/local/bin/{}\"", program.name);

        assert_eq!(after("USER "), Some("65532:65532"));
        assert_eq!(after("ENTRYPOINT "), Some(format!("{path}]").as_str()));
        let (_, check) = after("HEALTHCHECK ").unwrap().split_once("CMD ").unwrap();
        assert_eq!(check, format!("{path}, \"--probe\"]"));
        assert!(after("FROM ").unwrap().contains("distroless"));
        program
            .settings
            .get_arguments()
            .find(|arg| arg.get_long() == Some("probe"))
            .unwrap();
    }
}

#[test]
fn images_are_built_with_the_toolchain_of_the_workspace() {
    let toolchain = tools::read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.unwrap().trim_matches('"');
    for name in ["chat-store", "realtime-gateway"] {
        let from = format!("FROM rust:{channel}-bookworm AS build");
        assert!(instructions(name).contains(&from), "{name}: {from}");
    }
}

#[test]
fn a_wrong_environment_is_complained_about() {
    let none = BTreeSet::new();
    let good = [
        ("CHAT_APPS_FILE", "/run/secrets/apps.toml"),
        ("NATS_URL", "file:/run/secrets/nats.url"),
    ];
    let mounted = ["apps.toml", "nats.url"].map(str::to_owned).into();
    let complaints = |more: &[(&str, &str)], mounted| {
        let all = good.iter().chain(more);
        let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Program::gateway().complaints(&all.collect(), mounted).len()
    };

    assert_eq!(complaints(&[], &mounted), 0);
    assert_eq!(complaints(&[], &none), 2);
    assert_eq!(complaints(&[("CHAT_SURPRISE", "1")], &mounted), 1);
    assert_eq!(complaints(&[("NATS_URL", "nats://u:p@nats")], &mounted), 1);
    assert_eq!(complaints(&[("DRAIN_TIMEOUT_S", "soon")], &mounted), 1);
    let missing = Program::store().complaints(&Environment::new(), &none);
    assert_eq!(missing.len(), 1, "{missing:?}");
}
