//! The page that shows the `AsyncAPI` document to people: the same without a script.

use std::fmt::Write as _;

use serde_json::Value;

/// How deep an object is shown in its table.
const MAX_DEPTH: usize = 5;

/// Makes it from the document.
pub(super) fn page(document: &Value) -> String {
    let mut page = Page {
        html: String::new(),
        document,
    };
    page.put(include_str!("sockets.html"));
    page.paragraphs(&document["info"]["description"]);
    for (_, channel) in fields(&document["channels"]) {
        page.channel(channel);
    }
    page.put("</main></body></html>\n");
    page.html
}

struct Page<'a> {
    html: String,
    document: &'a Value,
}

impl<'a> Page<'a> {
    /// Adds markup of ours.
    fn put(&mut self, markup: &str) {
        self.html.push_str(markup);
    }

    /// Adds what the document says, as text.
    fn text(&mut self, value: &Value) {
        for character in value.as_str().unwrap_or_default().chars() {
            match character {
                '<' => self.put("&lt;"),
                '>' => self.put("&gt;"),
                '&' => self.put("&amp;"),
                '"' => self.put("&quot;"),
                _ => self.html.push(character),
            }
        }
    }

    fn paragraphs(&mut self, text: &Value) {
        for paragraph in text.as_str().unwrap_or_default().split("\n\n") {
            self.put("<p>");
            self.text(&paragraph.into());
            self.put("</p>");
        }
    }

    fn channel(&mut self, channel: &'a Value) {
        self.put("<h2>");
        self.text(&channel["title"]);
        self.put(" <code>");
        self.text(&channel["address"]);
        self.put("</code></h2>");
        self.paragraphs(&channel["description"]);
        for (title, prefix) in [("Clients say", "say."), ("Clients hear", "hear.")] {
            let _ = write!(self.html, "<h3>{title}</h3>");
            let messages = fields(&channel["messages"]);
            for (_, message) in messages.filter(|(key, _)| key.starts_with(prefix)) {
                self.message(self.resolved(message));
            }
        }
    }

    fn message(&mut self, message: &'a Value) {
        self.put("<details><summary><code>");
        self.text(&message["name"]);
        self.put("</code> ");
        self.text(&message["summary"]);
        self.put("</summary><div>");
        self.schema(&message["payload"]);
        for (key, title) in [
            ("x-acknowledgement", "Acknowledgement"),
            ("x-answer", "Answer at /ws"),
        ] {
            if let Some(schema) = message.get(key) {
                let _ = write!(self.html, "<h4>{title}</h4>");
                self.schema(schema);
            }
        }
        if let Some(example) = message.pointer("/examples/0/payload") {
            self.put("<h4>Example</h4><pre>");
            let json = serde_json::to_string_pretty(example).unwrap_or_default();
            self.text(&json.into());
            self.put("</pre>");
        }
        self.put("</div></details>");
    }

    fn schema(&mut self, schema: &'a Value) {
        let cases = schema["oneOf"].as_array();
        for case in cases.map_or(std::slice::from_ref(schema), Vec::as_slice) {
            self.put("<table>");
            self.rows("", case, true, 0);
            self.put("</table>");
        }
    }

    /// Adds a row for a value and, below it, those of its fields.
    fn rows(&mut self, name: &str, schema: &'a Value, is_required: bool, depth: usize) {
        let schema = self.resolved(schema);
        if !name.is_empty() || schema.get("properties").is_none() {
            self.put("<tr><td><code>");
            self.text(&name.into());
            self.put("</code></td><td>");
            self.text(&self.kind(schema).into());
            self.put("</td><td>");
            self.put(if is_required { "" } else { "optional" });
            self.put("</td></tr>");
        }
        if MAX_DEPTH <= depth {
            return;
        }
        let inner = self.resolved(schema.get("items").unwrap_or(schema));
        let inner = match inner["anyOf"].as_array() {
            Some(cases) if inner.get("properties").is_none() => {
                cases.first().map_or(inner, |case| self.resolved(case))
            }
            _ => inner,
        };
        for (key, value) in fields(&inner["properties"]) {
            let path = match (name, schema.get("items").is_some()) {
                ("", _) => key.clone(),
                (_, true) => format!("{name}[].{key}"),
                (_, false) => format!("{name}.{key}"),
            };
            let required = inner["required"].as_array();
            let is_required = required.is_some_and(|names| names.iter().any(|it| it == key));
            self.rows(&path, value, is_required, depth + 1);
        }
    }

    /// Says in a few words what a value is.
    fn kind(&self, schema: &'a Value) -> String {
        if let Some(value) = schema.get("const") {
            return value.to_string();
        }
        if let Some(values) = schema["enum"].as_array() {
            let values = values.iter().filter_map(Value::as_str);
            return values.collect::<Vec<_>>().join(" | ");
        }
        let kind = if let Some(kinds) = schema["type"].as_array() {
            let kinds = kinds.iter().filter_map(Value::as_str);
            kinds.collect::<Vec<_>>().join(" or ")
        } else if schema.get("anyOf").is_some() {
            "object or null".to_owned()
        } else {
            schema["type"].as_str().unwrap_or("any").to_owned()
        };
        match (schema["format"].as_str(), schema.get("items")) {
            (_, Some(items)) => format!("list of {}", self.kind(self.resolved(items))),
            (Some(format), None) => format!("{kind}, {format}"),
            (None, None) => kind,
        }
    }

    /// Follows references.
    fn resolved(&self, mut schema: &'a Value) -> &'a Value {
        while let Some(found) = schema["$ref"]
            .as_str()
            .and_then(|path| self.document.pointer(path.strip_prefix('#')?))
        {
            schema = found;
        }
        schema
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use chat_domain::Dialect;

    use super::*;

    #[test]
    fn every_event_is_shown_and_nothing_else_is_loaded() {
        let dialects = [
            Dialect::Consult,
            Dialect::Care,
            Dialect::Clinic,
            Dialect::Booking,
        ];
        let document = dialects::describe::asyncapi(&dialects);

        let page = page(&document);

        for (_, message) in fields(&document["components"]["messages"]) {
            let name = message["name"].as_str().unwrap_or_default();
            assert!(page.contains(&format!("<code>{name}</code>")), "{name}");
        }
        assert!(!page.contains("://"), "it refers to another place");
        assert!(!page.contains("<script"));
    }
}
