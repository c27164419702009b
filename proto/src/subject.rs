//! NATS subjects. They are spelled here and nowhere else.
//!
//! `chat.v1.<class>.…`, identifiers last. Ids of users may hold dots, `*` and `>`, so they appear only
//! as a hash. `hh`, the first byte of that hash in hex, is the future key of a NATS cell.

use std::fmt::Write as _;

use chat_domain::{AppId, ConversationId, MessageId, UserId};
use sha2::{Digest as _, Sha256};

/// The queue group in which chat-stores share requests.
pub const STORE_QUEUE: &str = "chat-store";

/// Everything that is asked of chat-stores.
pub const RPC_ALL: &str = "chat.v1.rpc.>";

/// Says to all gateways that something was revoked; they ask what.
pub const REVOKED: &str = "chat.v1.ctl.revoked";

/// Says to all gateways how much users and addresses asked of one of them.
pub const USED: &str = "chat.v1.ctl.used";

/// Below this, gateways are answered.
pub const GATEWAY_INBOX: &str = "_INBOX.gateway";

/// Below this, stores are answered.
pub const STORE_INBOX: &str = "_INBOX.store";

/// The stream that keeps what other services are told.
pub const OUT_STREAM: &str = "CHAT_OUT";

/// Everything that other services are told.
pub const OUT_ALL: &str = "chat.v1.out.>";

/// The stream that other services write into.
pub const IN_STREAM: &str = "CHAT_IN";

/// Everything that other services write.
pub const IN_ALL: &str = "chat.v1.in.*.*";

/// The stream that keeps what other services wrote and nobody could take.
pub const IN_DEAD_STREAM: &str = "CHAT_IN_DEAD";

/// Where that goes. It is none of [`IN_ALL`].
pub const IN_DEAD: &str = "chat.v1.in.dead";

/// The stream that keeps what gateways note of messages on their way.
pub const JOURNAL_STREAM: &str = "CHAT_JOURNAL";

/// Everything that gateways note.
pub const JOURNAL_ALL: &str = "chat.v1.jnl.*";

/// What other services can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is described at its message in inbound.proto"
)]
pub enum InKind {
    User,
    Booking,
    Business,
    Association,
    Message,
    Notify,
    Revocation,
}

impl InKind {
    /// Every kind there is.
    pub const ALL: [Self; 7] = [
        Self::User,
        Self::Booking,
        Self::Business,
        Self::Association,
        Self::Message,
        Self::Notify,
        Self::Revocation,
    ];

    /// Returns the last token of its subjects, which is also the name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Booking => "booking",
            Self::Business => "business",
            Self::Association => "association",
            Self::Message => "message",
            Self::Notify => "notify",
            Self::Revocation => "revocation",
        }
    }
}

/// Reads the name of the app and the kind off a subject of [`IN_ALL`]; `None` for a kind that this
/// release does not know.
#[must_use]
pub fn parse_in(subject: &str) -> Option<(&str, InKind)> {
    let (app, kind) = subject.strip_prefix("chat.v1.in.")?.split_once('.')?;
    let kind = InKind::ALL.into_iter().find(|known| known.name() == kind)?;
    Some((app, kind))
}

/// What can be asked of a chat-store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is described at its message in rpc.proto, calls.proto or presence.proto"
)]
pub enum Rpc {
    OpenSession,
    ResumeSession,
    GetConversation,
    OpenConversation,
    Heads,
    Begun,
    Append,
    Range,
    Sync,
    Receive,
    Read,
    InitiateCall,
    AcceptCall,
    RejectCall,
    EndCall,
    Signal,
    CheckCalls,
    DeviceGone,
    DeviceBack,
    CallsTold,
    GatewayAlive,
    SetStatus,
    ListRevocations,
    FindUser,
}

impl Rpc {
    /// Every request there is.
    pub const ALL: [Self; 24] = [
        Self::OpenSession,
        Self::ResumeSession,
        Self::GetConversation,
        Self::OpenConversation,
        Self::Heads,
        Self::Begun,
        Self::Append,
        Self::Range,
        Self::Sync,
        Self::Receive,
        Self::Read,
        Self::InitiateCall,
        Self::AcceptCall,
        Self::RejectCall,
        Self::EndCall,
        Self::Signal,
        Self::CheckCalls,
        Self::DeviceGone,
        Self::DeviceBack,
        Self::CallsTold,
        Self::GatewayAlive,
        Self::SetStatus,
        Self::ListRevocations,
        Self::FindUser,
    ];

