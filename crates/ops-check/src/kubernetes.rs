//! k8s/, as it would be applied.

use std::collections::{BTreeMap, BTreeSet};

use nkeys::KeyPair;
use serde_json::Value;

use crate::{
    objects,
    program::{Environment, Program, SECRETS},
    tools,
};

const OVERLAYS: [&str; 2] = ["dev", "production"];

/// What tasks get after the drain's deadline, in seconds.
const HARD_GRACE: u64 = 2;

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The pods that an object makes.
fn pod(object: &Value) -> Option<&Value> {
    Some(&object["spec"]["template"]).filter(|pod| pod["spec"]["containers"].is_array())
}

/// A pod with a program of ours.
struct Ours {
    owner: String,
    program: Program,
    pod: Value,
}

impl Ours {
    fn container(&self) -> &Value {
        &self.pod["spec"]["containers"][0]
    }

    fn environment(&self) -> Environment {
        list(&self.container()["env"])
            .map(|variable| {
                // What comes from the pod itself has a form that settings take, and what may be
                // missing a setting without which they do.
                let is_optional = variable["valueFrom"]["configMapKeyRef"]["optional"] == true;
                let elsewhere = if is_optional { "" } else { "from-the-pod" };
                let value = variable["value"].as_str().unwrap_or(elsewhere);
                (text(&variable["name"]).to_owned(), value.to_owned())
            })
            .collect()
    }

    fn port(&self, name: &Value) -> Option<&Value> {
        let mut ports = list(&self.container()["ports"]);
        ports
            .find(|port| port["name"] == *name || port["containerPort"] == *name)
            .map(|port| &port["containerPort"])
    }
}

fn ours(objects: &[Value]) -> Vec<Ours> {
    let found = objects.iter().filter_map(|object| {
        let pod = pod(object)?;
        let container = &pod["spec"]["containers"][0];
        let arguments: Vec<_> = list(&container["args"]).map(text).collect();
        Some(Ours {
            owner: format!("{} {}", text(&object["kind"]), name(object)),
            program: Program::of(text(&container["name"]), &arguments)?,
            pod: pod.clone(),
        })
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 3, "two services and a migration");
    found
}

/// The files below [`SECRETS`], and the keys that must be in the Secret `care-chat`.
fn mounted(pod: &Value, objects: &[Value]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut files, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let volumes = list(&pod["spec"]["volumes"]);
    for source in volumes.flat_map(|volume| list(&volume["projected"]["sources"])) {
        for item in list(&source["secret"]["items"]) {
            files.insert(text(&item["path"]).to_owned());
            if source["secret"]["optional"] != true {
                keys.insert(text(&item["key"]).to_owned());
            }
        }
        if let Some(wanted) = source["configMap"]["name"].as_str() {
            let mut maps = of_kind(objects, "ConfigMap");
            let map = maps.find(|map| name(map) == wanted).unwrap();
            files.extend(map["data"].as_object().unwrap().keys().cloned());
        }
    }
    (files, keys)
}

#[test]
fn containers_are_set_as_their_settings_say() {
    for overlay in OVERLAYS {
        let objects = objects::overlay(overlay);
        for ours in ours(&objects) {
            let (files, _) = mounted(&ours.pod, &objects);
            let complaints = ours.program.complaints(&ours.environment(), &files);
            assert_eq!(complaints, [] as [&str; 0], "{overlay}: {}", ours.owner);
            let mounts = list(&ours.container()["volumeMounts"]);
            let folders: Vec<_> = mounts.map(|mount| text(&mount["mountPath"])).collect();
            assert_eq!(folders, [SECRETS.trim_end_matches('/')], "{}", ours.owner);
        }
    }
}

#[test]
fn secrets_that_are_mounted_are_told_of() {
    let manual = tools::read("k8s/README.md");
    for overlay in OVERLAYS {
        let objects = objects::overlay(overlay);
        for ours in ours(&objects) {
            let (_, keys) = mounted(&ours.pod, &objects);
            for key in keys {
                assert!(
                    manual.contains(&format!("| `{key}` |")),
                    "k8s/README.md: {key}"
                );
                for secret in of_kind(&objects, "Secret").filter(|s| {
                    name(s).starts_with("care-chat-") && s["data"]["nats.url"].is_string()
                }) {
                    assert!(secret["data"][&key].is_string(), "{overlay}: no {key}");
                }
            }
        }
    }
}

#[test]
fn a_cluster_has_the_users_of_nats_and_redis_that_compose_has() {
    let settings = tools::read("k8s/overlays/dev/kustomization.yaml");
    let mut permissions = tools::read("deploy/nats/permissions.conf");
    for user in ["gateway", "store"] {
        let (_, seed) = settings.split_once(&format!("nats-{user}.seed=")).unwrap();
        let pair = KeyPair::from_seed(seed.lines().next().unwrap()).unwrap();
        permissions = permissions.replace(&format!("@{user}@"), &pair.public_key());
    }
    // Nobody has the seed of other services.
    let (before, after) = permissions.split_once("@internal@").unwrap();
    let before = before.replace("@admin@", "for-development-only");
    let nats = tools::read("k8s/overlays/dev/nats.conf");
    assert!(nats.contains(&before) && nats.ends_with(after), "nats.conf");

    let rules = tools::read("deploy/redis/store.acl");
    let store = format!("user store on >for-development-only {rules}");
    let redis = tools::read("k8s/overlays/dev/redis.conf");
    assert!(
        redis.ends_with(&store) && redis.contains("\nrequirepass "),
        "redis.conf"
    );
}

#[test]
fn a_cluster_makes_the_logins_that_compose_makes() {
    // Kustomize reads no file outside of its folder.
    assert_eq!(
        tools::read("k8s/overlays/dev/logins.sh"),
        tools::read("deploy/postgres/logins.sh"),
    );
}

/// Its resources' types are the operator's own, and not known here.
#[test]
fn the_example_of_postgres_makes_the_same_logins_under_the_label_of_the_policies() {
    let example = tools::read("k8s/examples/postgres.yaml");
    let example: Value = serde_norway::from_str(&example).unwrap();
    let spec = &example["spec"];
    let groups = list(&spec["bootstrap"]["initdb"]["postInitSQL"]);
    let logins = list(&spec["managed"]["roles"]).map(|role| {
        let (name, group) = (text(&role["name"]), text(&role["inRoles"][0]));
        format!("CREATE ROLE {name} LOGIN PASSWORD :'{name}' IN ROLE {group}")
    });
    let made: Vec<_> = groups.map(text).map(str::to_owned).chain(logins).collect();

    let script = tools::read("deploy/postgres/logins.sh");
    let wanted: Vec<_> = script
        .lines()
        .filter_map(|line| line.strip_suffix(';'))
        .collect();
    assert_eq!(made, wanted);
    let label = &spec["inheritedMetadata"]["labels"]["app.kubernetes.io/name"];
    assert_eq!(label, "postgres");
    assert_eq!(
        spec["postgresql"]["synchronous"]["dataDurability"],
        "required"
    );
}

#[test]
fn ports_and_probes_are_those_of_the_code() {
    let admin = tools::read("crates/service-kit/src/admin.rs");
    for overlay in OVERLAYS {
        for ours in ours(&objects::overlay(overlay)) {
            if ours.owner.starts_with("Job ") {
                continue;
            }
            let container = ours.container();
            let declared: BTreeSet<_> = list(&container["ports"])
                .map(|port| port["containerPort"].as_u64().unwrap())
                .collect();
            let listening = ours.program.ports().into_values().map(u64::from);
            assert_eq!(declared, listening.collect(), "{}", ours.owner);

            let admin_port = Value::from(ours.program.admin_port());
            for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
                let get = &container[probe]["httpGet"];
                assert_eq!(get["path"], path, "{}", ours.owner);
                assert_eq!(ours.port(&get["port"]), Some(&admin_port), "{probe}");
                assert!(admin.contains(&format!(".route(\"{path}\"")), "{path}");
            }
            let annotations = &ours.pod["metadata"]["annotations"];
            let path = text(&annotations["prometheus.io/path"]);
            assert!(admin.contains(&format!(".route(\"{path}\"")), "{path}");
            assert_eq!(annotations["prometheus.io/port"], admin_port.to_string());
        }
    }
}

