//! Routes and what a document says of them: neither is there without the other.
//!
//! A group is what the routes of a dialect, or those of other services, have in common. Not here: the document around them ([`docs`](super::docs)).

use axum::{
    Router,
    handler::Handler,
    middleware::map_response,
    response::Response,
    routing::{MethodFilter, on},
};
use dialects::describe::{Property, SchemaOf, Schemas, object};
use http::StatusCode;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{
    Api,
    error::{Style, restyle},
};

const JSON: &str = "application/json";
const ANY: &str = "*/*";

/// How requests of users may be refused: for their token, for who they are, or for too many.
pub(super) const TO_USERS: &[StatusCode] = &[
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::TOO_MANY_REQUESTS,
];
/// How a route fails whose path names something: it is malformed, or there is nothing of that name.
pub(super) const NO_SUCH: &[StatusCode] = &[StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND];

/// What the routes of one kind have in common.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// What the document calls it.
    pub(super) name: &'static str,
    /// What all its paths begin with, beyond what the routes say.
    pub(super) below: &'static str,
    /// What a failure looks like.
    pub(super) failure: SchemaOf,
    /// What is answered when a field of a query or a body is wrong.
    pub(super) invalid: StatusCode,
    /// How any request may be refused that needs a token.
    pub(super) refused: &'static [StatusCode],
}

/// Routes that work with an `S`, and what is said of them.
pub(super) struct Routes<S = Api> {
    router: Router<S>,
    described: Described,
    group: Group,
    style: Option<Style>,
}

/// What the document says of a group.
pub(super) struct Described {
    /// By path and method.
    pub(super) operations: Vec<(String, &'static str, Value)>,
    pub(super) schemas: Schemas,
}

/// What is said of a route.
pub(super) struct Operation {
    method: Method,
    path: &'static str,
    text: &'static str,
    query: Vec<Property>,
    headers: Vec<Property>,
    body: Option<Value>,
    answers: Vec<(StatusCode, Content)>,
    fails: Vec<StatusCode>,
    has_token: bool,
    asks_the_store: bool,
}

#[derive(Clone, Copy)]
enum Method {
    Get,
    Post,
    Put,
    Delete,
}

enum Content {
    Json(SchemaOf),
    Bytes,
    Nothing,
}

/// Describes a route that reads.
pub(super) fn get(path: &'static str, text: &'static str) -> Operation {
    Operation::new(Method::Get, path, text)
}

/// Describes a route that adds or does something.
pub(super) fn post(path: &'static str, text: &'static str) -> Operation {
    Operation::new(Method::Post, path, text)
}

/// Describes a route that replaces something.
pub(super) fn put(path: &'static str, text: &'static str) -> Operation {
    Operation::new(Method::Put, path, text)
}

/// Describes a route that takes something away.
pub(super) fn delete(path: &'static str, text: &'static str) -> Operation {
    Operation::new(Method::Delete, path, text)
}

impl Operation {
    fn new(method: Method, path: &'static str, text: &'static str) -> Self {
        Self {
            method,
            path,
            text,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            fails: Vec::new(),
            has_token: true,
            asks_the_store: true,
        }
    }

    /// It reads these fields of the query.
    pub(super) fn query(self, fields: &[&[Property]]) -> Self {
        Self {
            query: fields.concat(),
            ..self
        }
    }

    /// It reads these headers.
    pub(super) fn headers(self, fields: &[&[Property]]) -> Self {
        Self {
            headers: fields.concat(),
            ..self
        }
    }

    /// It takes a JSON object with these fields, of which one of `any_of` has to be there.
    pub(super) fn takes(self, fields: &[&[Property]], any_of: &[&str]) -> Self {
        let content = json!({ JSON: { "schema": object(fields, any_of) } });
        self.body(&content, true)
    }

    /// It takes the same, or no body.
    pub(super) fn may_take(self, fields: &[&[Property]]) -> Self {
        let content = json!({ JSON: { "schema": object(fields, &[]) } });
        self.body(&content, false)
    }

    /// It takes any bytes.
    pub(super) fn takes_bytes(self) -> Self {
        let content = json!({ ANY: { "schema": { "type": "string", "format": "binary" } } });
        self.body(&content, true)
    }

    fn body(self, content: &Value, is_required: bool) -> Self {
        Self {
            body: Some(json!({ "required": is_required, "content": content })),
            ..self
        }
    }

    /// It answers with a `T` in JSON.
    pub(super) fn answers<T: JsonSchema>(self, status: StatusCode) -> Self {
        self.answer(status, Content::Json(Schemas::refer::<T>))
    }

    /// It answers with a file.
    pub(super) fn gives_bytes(self) -> Self {
        self.answer(StatusCode::OK, Content::Bytes)
    }

