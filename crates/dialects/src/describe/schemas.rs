//! JSON Schemas of the bodies that are serialised, made from their types.

use schemars::{
    JsonSchema,
    generate::{SchemaGenerator, SchemaSettings},
};
use serde_json::{Map, Value};

const REFERENCE: &str = "#/components/schemas/";

/// The schemas of one part of a document, collected under names of its own.
#[derive(Debug)]
pub struct Schemas {
    generator: SchemaGenerator,
    prefix: &'static str,
}

/// Describes a type in one place of a document, and those that it refers to for all.
pub type SchemaOf = fn(&mut Schemas) -> Value;

impl Schemas {
    /// Collects the schemas whose names begin with `prefix` and a point.
    #[must_use]
    pub fn of(prefix: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|it| {
            it.definitions_path = "/components/schemas".into();
            it.meta_schema = None;
        });
        Self {
            generator: settings.into_generator(),
            prefix,
        }
    }

    /// Returns the name that they begin with.
    #[must_use]
    pub const fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// Describes a type by a reference to what is collected.
    pub fn refer<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.generator.subschema_for::<T>().to_value();
        prefixed(&mut schema, self.prefix);
        schema
    }

    /// Describes a type where it stands.
    pub fn spell<T: JsonSchema>(&mut self) -> Value {
        let mut schema = T::json_schema(&mut self.generator).to_value();
        prefixed(&mut schema, self.prefix);
        schema
    }

    /// Adds what was collected to the components of a document.
    pub fn collect_into(mut self, components: &mut Map<String, Value>) {
        for (name, mut schema) in self.generator.take_definitions(false) {
            prefixed(&mut schema, self.prefix);
            components.insert(named(self.prefix, &name), schema);
        }
    }
}

/// Puts the prefix into all references.
fn prefixed(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str().and_then(|it| it.strip_prefix(REFERENCE)) {
                    Some(name) if key == "$ref" => {
                        *value = format!("{REFERENCE}{}", named(prefix, name)).into();
                    }
                    _ => prefixed(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| prefixed(it, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn named(prefix: &str, name: &str) -> String {
    let name = name.strip_suffix("Body").unwrap_or(name);
    format!("{prefix}.{name}")
}

/// Forbids every field that a schema does not name, in it and below: what clients may count on is a minimum,
/// but nothing is said that is not described.
pub fn forbid_others(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(forbid_others);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_others),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