#[test]
fn services_and_policies_lead_to_ports_that_are_there() {
    for overlay in OVERLAYS {
        let objects = objects::overlay(overlay);
        let pods: BTreeMap<_, _> = ours(&objects)
            .into_iter()
            .map(|ours| {
                (
                    text(&ours.pod["metadata"]["labels"]["app.kubernetes.io/name"]).to_owned(),
                    ours,
                )
            })
            .collect();
        for service in of_kind(&objects, "Service") {
            let selected = text(&service["spec"]["selector"]["app.kubernetes.io/name"]);
            let Some(ours) = pods.get(selected) else {
                continue;
            };
            for port in list(&service["spec"]["ports"]) {
                assert!(
                    ours.port(&port["targetPort"]).is_some(),
                    "{}",
                    name(service)
                );
            }
        }
        for policy in of_kind(&objects, "NetworkPolicy") {
            let selected = &policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"];
            let Some(ours) = selected.as_str().and_then(|name| pods.get(name)) else {
                continue;
            };
            for port in list(&policy["spec"]["ingress"]).flat_map(|rule| list(&rule["ports"])) {
                assert!(
                    ours.port(&port["port"]).is_some(),
                    "{}: {port}",
                    name(policy)
                );
            }
        }
        for route in of_kind(&objects, "HTTPRoute") {
            for backend in list(&route["spec"]["rules"]).flat_map(|rule| list(&rule["backendRefs"]))
            {
                let service =
                    of_kind(&objects, "Service").find(|s| s["metadata"]["name"] == backend["name"]);
                assert_eq!(
                    service.unwrap()["spec"]["ports"][0]["port"],
                    backend["port"]
                );
            }
        }
    }
}