    /// Returns `<entity>.<verb>`, which is also the name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSession => "users.open",
            Self::ResumeSession => "users.resume",
            Self::GetConversation => "conversations.get",
            Self::OpenConversation => "conversations.open",
            Self::Heads => "conversations.heads",
            Self::Begun => "conversations.begun",
            Self::Append => "messages.append",
            Self::Range => "messages.range",
            Self::Sync => "messages.sync",
            Self::Receive => "messages.receive",
            Self::Read => "messages.read",
            Self::InitiateCall => "calls.initiate",
            Self::AcceptCall => "calls.accept",
            Self::RejectCall => "calls.reject",
            Self::EndCall => "calls.end",
            Self::Signal => "calls.signal",
            Self::CheckCalls => "calls.check",
            Self::DeviceGone => "devices.gone",
            Self::DeviceBack => "devices.back",
            Self::CallsTold => "calls.told",
            Self::GatewayAlive => "gateways.alive",
            Self::SetStatus => "users.set_status",
            Self::ListRevocations => "revocations.list",
            Self::FindUser => "users.find",
        }
    }
}

/// Builds the subject of a request about `key` (a conversation or a user, as text).
#[must_use]
pub fn rpc(request: Rpc, key: &str) -> String {
    format!("chat.v1.rpc.{}.{}", hash_prefix(key), request.name())
}

/// Reads the request off a subject; `None` for one that this release does not know.
#[must_use]
pub fn parse_rpc(subject: &str) -> Option<Rpc> {
    let (_hh, name) = subject.strip_prefix("chat.v1.rpc.")?.split_once('.')?;
    Rpc::ALL.into_iter().find(|request| request.name() == name)
}

/// Builds the subject of everything that concerns one user's sockets.
#[must_use]
pub fn user(app: &AppId, user: &UserId) -> String {
    let mut hasher = Sha256::new();
    hasher.update(app.as_str());
    hasher.update([0]);
    hasher.update(user.as_str());
    let token = hex(&hasher.finalize()[..16]);
    format!("chat.v1.usr.{}.{token}", &token[..2])
}

/// Says whether a subject is one that [`user`] makes.
#[must_use]
pub fn is_of_user(subject: &str) -> bool {
    subject.starts_with("chat.v1.usr.")
}

/// Builds the subject of what gateways note of a user; 255 parts of the others share it.
#[must_use]
pub fn journal(app: &AppId, user: &UserId) -> String {
    let subject = self::user(app, user);
    let part = subject.rsplit('.').nth(1).unwrap_or_default();
    format!("chat.v1.jnl.{part}")
}

/// Builds the subject of everything that is for the gateway called `name` alone.
#[must_use]
pub fn gateway_all(name: &str) -> String {
    format!("chat.v1.gw.{name}.>")
}

/// Builds the subject of pieces of streams for the gateway called `name`.
#[must_use]
pub fn gateway_segment(name: &str) -> String {
    format!("chat.v1.gw.{name}.segment")
}

/// Builds the subject of signs of life for the gateway called `name`.
#[must_use]
pub fn gateway_beat(name: &str) -> String {
    format!("chat.v1.gw.{name}.beat")
}

/// Builds the subject under which the gateway called `name` hears from the broker that what it sent
/// to `peer` found nobody. `stream` is what it was a piece of; 0 for none.
#[must_use]
pub fn gateway_undelivered(name: &str, peer: &str, stream: u64) -> String {
    format!("chat.v1.gw.{name}.undelivered.{peer}.{stream}")
}

/// What a gateway hears on a subject of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToGateway<'a> {
    /// See [`gateway_segment`].
    Segment,
    /// See [`gateway_beat`].
    Beat,
    /// See [`gateway_undelivered`].
    #[expect(missing_docs, reason = "described at the builder")]
    Undelivered { peer: &'a str, stream: u64 },
}

