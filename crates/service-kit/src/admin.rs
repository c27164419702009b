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

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt as _;

    use super::*;
    use crate::Lifecycle;

    async fn get(health: &Health, path: &str) -> (StatusCode, String) {
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(health.clone(), metrics)
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_is_between_started_and_draining() {
        let lifecycle = Lifecycle::new();
        let health = Health::new(&lifecycle);
        let nats = health.dependency("nats");
        let ready = async || get(&health, "/readyz").await;

        assert_eq!(ready().await.0, StatusCode::SERVICE_UNAVAILABLE);
        health.started();
        nats.down("gone");
        let (status, body) = ready().await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            body,
            r#"{"status":"ready","dependencies":{"nats":{"status":"down","reason":"gone"}}}"#
        );
        lifecycle.soft().cancel();
        assert_eq!(ready().await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_draining_process_is_alive() {
        let lifecycle = Lifecycle::new();
        lifecycle.soft().cancel();
        let health = Health::new(&lifecycle);

        assert_eq!(get(&health, "/healthz").await.0, StatusCode::OK);
        assert_eq!(get(&health, "/metrics").await.0, StatusCode::OK);
    }
}