#[test]
fn a_pod_has_the_time_that_its_drain_may_take() {
    for overlay in OVERLAYS {
        for ours in ours(&objects::overlay(overlay)) {
            if ours.owner.starts_with("Job ") {
                continue;
            }
            let environment = ours.environment();
            let drain: u64 = environment["DRAIN_TIMEOUT_S"].parse().unwrap();
            let before = &ours.container()["lifecycle"]["preStop"]["sleep"]["seconds"];
            let needed = before.as_u64().unwrap() + drain + HARD_GRACE;
            let grace = ours.pod["spec"]["terminationGracePeriodSeconds"]
                .as_u64()
                .unwrap();
            assert!(needed < grace, "{}: {needed} of {grace} s", ours.owner);
        }
    }
}

#[test]
fn every_pod_is_held_to_the_restricted_standard() {
    for overlay in OVERLAYS {
        let objects = objects::overlay(overlay);
        let mut namespaces = of_kind(&objects, "Namespace");
        let namespace = namespaces.next().unwrap();
        assert_eq!(
            namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
            "restricted"
        );
        for object in &objects {
            let Some(pod) = pod(object) else {
                continue;
            };
            let (spec, who) = (&pod["spec"], name(object));
            assert_eq!(spec["automountServiceAccountToken"], false, "{who}");
            assert_eq!(spec["enableServiceLinks"], false, "{who}");
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{who}");
            let profile = &spec["securityContext"]["seccompProfile"]["type"];
            assert_eq!(profile, "RuntimeDefault", "{who}");
            for container in list(&spec["containers"]) {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false, "{who}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{who}");
                assert_eq!(security["capabilities"]["drop"][0], "ALL", "{who}");
                let resources = &container["resources"];
                assert!(resources["requests"]["cpu"].is_string(), "{who}");
                assert!(resources["limits"]["memory"].is_string(), "{who}");
                let image = text(&container["image"]);
                let is_local = overlay == "dev" && image.ends_with(":local");
                assert!(is_local || tools::is_exact(image), "{who}: {image}");
            }
        }
    }
}

#[test]
fn nothing_is_sticky_and_nobody_shares_a_node_by_rule() {
    for overlay in OVERLAYS {
        for object in objects::overlay(overlay) {
            if object["kind"] == "Service" {
                let affinity = object["spec"]["sessionAffinity"].as_str();
                assert!(matches!(affinity, None | Some("None")), "{}", name(&object));
            }
            if let Some(pod) = pod(&object) {
                assert!(pod["spec"]["affinity"].is_null(), "{}", name(&object));
            }
            if object["kind"] == "HTTPRoute" {
                assert!(!object.to_string().contains("sessionPersistence"));
            }
        }
    }
}

#[test]
fn each_service_scales_survives_disruptions_and_is_spread() {
    for overlay in OVERLAYS {
        let objects = objects::overlay(overlay);
        for wanted in ["realtime-gateway", "chat-store"] {
            let find = |kind| {
                let found = of_kind(&objects, kind).find(|object| name(object) == wanted);
                found.unwrap_or_else(|| panic!("{overlay}: no {kind} {wanted}"))
            };
            let deployment = find("Deployment");
            // The autoscaler's; applying would undo what it did.
            assert!(deployment["spec"]["replicas"].is_null(), "{wanted}");
            assert_eq!(
                deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"],
                0
            );
            assert_eq!(find("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
            assert_eq!(
                find("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"],
                wanted
            );
            let spread = list(&pod(deployment).unwrap()["spec"]["topologySpreadConstraints"]);
            for constraint in spread {
                let labels = &constraint["labelSelector"]["matchLabels"];
                assert_eq!(labels["app.kubernetes.io/name"], wanted);
            }
            let policy = find("NetworkPolicy");
            assert_eq!(
                policy["spec"]["policyTypes"],
                serde_json::json!(["Ingress", "Egress"])
            );
        }
        let deny = of_kind(&objects, "NetworkPolicy").find(|policy| name(policy) == "default-deny");
        let deny = &deny.unwrap()["spec"];
        assert_eq!(deny["podSelector"], serde_json::json!({}));
        assert!(deny["ingress"].is_null() && deny["egress"].is_null());
    }
}

#[test]
fn gateways_scale_and_warn_before_they_are_full() {
    let known = crate::metrics::all();
    let alerts = tools::read("deploy/prometheus/alerts.yml");
    for overlay in OVERLAYS {
        let objects = objects::overlay(overlay);
        let ours = ours(&objects);
        let gateway = ours
            .iter()
            .find(|ours| ours.program.name == "realtime-gateway");
        let most: u64 = gateway.unwrap().environment()["GATEWAY_MAX_CONNECTIONS"]
            .parse()
            .unwrap();
        let scaler = of_kind(&objects, "HorizontalPodAutoscaler")
            .find(|scaler| name(scaler) == "realtime-gateway");
        let sockets = &scaler.unwrap()["spec"]["metrics"][0]["pods"];
        assert_eq!(known[text(&sockets["metric"]["name"])].kind, "gauge");
        assert_eq!(
            sockets["target"]["averageValue"],
            (most * 6 / 10).to_string()
        );
        assert!(alerts.contains(&format!("(chat_gateway_sockets) > {}\n", most * 8 / 10)));
    }
}
