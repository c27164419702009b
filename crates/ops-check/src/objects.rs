//! Objects of Kubernetes, as `kustomize build` makes them, held to Kubernetes' own types.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::tools;

/// The objects of an overlay.
pub(crate) fn overlay(name: &str) -> Vec<Value> {
    let folder = format!("k8s/overlays/{name}");
    let built = tools::output(tools::command("CHAT_KUSTOMIZE").args(["build", &folder]));
    serde_norway::Deserializer::from_str(&built)
        .map(|object| unfolded(Value::deserialize(object).unwrap()))
        .collect()
}

/// Without the line ends that kustomize puts into long values of secrets.
fn unfolded(mut object: Value) -> Value {
    if object["kind"] == "Secret"
        && let Some(data) = object["data"].as_object_mut()
    {
        for value in data.values_mut() {
            *value = value.as_str().unwrap().replace('\n', "").into();
        }
    }
    object
}

/// A route of the Gateway API, as far as it is used.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HttpRoute {
    api_version: String,
    kind: String,
    metadata: Value,
    spec: RouteSpec,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RouteSpec {
    parent_refs: Vec<ParentRef>,
    hostnames: Vec<String>,
    rules: Vec<RouteRule>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ParentRef {
    name: String,
    namespace: String,
    section_name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RouteRule {
    matches: Vec<RouteMatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<Timeouts>,
    backend_refs: Vec<BackendRef>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteMatch {
    path: PathMatch,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PathMatch {
    r#type: PathKind,
    value: String,
}

#[derive(Serialize, Deserialize)]
enum PathKind {
    PathPrefix,
    Exact,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    request: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendRef {
    name: String,
    port: u16,
}

/// What is wrong with an object.
///
/// It is read into the type of its kind and written again: what the type does not know is lost on the
/// way, and what it needs and does not find appears.
fn complaint(object: &Value) -> Option<String> {
    let kind = format!(
        "{} {}",
        object["apiVersion"].as_str().unwrap_or("?"),
        object["kind"].as_str().unwrap_or("?"),
    );
    let again = match kind.as_str() {
        "apps/v1 Deployment" => again::<Deployment>(object),
        "apps/v1 StatefulSet" => again::<StatefulSet>(object),
        "autoscaling/v2 HorizontalPodAutoscaler" => again::<HorizontalPodAutoscaler>(object),
        "batch/v1 Job" => again::<Job>(object),
        "gateway.networking.k8s.io/v1 HTTPRoute" => again::<HttpRoute>(object),
        "networking.k8s.io/v1 NetworkPolicy" => again::<NetworkPolicy>(object),
        "policy/v1 PodDisruptionBudget" => again::<PodDisruptionBudget>(object),
        "v1 ConfigMap" => again::<ConfigMap>(object),
        "v1 Namespace" => again::<Namespace>(object),
        "v1 Secret" => again::<Secret>(object),
        "v1 Service" => again::<Service>(object),
        other => return Some(format!("{other}: give it its type in ops-check")),
    };
    match again {
        Ok(again) => difference(object, &again, &kind),
        Err(error) => Some(format!("{kind}: {error}")),
    }
}

fn again<T: Serialize + DeserializeOwned>(object: &Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(object.clone())?)
}

/// Where two values first differ.
fn difference(given: &Value, known: &Value, path: &str) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            let lacking = known.keys().find(|key| !given.contains_key(*key));
            if let Some(key) = lacking {
                return Some(format!("{path}.{key} is missing"));
            }
            given.iter().find_map(|(key, value)| {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(known) => difference(value, known, &path),
                    None => Some(format!("{path} is no field")),
                }
            })
        }
        (Value::Array(given), Value::Array(known)) if given.len() == known.len() => {
            let pairs = given.iter().zip(known).enumerate();
            let mut found = pairs.filter_map(|(index, (given, known))| {
                difference(given, known, &format!("{path}[{index}]"))
            });
            found.next()
        }
        (given, known) => (given != known).then(|| format!("{path}: {given} is not {known}")),
    }
}

#[test]
fn every_object_is_what_kubernetes_knows() {
    for name in ["dev", "production"] {
        let complaints: Vec<_> = overlay(name).iter().filter_map(complaint).collect();
        assert_eq!(complaints, [] as [&str; 0], "{name}");
    }
}

#[test]
fn what_kubernetes_does_not_know_is_found() {
    let good = serde_json::json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": { "name": "x" },
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "a": "b" } } },
    });
    assert_eq!(complaint(&good), None);
    for (key, value) in [
        ("maxUnavailabel", Value::from(1)),
        ("selector", Value::from("a=b")),
        ("minAvailable", Value::Bool(true)),
    ] {
        let mut bad = good.clone();
        bad["spec"][key] = value;
        assert!(complaint(&bad).is_some(), "{key}");
    }
    let mut missing = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {},
        "spec": { "selector": {}, "template": {} },
    });
    assert_eq!(complaint(&missing), None);
    missing["spec"].as_object_mut().unwrap().remove("selector");
    assert_eq!(
        complaint(&missing).as_deref(),
        Some("apps/v1 Deployment.spec.selector is missing")
    );
}
