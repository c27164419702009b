//! What this store says of itself to people who write clients: two documents, and a page for each. And one
//! to those who write other services, without a page.
//!
//! They speak of the dialects that apps here have, hold nothing of any app or user, and so those for
//! clients ask for no token.

mod assets;
mod openapi;
mod sockets;

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use chat_domain::Dialect;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
};

use super::{error::RestError, routes::Described};

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What the page of sockets may do: show itself. Nothing runs there.
const STILL: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                     frame-ancestors 'none'";
/// Swagger UI sets styles of elements, draws from `data:` and asks this server for what one tries out.
const SWAGGER: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                       img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                       frame-ancestors 'none'";

/// Returns the route of the document for other services.
pub(super) fn of_services<S: Clone + Send + Sync + 'static>(
    described: Vec<Described>,
) -> Router<S> {
    let openapi = openapi::document(&openapi::OF_SERVICES, described);
    let openapi = Bytes::from(openapi.to_string());
    Router::new().route(
        "/internal/v1/api-docs.json",
        get(async move || file(JSON, STILL, openapi)),
    )
}

/// Returns the routes of the documents for clients.
pub(super) fn router<S: Clone + Send + Sync + 'static>(
    dialects: Vec<Dialect>,
    described: Vec<Described>,
) -> Router<S> {
    let openapi = openapi::document(&openapi::OF_CLIENTS, described);
    let openapi = Bytes::from(openapi.to_string());
    let asyncapi = Arc::new(LazyLock::new(move || {
        let document = dialects::describe::asyncapi(&dialects);
        let page = sockets::page(&document);
        (Bytes::from(document.to_string()), Bytes::from(page))
    }));
    let page = Arc::clone(&asyncapi);
    Router::new()
        .route(
            "/api/v1/api-docs.json",
            get(async move || file(JSON, STILL, openapi)),
        )
        .route(
            "/api/v1/api-docs",
            get(async || file(HTML, SWAGGER, assets::SWAGGER_PAGE)),
        )
        .route("/api/v1/api-docs/{name}", get(asset))
        .route(
            "/api/v1/async-docs.json",
            get(async move || file(JSON, STILL, asyncapi.0.clone())),
        )
        .route(
            "/api/v1/async-docs",
            get(async move || file(HTML, STILL, page.1.clone())),
        )
}

/// What the pages are made of.
async fn asset(Path(name): Path<String>) -> Response {
    match assets::find(&name) {
        Some((content_type, bytes)) => file(content_type, SWAGGER, bytes),
        None => RestError::new(StatusCode::NOT_FOUND, "Route not found").into_response(),
    }
}

fn file(content_type: &'static str, policy: &'static str, bytes: impl Into<Bytes>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, bytes.into()).into_response()
}
