//! REST for clients, and the internal HTTP for other services.
//!
//! Each dialect has one router over the pieces that all share: [`auth`], [`error`], [`fields`],
//! [`page`]. What is deliberately absent: rules of the chat, which are use cases in [`crate::app`],
//! and the bodies of answers, which are in `dialects`.

mod auth;
mod booking;
mod care;
mod clinic;
mod consult;
mod docs;
mod error;
mod fields;
mod files;
mod internal;
mod observe;
mod outgoing;
mod page;
mod quota;
mod routes;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use chat_domain::Dialect;
use dialects::describe::Schemas;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use service_kit::{
    apps::Apps,
    auth::Verifier,
    http::{cors_headers, preflight},
    limits::Rate,
};

use tower::ServiceExt as _;

pub use internal::router as internal_router;

use crate::app::{App, IceServers};
use error::{FailureBody, RestError};
use quota::Quota;
use routes::{Group, Routes, TO_USERS};

/// What the routes of clients work with.
#[derive(Clone)]
struct Api {
    app: App,
    verifier: Verifier,
    ice: Arc<IceServers>,
    quota: Arc<Quota>,
}

/// Returns the routes of clients: those of each dialect that an app speaks.
///
/// They answer users of the apps whose tokens `verifier` knows, each `requests` unless its app says
/// otherwise, and tell them about `ice`.
pub fn router(app: App, verifier: Verifier, ice: IceServers, requests: Rate) -> Router {
    let apps = Arc::clone(verifier.apps());
    let spoken: Vec<Dialect> = DIALECTS
        .into_iter()
        .filter(|dialect| apps.speak(*dialect))
        .collect();
    let groups = spoken.iter().map(|dialect| match dialect {
        Dialect::Consult => consult::routes(),
        Dialect::Care => care::routes(),
        Dialect::Clinic => clinic::routes(),
        Dialect::Booking => booking::routes(),
    });
    let mut router = Router::new();
    let mut described = Vec::new();
    for group in std::iter::once(common_routes()).chain(groups) {
        let (routes, of_them) = group.finish();
        router = router.merge(routes);
        described.push(of_them);
    }
    if spoken.contains(&Dialect::Clinic) || spoken.contains(&Dialect::Booking) {
        router = router.route("/api/messages", post(post_message));
    }
    router = router.merge(docs::router(spoken, described));
    finish(router)
        .layer(middleware::from_fn_with_state(apps, cors))
        .layer(middleware::from_fn(observe::observe))
        .with_state(Api {
            app,
            verifier,
            ice: Arc::new(ice),
            quota: Arc::new(Quota::new(requests)),
        })
}

const DIALECTS: [Dialect; 4] = [
    Dialect::Consult,
    Dialect::Care,
    Dialect::Clinic,
    Dialect::Booking,
];

/// The routes that belong to no dialect.
fn common_routes() -> Routes {
    let group = Group {
        name: "common",
        below: "",
        failure: Schemas::refer::<FailureBody<'static>>,
        invalid: StatusCode::BAD_REQUEST,
        refused: TO_USERS,
    };
    Routes::of(group)
        .add(
            routes::get("/", "Tells a person with a browser that something is here.")
                .for_everybody()
                .asks_nobody()
                .answers::<StatusBody>(StatusCode::OK),
            status,
        )
        .add(
            routes::put(
                "/api/v1/uploads/{id}",
                "The bytes of a file that was announced, where the answer says that they go here.",
            )
            .for_everybody()
            .query(&[&files::PERMIT])
            .takes_bytes()
            .done()
            .fails(&[
                StatusCode::FORBIDDEN,
                StatusCode::NOT_FOUND,
                StatusCode::PAYLOAD_TOO_LARGE,
            ]),
            files::upload,
        )
}

/// `POST /api/messages`, which two dialects have: the token says which one is meant.
async fn post_message(State(api): State<Api>, request: Request) -> Response {
    let routes = match auth::dialect_of(&api, request.headers()) {
        Some(Dialect::Clinic) => clinic::post_message(),
        _ => booking::post_message(),
    };
    match routes.with_state(api).oneshot(request).await {
        Ok(response) => response,
    }
}

/// Answers what matches no route in the form of all errors.
fn finish<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(async || RestError::new(StatusCode::NOT_FOUND, "Route not found"))
        .method_not_allowed_fallback(async || {
            RestError::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        })
}

/// `GET /`: tells a person with a browser that something is here. Health is on the admin port.
async fn status() -> Json<StatusBody> {
    Json(StatusBody {
        status: "ok",
        message: "care-chat API running",
    })
}

#[derive(Serialize, JsonSchema)]
struct StatusBody {
    status: &'static str,
    message: &'static str,
}

async fn cors(State(apps): State<Arc<Apps>>, request: Request, next: Next) -> Response {
    if let Some(response) = preflight(request.method(), request.headers(), apps.origins()) {
        return response.map(|()| Body::empty()).into_response();
    }
    let headers = cors_headers(request.headers(), apps.origins());
    let mut response = next.run(request).await;
    response.headers_mut().extend(headers);
    response
}
