//! What every request leaves behind: a span, a measurement, and headers on its answer.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderValue, Method,
    header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
};
use service_kit::{Span, SpanKind, TraceParent, traced};
use tracing::Instrument as _;

use crate::metrics::Metric;

/// Runs a request in the trace that its `traceparent` header names, the place in which is left as an
/// extension, and measures it under its route's template.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_name(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let header = request.headers().get(TraceParent::HEADER);
    let caller = header.and_then(|value| value.to_str().ok()?.parse().ok());
    let trace = caller.map_or_else(TraceParent::generate, TraceParent::adopt);
    request.extensions_mut().insert(trace);
    let log = traced!(
        trace,
        "http.request",
        http.method = method,
        http.route = route
    );
    let mut span = Span::begin(
        trace,
        caller,
        format_args!("{method} {route}"),
        SpanKind::Server,
    );

    let mut response = span.scope(next.run(request)).instrument(log).await;

    span.set("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.fail("server_error");
    }
    drop(span);

    metrics::histogram!(
        Metric::HttpSeconds.name(),
        "method" => method,
        "route" => route,
        "status" => response.status().as_str().to_owned(),
    )
    .record(started.elapsed());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Everything here is somebody's: no cache on the way may keep it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Names a method; a label must come from a closed set.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
