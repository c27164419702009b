//! A request in the making, and its answer, which has to be what the document says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
};
use chat_domain::BoxError;
use futures_util::Stream;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    http_described::{self, Exchange},
    http_site::{CONSULTANT, PATIENT, SECRET, STRANGER, now_s, signed, token},
};

/// A request in the making.
pub(crate) struct Ask {
    request: http::request::Builder,
    body: Body,
    json: Option<Value>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self {
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
            json: None,
        }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self {
            request: self.request.header(name, value),
            ..self
        }
    }

    /// Presents the token of the consultant, the patient or, in any other words, a strange patient.
    pub(crate) fn role(self, role: &str) -> Self {
        let token = match role {
            "consultant" => token(CONSULTANT, "consultant"),
            "patient" => token(PATIENT, "patient"),
            _ => token(STRANGER, "patient"),
        };
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Presents the token of a user of an app: `app role user`. Nobody has none.
    pub(crate) fn of_app(self, who: &str) -> Self {
        let Some((app, role, user)) = who
            .split_once(' ')
            .and_then(|(app, rest)| rest.split_once(' ').map(|(role, user)| (app, role, user)))
        else {
            return self;
        };
        let secret = match app {
            "jiggy" => SECRET.to_owned(),
            "other" => format!("{SECRET}-of-another-app"),
            app => format!("{SECRET}-of-{app}"),
        };
        let claims = json!({"sub": user, "email": user, "role": role, "exp": now_s() + 3_600});
        self.header(
            "authorization",
            &format!("Bearer {}", signed(&claims, &secret)),
        )
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self {
            json: Some(body.clone()),
            ..self.raw("application/json", body.to_string())
        }
    }

    pub(crate) fn raw(self, content_type: &str, body: impl Into<Body>) -> Self {
        Self {
            body: body.into(),
            ..self.header("content-type", content_type)
        }
    }

    pub(crate) fn bytes(self, bytes: Vec<u8>) -> Self {
        Self {
            body: bytes.into(),
            ..self
        }
    }

    pub(crate) fn streamed(
        self,
        parts: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
    ) -> Self {
        Self {
            body: Body::from_stream(parts),
            ..self
        }
    }

    pub(crate) async fn of(self, router: &Router) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(parts.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
        };
        let content_type = answer.headers.get(header::CONTENT_TYPE);
        let exchange = Exchange {
            method: method.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &headers,
            sent: self.json.as_ref(),
            status: answer.status.as_u16(),
            content_type: content_type.map_or("", |it| it.to_str().unwrap()),
            body: &answer.body,
        };
        http_described::check(router, &exchange).await;
        answer
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null when there is none.
    pub(crate) body: Value,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap().to_owned()
    }

    /// Checks that this is a failure of care, which says so.
    #[track_caller]
    pub(crate) fn assert_says(&self, status: u16, text: &str) {
        let told = (self.status.as_u16(), &self.body);
        assert_eq!(told, (status, &json!({"success": false, "message": text})));
    }

    /// Checks that this is an error in the form of all errors.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, context: &str) {
        assert_eq!(self.status.as_u16(), status, "{context}: {self:?}");
        let body = self.body.as_object().unwrap();
        assert_eq!(body["statusCode"], status, "{context}");
        assert_eq!(
            body["error"],
            self.status.canonical_reason().unwrap(),
            "{context}"
        );
        assert!(body["message"].is_string(), "{context}");
        let extra = body
            .keys()
            .find(|key| !["statusCode", "message", "error", "details"].contains(&key.as_str()));
        assert_eq!(extra, None, "{context}");
    }

    /// Checks that this refuses what the request says.
    #[track_caller]
    pub(crate) fn assert_invalid(&self, context: &str) {
        self.assert_error(400, context);
        assert_eq!(self.body["message"], "Validation failed", "{context}");
        assert!(
            !self.body["details"].as_array().unwrap().is_empty(),
            "{context}"
        );
    }
}

/// The JSON with what differs from run to run masked: ids that the system made, and instants.
pub(crate) fn masked(value: &Value) -> String {
    serde_json::to_string_pretty(&mask(value)).unwrap()
}

fn mask(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), mask(v))).collect(),
        Value::Array(items) => items.iter().map(mask).collect(),
        Value::String(text) if is_made(text) => "[id]".into(),
        Value::String(text) if text.len() == 24 && text.ends_with('Z') => "[instant]".into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn is_made(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|id| id.get_version_num() == 7)
}