/// Reads a subject of the gateway called `name`; `None` for one that this release does not know.
#[must_use]
pub fn parse_gateway<'a>(name: &str, subject: &'a str) -> Option<ToGateway<'a>> {
    let rest = subject.strip_prefix("chat.v1.gw.")?;
    let mut tokens = rest.strip_prefix(name)?.strip_prefix('.')?.split('.');
    let parsed = match (tokens.next()?, tokens.next(), tokens.next()) {
        ("segment", None, None) => ToGateway::Segment,
        ("beat", None, None) => ToGateway::Beat,
        ("undelivered", Some(peer), Some(stream)) => ToGateway::Undelivered {
            peer,
            stream: stream.parse().ok()?,
        },
        _ => return None,
    };
    tokens.next().is_none().then_some(parsed)
}

/// Whether a gateway can be called so: its name is one token of its subjects.
#[must_use]
pub fn is_gateway_name(name: &str) -> bool {
    (1..=96).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Builds the subject of an event of an app for other services. Names of apps are made for it.
#[must_use]
pub fn out(app: &AppId, event: &str) -> String {
    format!("chat.v1.out.{app}.{event}")
}

/// Builds the text under which a conversation's requests are spread.
#[must_use]
pub fn conversation_key(conversation: ConversationId) -> String {
    format!("{:03x}", MessageId::shard(conversation))
}

fn hash_prefix(key: &str) -> String {
    hex(&Sha256::digest(key)[..1])
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_finds_its_way_back() {
        for request in Rpc::ALL {
            assert_eq!(parse_rpc(&rpc(request, "some.*.key")), Some(request));
        }
        assert_eq!(parse_rpc("chat.v1.rpc.00.messages.unheard"), None);
        assert_eq!(parse_rpc("elsewhere"), None);
    }

    #[test]
    fn what_other_services_write_is_known_by_its_subject() {
        for kind in InKind::ALL {
            let subject = format!("chat.v1.in.consult.{}", kind.name());
            assert_eq!(parse_in(&subject), Some(("consult", kind)));
            assert_eq!(parse_in(&format!("{subject}.more")), None);
        }
        assert_eq!(parse_in("chat.v1.in.consult.unheard"), None);
        assert_eq!(parse_in(IN_DEAD), None);
    }

    #[test]
    fn what_is_for_a_gateway_finds_its_way_back() {
        for (subject, expected) in [
            (gateway_segment("g1"), ToGateway::Segment),
            (gateway_beat("g1"), ToGateway::Beat),
            (
                gateway_undelivered("g1", "g2-0f", u64::MAX),
                ToGateway::Undelivered {
                    peer: "g2-0f",
                    stream: u64::MAX,
                },
            ),
        ] {
            assert_eq!(parse_gateway("g1", &subject), Some(expected));
            assert_eq!(parse_gateway("g", &subject), None);
            assert_eq!(parse_gateway("g1", &format!("{subject}.more")), None);
        }
        assert_eq!(parse_gateway("g1", "chat.v1.gw.g1.unheard"), None);
        assert_eq!(parse_gateway("g1", "elsewhere"), None);
    }

    #[test]
    fn a_gateway_has_a_name_of_one_token() {
        assert!(is_gateway_name("gateway-0"));
        for bad in ["", "a.b", "a b", "*", ">"] {
            assert!(!is_gateway_name(bad), "{bad}");
        }
    }

    #[test]
    fn odd_user_ids_cannot_reach_other_subjects() {
        let app = AppId::new("consult").unwrap();

        for id in ["a.b", "*", ">", "a b", "é"] {
            let subject = user(&app, &UserId::new(id).unwrap());
            assert_eq!(subject.split('.').count(), 5, "{subject}");
            assert!(!subject.contains(['*', '>', ' ']), "{subject}");
        }
    }

    #[test]
    fn users_of_two_apps_never_share_a_subject() {
        let id = UserId::new("42").unwrap();

        let subjects = ["a", "b"].map(|app| user(&AppId::new(app).unwrap(), &id));

        assert_ne!(subjects[0], subjects[1]);
    }
}
