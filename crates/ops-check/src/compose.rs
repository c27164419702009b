//! docker-compose.yml and the load balancer in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use nkeys::KeyPair;
use serde_json::{Map, Value};

use crate::{
    program::{self, Environment, Program},
    tools,
};

/// Whose image holds one program, which cannot ask itself.
const SILENT: [&str; 1] = ["otel-collector"];

/// Who has an nkey.
const NATS_USERS: [&str; 3] = ["gateway", "store", "internal"];

/// The file as compose understands it, all profiles on.
fn config() -> Value {
    let mut compose = tools::command("CHAT_COMPOSE");
    compose.args(["--profile", "*", "config", "--format", "json"]);
    // Compose would take them from the environment.
    compose
        .env_remove("CHAT_PUBLIC_HOST")
        .env_remove("CHAT_PORT")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env_remove("OTEL_TRACES_SAMPLER_ARG");
    serde_json::from_str(&tools::output(&mut compose)).unwrap()
}

fn services(config: &Value) -> &Map<String, Value> {
    config["services"].as_object().unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// Our program in a service, if it is one.
fn program(service: &Value) -> Option<Program> {
    let recipe = service["build"]["dockerfile"].as_str()?;
    let name = recipe
        .trim_start_matches("deploy/docker/")
        .trim_end_matches(".Dockerfile");
    Program::of(name, &strings(&service["command"]))
}

fn secrets(service: &Value) -> BTreeSet<String> {
    let secrets = service["secrets"].as_array().into_iter().flatten();
    secrets
        .map(|secret| secret["source"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn services_are_set_as_their_settings_say() {
    let config = config();
    let mut n_programs = 0;
    for (name, service) in services(&config) {
        let Some(program) = program(service) else {
            continue;
        };
        n_programs += 1;
        let environment: Environment =
            serde_json::from_value(service["environment"].clone()).unwrap();
        let complaints = program.complaints(&environment, &secrets(service));
        assert_eq!(complaints, [] as [&str; 0], "{name}");
        // 90 seconds to drain, two for what is dropped then.
        assert_eq!(service["stop_grace_period"], "1m40s", "{name}");
        assert!(!environment.contains_key("DRAIN_TIMEOUT_S"), "{name}");
        for (key, value) in [
            ("read_only", Value::Bool(true)),
            ("cap_drop", ["ALL"].into()),
        ] {
            assert_eq!(service[key], value, "{name}: {key}");
        }
    }
    assert_eq!(n_programs, 3);
}

#[test]
fn everything_starts_again_and_says_whether_it_is_well() {
    for (name, service) in services(&config()) {
        // Its images bring their check with them.
        let has_check = program(service).is_some() || service["healthcheck"]["test"].is_array();
        let is_silent = SILENT.contains(&name.as_str());
        assert!(
            has_check != is_silent,
            "{name}: a health check, or a reason"
        );
        assert!(service["restart"].is_string(), "{name} is not restarted");
    }
}

#[test]
fn images_have_an_exact_version() {
    for (name, service) in services(&config()) {
        let image = service["image"].as_str().unwrap();
        let is_ours = image.ends_with(":local");
        assert!(is_ours || tools::is_exact(image), "{name}: {image}");
    }
}

#[test]
fn only_the_load_balancer_and_the_relay_can_be_reached_from_elsewhere() {
    let config = config();
    let open: Vec<_> = services(&config)
        .iter()
        .filter(|(_, service)| {
            let ports = service["ports"].as_array().into_iter().flatten();
            ports.into_iter().any(|port| port["host_ip"] != "127.0.0.1")
        })
        .map(|(name, _)| name.as_str())
        .collect();

    assert_eq!(open, ["coturn", "haproxy"]);
}

#[test]
fn forwarded_addresses_are_believed_from_the_network_inside() {
    let config = config();

    assert_eq!(
        config["services"]["realtime-gateway"]["environment"]["GATEWAY_TRUSTED_PROXIES"],
        config["networks"]["inside"]["ipam"]["config"][0]["subnet"],
    );
}

#[test]
fn the_load_balancer_takes_its_settings_and_finds_every_replica() {
    let config = config();
    let environment: BTreeMap<String, String> =
        serde_json::from_value(config["services"]["haproxy"]["environment"].clone()).unwrap();
    let mut haproxy = tools::command("CHAT_HAPROXY");
    haproxy.args(["-c", "-f", "deploy/haproxy/haproxy.cfg"]);
    haproxy
        .args(["-f", "deploy/compose/backends.cfg"])
        .envs(environment);
    let said = haproxy.output().unwrap();
    let complaints = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{complaints}");
    assert!(!complaints.contains("WARNING"), "{complaints}");

    let backends = tools::read("deploy/compose/backends.cfg");
    for (program, public) in [
        (Program::gateway(), "GATEWAY_LISTEN"),
        (Program::store(), "STORE_LISTEN"),
    ] {
        let port = program.ports()[public];
        let admin = program.admin_port();
        let line = format!(" {}:{port} port {admin} resolvers docker", program.name);
        assert!(backends.contains(&line), "no server at{line}");
    }
    let balancer = tools::read("deploy/haproxy/haproxy.cfg");
    assert!(!balancer.contains("cookie") && !balancer.contains("stick"));
}

#[test]
fn nats_takes_its_settings_with_the_secret_beside() {
    let config = config();
    let mounts = config["services"]["nats"]["volumes"].as_array().unwrap();
    let settings = mounts.iter().find(|mount| mount["type"] == "bind").unwrap();
    // As in the container: the settings find the secret by a path of their own.
    let script = Script::new();
    let made = script.made();
    let inside = |path: &str| script.folder.join(path.trim_start_matches('/'));
    let target = inside(settings["target"].as_str().unwrap());
    let secret = inside("/run/secrets/nats.conf");
    for file in [&target, &secret] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
    }
    fs::copy(tools::path("deploy/nats/nats.conf"), &target).unwrap();
    fs::write(secret, &made["nats.conf"]).unwrap();

    tools::output(
        tools::command("CHAT_NATS_SERVER")
            .arg("-t")
            .arg("-c")
            .arg(target),
    );
    for user in NATS_USERS {
        let pair = KeyPair::from_seed(made[&format!("nats-{user}.seed")].trim()).unwrap();
        assert!(made["nats.conf"].contains(&pair.public_key()), "{user}");
    }
}

#[test]
fn the_collector_listens_where_operators_are_told_that_it_does() {
    let settings: Value =
        serde_norway::from_str(&tools::read("deploy/otel/collector.yaml")).unwrap();
    let address = &settings["receivers"]["otlp"]["protocols"]["http"]["endpoint"];
    let port = program::port(address.as_str().unwrap());
    let endpoint = format!("http://otel-collector:{port}");

    assert!(tools::read("docs/OPERATIONS.md").contains(&endpoint));
    let (host, _) = settings["exporters"]["otlp"]["endpoint"]
        .as_str()
        .unwrap()
        .split_once(':')
        .unwrap();
    let config = config();
    assert!(services(&config).contains_key(host), "{host}");
    // Everything that is declared is in the way.
    let pipeline = &settings["service"]["pipelines"]["traces"];
    for part in ["receivers", "processors", "exporters"] {
        let declared = settings[part].as_object().unwrap().keys();
        let declared: BTreeSet<_> = declared.map(String::as_str).collect();
        let used: BTreeSet<_> = strings(&pipeline[part]).into_iter().collect();
        assert_eq!(used, declared, "{part}");
    }
}

/// The script that makes secrets, in a folder of its own: it works beside itself.
struct Script {
    folder: PathBuf,
}

impl Script {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("make-secrets-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        for name in ["secrets", "coturn", "nats", "redis"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for name in [
            "make-secrets.sh",
            "coturn/turnserver.conf",
            "nats/nkey.sh",
            "nats/permissions.conf",
            "redis/store.acl",
        ] {
            fs::copy(tools::path(&format!("deploy/{name}")), folder.join(name)).unwrap();
        }
        Self { folder }
    }

    /// Runs it, and returns what there is.
    fn made(&self) -> BTreeMap<String, String> {
        let mut script = Command::new("sh");
        script
            .arg(self.folder.join("make-secrets.sh"))
            .arg("203.0.113.7");
        tools::output(&mut script);
        let contents = |entry: fs::DirEntry| {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o444, "{:?}", entry.path());
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        };
        let entries = fs::read_dir(self.folder.join("secrets")).unwrap();
        entries.map(|entry| contents(entry.unwrap())).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It lies in the folder for temporary files anyway.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn every_secret_is_made_and_none_is_made_for_nothing() {
    let script = Script::new();
    let made = script.made();
    let again = script.made();

    assert_eq!(made, again, "a second run changes nothing");
    let config = config();
    let declared: BTreeSet<_> = config["secrets"].as_object().unwrap().keys().collect();
    let used: BTreeSet<_> = services(&config).values().flat_map(secrets).collect();
    assert_eq!(declared, used.iter().collect());
    let names: BTreeSet<_> = made.keys().collect();
    // What others are made of, and what containers get inside of them.
    let made_of: BTreeSet<_> = ["nats-admin.password", "nats-internal.seed"]
        .into_iter()
        .chain(["redis-store.password"])
        .map(str::to_owned)
        .chain(NATS_USERS.map(|user| format!("nats-{user}.nkey")))
        .collect();
    assert_eq!(
        names,
        declared.union(&made_of.iter().collect()).copied().collect()
    );
    let random: BTreeSet<_> = made.values().filter(|value| value.len() == 64).collect();
    assert_eq!(random.len(), 11, "no secret is another one's");
}
