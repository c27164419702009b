//! What a request says, read field by field so that one answer names everything that is wrong.
//!
//! It knows JSON and query strings, not what the fields mean.

use std::{collections::HashMap, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{self, FromRequest, FromRequestParts, Request},
};
use chat_domain::ChatError;
use futures_util::{Stream, StreamExt as _};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use super::error::RestError;

/// The longest body taken, in bytes.
const MAX_BODY: usize = 1_000_000;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a longer one is read and forgotten, in bytes, and for how long.
const MAX_DISCARDED: usize = 32_000_000;
const LINGER: Duration = Duration::from_secs(2);

/// The fields of a request, and what turned out to be wrong with them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: Map<String, Value>,
    details: Vec<String>,
    /// Where they come from.
    place: &'static str,
}

impl Fields {
    fn new(values: Map<String, Value>, place: &'static str) -> Self {
        Self {
            values,
            details: Vec::new(),
            place,
        }
    }

    /// Returns the text field `name` as `parse` takes it. If it is missing, or `parse` refuses it,
    /// returns `None` and notes that `name` breaks `rule`.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self
            .values
            .get(name)
            .and_then(Value::as_str)
            .and_then(parse);
        if value.is_none() {
            self.note(name, rule);
        }
        value
    }

    /// Like [`Fields::required`], but nothing is wrong when the field is absent or null.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.values.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => self.required(name, rule, parse),
        }
    }

    /// Returns the integer field `name`; nothing is wrong when it is absent or null.
    pub(super) fn optional_integer(&mut self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            None | Some(Value::Null) => None,
            Some(value) => {
                let value = value.as_i64();
                if value.is_none() {
                    self.note(name, "must be an integer");
                }
                value
            }
        }
    }

    /// Returns the list of texts `name` as `parse` takes each. If there is none, if it has not 1 to
    /// `max_items` items or `parse` refuses one, notes that `name` breaks `rule`.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        rule: &str,
        max_items: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self
            .values
            .get(name)
            .and_then(Value::as_array)
            .filter(|items| (1..=max_items).contains(&items.len()))
            .and_then(|items| items.iter().map(|item| parse(item.as_str()?)).collect());
        if items.is_none() {
            self.note(name, rule);
        }
        items
    }

    /// Takes a field that some clients call `from` for `to`, unless they call one so, too.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.values.remove(from)
            && !self.has(to)
        {
            self.values.insert(to.to_owned(), value);
        }
    }

    /// Returns a field as it came.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text field, trimmed; `None` when nothing is left of it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.values.get(name).and_then(Value::as_str)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// Tells whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }

    /// Notes that something is wrong with `name`.
    pub(super) fn note(&mut self, name: &str, rule: &str) {
        self.details.push(format!("{name} {rule}"));
    }

    /// Returns the value, or notes why there is none.
    pub(super) fn noted<T>(&mut self, result: Result<T, ChatError>) -> Option<T> {
        result
            .map_err(|error| self.details.push(error.to_string()))
            .ok()
    }

    /// Fails with everything that was noted, if anything was.
    pub(super) fn check(&mut self) -> Result<(), RestError> {
        if self.details.is_empty() {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// Fails with everything that was noted.
    pub(super) fn rejected(mut self) -> RestError {
        self.refusal()
    }

    fn refusal(&mut self) -> RestError {
        RestError::invalid(std::mem::take(&mut self.details)).in_the(self.place)
    }
}

/// The fields of the query string. Of a name given twice the last one counts.
#[derive(Debug)]
pub(super) struct Query(pub(super) Fields);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RestError> {
        let extract::Query(pairs) =
            extract::Query::<HashMap<String, String>>::from_request_parts(parts, state)
                .await
                .map_err(|_| RestError::invalid(vec!["the query is malformed".to_owned()]))?;
        let values = pairs
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect();
        Ok(Self(Fields::new(values, "query")))
    }
}

/// The fields of a JSON object in the body.
#[derive(Debug)]
pub(super) struct JsonBody(pub(super) Fields);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = RestError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, RestError> {
        if !is_plain_json(request.headers()) {
            return Err(RestError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Content-Type must be application/json",
            ));
        }
        let bytes = read(request.into_body()).await?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(values)) => Ok(Self(Fields::new(values, "body"))),
            Ok(_) => Err(RestError::invalid(vec![
                "the body must be an object".into(),
            ])),
            Err(_) => Err(RestError::invalid(vec!["the body is not JSON".into()])),
        }
    }
}

/// Encoded bodies are refused: decompressing is how a small body becomes a large one.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    is_json && !headers.contains_key(CONTENT_ENCODING)
}

/// Reads a body. Of one that is too long, reads on for a moment and forgets it: the answer to a
/// client that still sends would be lost with its connection.
async fn read(mut body: Body) -> Result<Vec<u8>, RestError> {
    if body.size_hint().lower() <= MAX_BODY as u64 {
        let read = tokio::time::timeout(BODY_TIMEOUT, collect(&mut body))
            .await
            .map_err(|_| RestError::new(StatusCode::REQUEST_TIMEOUT, "The body took too long"))?
            .map_err(|_| RestError::invalid(vec!["the body could not be read".to_owned()]))?;
        if let Some(bytes) = read {
            return Ok(bytes);
        }
    }
    discard(body.into_data_stream()).await;
    Err(too_large())
}

/// Returns the bytes of a body, or `None` at the first that is too many.
async fn collect(body: &mut Body) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if MAX_BODY < bytes.len() + data.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

/// Reads on for a moment and forgets it.
pub(super) async fn discard<E>(mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin) {
    let discarding = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(bytes)) = bytes.next().await
            && 0 < left
        {
            left = left.saturating_sub(bytes.len());
        }
    };
    // However it ends, the answer is the same.
    let _ = tokio::time::timeout(LINGER, discarding).await;
}

fn too_large() -> RestError {
    RestError::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
}
