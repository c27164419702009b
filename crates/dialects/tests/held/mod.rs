//! Holds what is encoded to what is described: a key too many or too few fails.

use chat_domain::Dialect;
use dialects::{
    ServerEvent,
    describe::{self, Heard, Schemas, forbid_others},
};
use serde_json::{Map, Value, json};

/// Checks an event of a dialect.
#[track_caller]
pub(crate) fn hold(dialect: Dialect, event: &ServerEvent) {
    let heard = describe::vocabulary(dialect).heard.iter();
    let described: Option<&Heard> = heard.clone().find(|it| it.name == event.name);
    let described = described.unwrap_or_else(|| panic!("{} is not described", event.name));
    let told = serde_json::from_str(&event.json).unwrap();
    hold_to(
        dialect,
        |schemas| described.schema(schemas),
        &told,
        event.name,
    );
}

/// Checks a value against a schema in which nothing else is allowed.
#[track_caller]
pub(crate) fn hold_to(
    dialect: Dialect,
    schema: impl FnOnce(&mut Schemas) -> Value,
    value: &Value,
    context: &str,
) {
    let mut schemas = Schemas::of(describe::name(dialect));
    let mut root = schema(&mut schemas);
    let mut components = Map::new();
    schemas.collect_into(&mut components);
    root["components"] = json!({ "schemas": components });
    forbid_others(&mut root);
    let validator = jsonschema::draft202012::new(&root).unwrap();
    let errors = validator.iter_errors(value);
    let errors: Vec<String> = errors
        .map(|it| format!("{}: {it}", it.instance_path()))
        .collect();
    assert_eq!(errors, [""; 0], "{context} {value}");
}