    /// It answers that it is done.
    pub(super) fn done(self) -> Self {
        self.answer(StatusCode::NO_CONTENT, Content::Nothing)
    }

    fn answer(mut self, status: StatusCode, content: Content) -> Self {
        self.answers.push((status, content));
        self
    }

    /// It fails in these ways, too, that do not follow from what it reads.
    pub(super) fn fails(mut self, statuses: &[StatusCode]) -> Self {
        self.fails.extend(statuses);
        self
    }

    /// It asks for no token.
    pub(super) fn for_everybody(self) -> Self {
        Self {
            has_token: false,
            ..self
        }
    }

    /// It answers from what this process knows.
    pub(super) fn asks_nobody(self) -> Self {
        Self {
            asks_the_store: false,
            ..self
        }
    }

    /// Returns in which ways it fails.
    fn failures(&self, group: &Group) -> Vec<StatusCode> {
        let has_json = self
            .body
            .as_ref()
            .is_some_and(|it| !it["content"][JSON].is_null());
        let mut failures = Vec::new();
        if self.asks_the_store {
            failures.extend([
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::SERVICE_UNAVAILABLE,
            ]);
        }
        if self.has_token {
            failures.extend(group.refused);
        }
        if has_json || !self.query.is_empty() || !self.headers.is_empty() {
            failures.push(group.invalid);
        }
        if has_json {
            failures.extend([
                StatusCode::REQUEST_TIMEOUT,
                StatusCode::PAYLOAD_TOO_LARGE,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ]);
        }
        failures.extend(&self.fails);
        failures
    }

    /// Returns what the document says.
    fn describe(self, path: &str, group: &Group, schemas: &mut Schemas) -> Value {
        let failure = (group.failure)(schemas);
        let mut responses = Map::new();
        for status in self.failures(group) {
            let content = json!({ JSON: { "schema": failure } });
            responses.insert(status.as_str().to_owned(), response(status, Some(content)));
        }
        for (status, content) in &self.answers {
            let content = match content {
                Content::Json(schema) => Some(json!({ JSON: { "schema": schema(schemas) } })),
                Content::Bytes => {
                    Some(json!({ ANY: { "schema": { "type": "string", "format": "binary" } } }))
                }
                Content::Nothing => None,
            };
            responses.insert(status.as_str().to_owned(), response(*status, content));
        }
        let mut operation = json!({
            "tags": [group.name],
            "summary": self.text,
            "parameters": self.parameters(path),
            "responses": responses,
            "security": if self.has_token { json!([{ "token": [] }]) } else { json!([]) },
        });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }

    fn parameters(&self, path: &str) -> Vec<Value> {
        let in_path = path.split(['{', '}']).skip(1).step_by(2);
        let in_path = in_path.map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        });
        let in_query = self.query.iter().map(|it| parameter("query", it));
        let in_header = self.headers.iter().map(|it| parameter("header", it));
        in_path.chain(in_query).chain(in_header).collect()
    }
}

fn parameter(place: &str, it: &Property) -> Value {
    json!({
        "name": it.name,
        "in": place,
        "required": it.is_required,
        "schema": it.kind.schema(),
    })
}

fn response(status: StatusCode, content: Option<Value>) -> Value {
    let mut response = json!({ "description": status.canonical_reason() });
    if let Some(content) = content {
        response["content"] = content;
    }
    response
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub(super) fn of(group: Group) -> Self {
        Self {
            router: Router::new(),
            described: Described {
                operations: Vec::new(),
                schemas: Schemas::of(group.name),
            },
            group,
            style: None,
        }
    }

    /// Tells failures in this style.
    pub(super) fn in_style(self, style: Style) -> Self {
        Self {
            style: Some(style),
            ..self
        }
    }

    /// Adds a route.
    pub(super) fn add<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let path = format!("{}{}", self.group.below, operation.path);
        let router = std::mem::take(&mut self.router);
        self.router = router.route(&path, on(operation.method.filter(), handler));
        self.describe(operation)
    }

    /// Says something of a route that is added elsewhere, because two groups share it.
    pub(super) fn describe(mut self, operation: Operation) -> Self {
        let path = format!("{}{}", self.group.below, operation.path);
        let method = operation.method.name();
        let described = operation.describe(&path, &self.group, &mut self.described.schemas);
        self.described.operations.push((path, method, described));
        self
    }

    /// Returns the routes, and what is said of them.
    pub(super) fn finish(self) -> (Router<S>, Described) {
        let Some(style) = self.style else {
            return (self.router, self.described);
        };
        let router = self
            .router
            .layer(map_response(move |response: Response| async move {
                restyle(style, response)
            }));
        (router, self.described)
    }
}
