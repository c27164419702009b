//! The admin port: `/healthz`, `/readyz` and `/metrics`. It stays open while the process drains, and
//! is never reachable by clients.

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::{Health, health::Readiness};

pub(crate) fn router(health: Health, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready).with_state(health))
        .route("/metrics", get(async move || metrics.render()))
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report();
    let status = match report.status {
        Readiness::Ready => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report))
}
