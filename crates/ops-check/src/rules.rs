//! Alerts and dashboards: what they ask for is measured, and what an alert says can be looked up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    metrics::{self, Described},
    program::Program,
    tools,
};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const TESTS: &str = "deploy/prometheus/alerts.test.yml";

/// What Prometheus adds by itself.
const LABELS_OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

fn yaml(name: &str) -> Value {
    serde_norway::from_str(&tools::read(name)).unwrap()
}

fn alerts() -> Vec<Value> {
    let rules = yaml(ALERTS);
    let groups = rules["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

/// What is wrong with the metrics and labels in an expression.
fn complaints(expression: &str, known: &BTreeMap<String, Described>) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut complaints = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        rest = &rest[word.len()..];
        if !word.starts_with("chat_") && word != "dependency_up" {
            continue;
        }
        let Some(metric) = measured(word, known) else {
            complaints.push(format!("nothing measures {word}"));
            continue;
        };
        if let Some((labels, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            for label in labels
                .split(',')
                .filter_map(|label| label.split(['=', '!']).next())
            {
                let label = label.trim();
                if !metric.labels.contains(label) && !LABELS_OF_PROMETHEUS.contains(&label) {
                    complaints.push(format!("{word} has no label {label}"));
                }
            }
        }
    }
    complaints
}

/// The metric that a name in an expression is of.
fn measured<'a>(word: &str, known: &'a BTreeMap<String, Described>) -> Option<&'a Described> {
    let of_histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|part| known.get(word.strip_suffix(part)?))
        .filter(|metric| metric.kind == "histogram");
    of_histogram.or_else(|| known.get(word).filter(|metric| metric.kind != "histogram"))
}

#[test]
fn what_nothing_measures_is_complained_about() {
    let known = metrics::all();
    for (expression, n_wrong) in [
        ("rate(chat_gateway_connects_total{outcome=~\"a|b\"}[5m])", 0),
        (
            "chat_store_append_seconds_bucket{le=\"0.1\"} + dependency_up{job=\"x\"}",
            0,
        ),
        ("chat_store_append_seconds", 1),
        ("chat_gateway_sockets_count", 1),
        (
            "chat_gateway_sokets / chat_gateway_sockets{outcome!=\"ok\"}",
            2,
        ),
    ] {
        assert_eq!(
            complaints(expression, &known).len(),
            n_wrong,
            "{expression}"
        );
    }
}

#[test]
fn alerts_ask_for_what_is_measured() {
    let known = metrics::all();
    for alert in alerts() {
        let wrong = complaints(alert["expr"].as_str().unwrap(), &known);
        assert_eq!(wrong, [] as [&str; 0], "{}", alert["alert"]);
    }
}

#[test]
fn alerts_fire_when_they_should() {
    let promtool = || tools::command("CHAT_PROMTOOL");
    tools::output(promtool().args(["check", "rules", ALERTS]));
    tools::output(promtool().args(["check", "config", "deploy/prometheus/prometheus.yml"]));
    tools::output(promtool().args(["test", "rules", TESTS]));
}

#[test]
fn each_alert_is_tested_and_has_its_entry_in_the_runbook() {
    let tests = yaml(TESTS);
    let tested: BTreeSet<_> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .filter(|test| !test["exp_alerts"].as_array().unwrap().is_empty())
        .map(|test| test["alertname"].as_str().unwrap())
        .collect();
    let runbook = tools::read("docs/OPERATIONS.md");
    let alerts = alerts();
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(tested.contains(name), "no test in {TESTS} sees {name} fire");
        assert!(
            runbook.contains(&format!("\n### {name}\n")),
            "docs/OPERATIONS.md has no entry {name}"
        );
        let link = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], link.as_str());
        let severity = alert["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("page" | "ticket")), "{name}");
    }
    for entry in runbook.lines().filter_map(|line| line.strip_prefix("### ")) {
        let is_alert = alerts.iter().any(|alert| alert["alert"] == entry);
        assert!(
            is_alert,
            "no alert {entry}; entries of the runbook are alerts"
        );
    }
}

#[test]
fn dashboards_show_what_is_measured() {
    let known = metrics::all();
    let dashboards = tools::files("deploy/grafana/dashboards", ".json");
    assert!(!dashboards.is_empty());
    let mut ids = BTreeSet::new();
    for name in dashboards {
        let dashboard: Value = serde_json::from_str(&tools::read(&name)).unwrap();
        assert!(ids.insert(dashboard["uid"].as_str().unwrap().to_owned()));
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let wrong = complaints(target["expr"].as_str().unwrap(), &known);
                assert_eq!(wrong, [] as [&str; 0], "{name}: {}", panel["title"]);
                // The datasource that is provisioned.
                assert_eq!(target["datasource"]["uid"], "prometheus", "{name}");
            }
        }
    }
    let provisioned = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(provisioned["datasources"][0]["uid"], "prometheus");
}

#[test]
fn prometheus_asks_every_replica_on_its_admin_port() {
    let config = yaml("deploy/prometheus/prometheus.yml");
    let jobs = config["scrape_configs"].as_array().unwrap();
    for program in [Program::gateway(), Program::store()] {
        let job = jobs
            .iter()
            .find(|job| job["job_name"] == program.name)
            .unwrap();
        let found = &job["dns_sd_configs"][0];
        assert_eq!(found["names"][0], program.name);
        assert_eq!(found["port"], program.admin_port());
    }
}
