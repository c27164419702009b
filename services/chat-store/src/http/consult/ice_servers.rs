//! The route on ICE servers.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use dialects::consult::{IceServersBody, RelayBody};

use super::Authenticated;
use crate::http::Api;

/// `GET /chat/ice-servers`: what the caller's `RTCPeerConnection` needs, for a while.
pub(super) async fn list(State(api): State<Api>, Authenticated(caller): Authenticated) -> Response {
    let credentials = api.ice.relay.as_ref().map(|relay| {
        let credentials = relay.credentials(&caller, service_kit::now());
        (relay, credentials)
    });

    let relay = credentials.as_ref().map(|(relay, credentials)| RelayBody {
        urls: &relay.urls,
        username: &credentials.username,
        credential: &credentials.password,
        expires_at: credentials.expires_at,
    });
    Json(IceServersBody::new(&api.ice.stun_urls, relay)).into_response()
}
