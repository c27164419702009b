//! Every metric as the code describes it, and docs/METRICS.md.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::tools;

/// Where metrics are described, and where they are counted.
const CODE: [(&str, fn()); 3] = [
    (
        "services/realtime-gateway/src",
        realtime_gateway::metrics::describe,
    ),
    (
        "services/chat-store/src",
        chat_store::metrics::Metric::describe_all,
    ),
    // Names its metric where it sets it.
    ("crates/service-kit/src", || {}),
];

/// A metric, as far as the code tells.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) labels: BTreeSet<String>,
}

/// All metrics by name.
pub(crate) fn all() -> BTreeMap<String, Described> {
    let mut all = BTreeMap::new();
    for (folder, describe) in CODE {
        let descriptions = Descriptions::default();
        metrics::with_local_recorder(&descriptions, describe);
        let mut described = descriptions.0.into_inner();
        let names = names(folder);
        for file in tools::files(folder, ".rs") {
            count_labels(&tools::read(&file), &names, &mut described);
        }
        all.extend(described);
    }
    all
}

/// Collects what is described.
#[derive(Default)]
struct Descriptions(RefCell<BTreeMap<String, Described>>);

impl Descriptions {
    fn add(&self, name: &KeyName, kind: &str, help: &SharedString) {
        let described = Described {
            kind: kind.to_owned(),
            help: help.clone().into_owned(),
            labels: BTreeSet::new(),
        };
        self.0
            .borrow_mut()
            .insert(name.as_str().to_owned(), described);
    }
}

impl Recorder for Descriptions {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.add(&name, "counter", &help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.add(&name, "gauge", &help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.add(&name, "histogram", &help);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The names in Prometheus by the names in the code: `Self::Sockets => "chat_gateway_sockets"`.
fn names(folder: &str) -> BTreeMap<String, String> {
    let file = format!("{folder}/metrics.rs");
    if !tools::path(&file).exists() {
        return BTreeMap::new();
    }
    tools::read(&file)
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("Self::")?
                .split_once(" => \"chat_")
        })
        .map(|(code, rest)| {
            (
                code.to_owned(),
                format!("chat_{}", rest.trim_end_matches("\",")),
            )
        })
        .collect()
}

/// Finds the labels in `counter!(Metric::Connects.name(), "outcome" => outcome).increment(1)`, and the
/// metrics that are named on the spot.
fn count_labels(
    source: &str,
    names: &BTreeMap<String, String>,
    described: &mut BTreeMap<String, Described>,
) {
    for kind in ["counter", "gauge", "histogram"] {
        for call in source.split(&format!("{kind}!(")).skip(1) {
            let end = [").increment", ").decrement", ").set(", ").record("]
                .iter()
                .filter_map(|end| {
                    call.find(end)
                        .or_else(|| call.find(&end.replace(')', ")\n")))
                })
                .min();
            let call = &call[..end.unwrap_or(call.len()).min(400)];
            let first = call.trim_start();
            let name = if let Some(rest) = first.strip_prefix('"') {
                rest.split('"').next().unwrap()
            } else {
                let code = first
                    .strip_prefix("Metric::")
                    .and_then(|rest| rest.split('.').next());
                let Some(name) = code.and_then(|code| names.get(code)) else {
                    continue;
                };
                name
            };
            let metric = described
                .entry(name.to_owned())
                .or_insert_with(|| Described {
                    kind: kind.to_owned(),
                    ..Described::default()
                });
            for (end, _) in call.match_indices("\" =>") {
                let label = call[..end].rsplit('"').next().unwrap();
                metric.labels.insert(label.to_owned());
            }
        }
    }
}

/// The rows of the catalogue: name, kind, labels, meaning.
fn catalogue() -> Vec<[String; 4]> {
    tools::read("docs/METRICS.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, labels, meaning] = cells[..] else {
                panic!("four cells: {line}");
            };
            [name.trim_matches('`'), kind, labels, meaning].map(str::to_owned)
        })
        .collect()
}

#[test]
fn the_catalogue_lists_every_metric_as_it_is() {
    let mut lacking = all();
    let mut wrong = Vec::new();
    for [name, kind, labels, meaning] in catalogue() {
        let Some(metric) = lacking.remove(&name) else {
            wrong.push(format!(
                "take out {name}: no code has it, or it is listed twice"
            ));
            continue;
        };
        let labels: BTreeSet<_> = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`').to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        if kind != metric.kind || labels != metric.labels || !meaning.starts_with(&metric.help) {
            wrong.push(format!("write {}", row(&name, &metric)));
        }
    }
    wrong.extend(
        lacking
            .iter()
            .map(|(name, metric)| format!("add {}", row(name, metric))),
    );

    assert!(
        wrong.is_empty(),
        "docs/METRICS.md is not what the code measures. A meaning may go on after what the code says \
         (values of labels, what to make of it):\n{}",
        wrong.join("\n"),
    );
}

fn row(name: &str, metric: &Described) -> String {
    let labels: Vec<_> = metric
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    format!(
        "| `{name}` | {} | {} | {} |",
        metric.kind,
        labels.join(", "),
        metric.help
    )
}

#[test]
fn labels_are_found_in_every_form_of_a_call() {
    let source = "metrics::counter!(Metric::A.name(), \"x\" => f(1)).increment(1);\n\
                  metrics::histogram!(\n    Metric::B.name(),\n    \"x\" => a,\n    \"y\" => b.c(),\n)\n.record(1);\n\
                  gauge!(\"z\", \"w\" => self.name).set(1.0); other(\"v\" => 1)";
    let names = [("A", "chat_a_total"), ("B", "chat_b_seconds")]
        .map(|(code, name)| (code.to_owned(), name.to_owned()))
        .into();
    let mut found = BTreeMap::new();

    count_labels(source, &names, &mut found);

    let found: Vec<_> = found
        .iter()
        .map(|(name, metric)| {
            (
                name.as_str(),
                metric.labels.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    let expected: [(&str, Vec<&str>); 3] = [
        ("chat_a_total", vec!["x"]),
        ("chat_b_seconds", vec!["x", "y"]),
        ("z", vec!["w"]),
    ];
    assert_eq!(found, expected);
}
