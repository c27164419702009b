//! The JSON of ICE servers, which clients hand to `RTCPeerConnection` as it is.

use chat_domain::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// What a relay takes from one user. Not printable: the credential is a password.
#[derive(Clone, Copy)]
pub struct RelayBody<'a> {
    /// `turn:` and `turns:` URLs.
    pub urls: &'a [String],
    /// The user name.
    pub username: &'a str,
    /// The password.
    pub credential: &'a str,
    /// When the relay stops taking them.
    pub expires_at: Timestamp,
}

/// The servers that help browsers to reach each other; ask again after `expiresAt`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IceServersBody<'a> {
    ice_servers: Vec<IceServerBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Text<Timestamp>>,
}

#[derive(Serialize, JsonSchema)]
struct IceServerBody<'a> {
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

impl<'a> IceServersBody<'a> {
    /// Lists what there is: an entry without URLs would be an error in a browser.
    #[must_use]
    pub fn new(stun_urls: &'a [String], relay: Option<RelayBody<'a>>) -> Self {
        let stun = (!stun_urls.is_empty()).then_some(IceServerBody {
            urls: stun_urls,
            username: None,
            credential: None,
        });
        let turn = relay.map(|relay| IceServerBody {
            urls: relay.urls,
            username: Some(relay.username),
            credential: Some(relay.credential),
        });
        Self {
            ice_servers: stun.into_iter().chain(turn).collect(),
            expires_at: relay.map(|relay| Text(relay.expires_at)),
        }
    }
}
