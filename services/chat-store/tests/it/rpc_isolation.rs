//! Whatever is asked over NATS in the name of somebody who takes no part, or who is of another app, is
//! refused or answers nothing. A request that is added is a row of this table.

use bytes::Bytes;
use chat_domain::{
    ConversationId,
    call::{DeviceId, GatewayId},
};
use chat_proto::{WireId as _, subject, subject::Rpc, v1};
use prost::Message as _;
use test_kit::redis::Namespace;

use crate::{
    calls_subject::another,
    http_site::{BOOKING, CONSULTANT, PATIENT, STRANGER, Site},
    rpc::{Asked, TIMEOUT},
};

/// What a request says of who asks.
#[derive(Debug, PartialEq, Eq)]
enum Names {
    /// A user: what others have is not for it.
    User,
    /// An app alone: a gateway asks for all its users, and passes nothing on to others.
    App,
    /// Neither: nothing of users is in the answer.
    Nobody,
}

/// What there is to be had: a conversation of two with a message, and a call that rings.
struct Prize {
    conversation: ConversationId,
    message: String,
    call: Bytes,
    epoch: u64,
}

/// Somebody who asks.
struct Asking<'a> {
    app: &'a str,
    user: &'a str,
    role: &'a str,
}

impl Asking<'_> {
    fn as_user(&self) -> v1::User {
        v1::User {
            id: self.user.to_owned(),
            role: self.role.to_owned(),
            ..v1::User::default()
        }
    }

    fn device(&self) -> Bytes {
        let socket = self.user.bytes().chain(self.app.bytes());
        let socket = socket.fold(7, |sum, byte| sum * 31 % 65_537 + u64::from(byte));
        let gateway = GatewayId(9);
        DeviceId { gateway, socket }.to_wire()
    }

    fn party(&self, prize: &Prize) -> v1::CallParty {
        v1::CallParty {
            user_id: self.user.to_owned(),
            device: self.device(),
            peer_id: PATIENT.to_owned(),
            call_id: Some(prize.call.clone()),
            ..v1::CallParty::default()
        }
    }
}

/// Returns the request of the table, which asks for the prize.
#[expect(clippy::too_many_lines, reason = "a table")]
fn row(rpc: Rpc, asking: &Asking<'_>, prize: &Prize) -> (Names, Vec<u8>) {
    use v1::{open_conversation_request::Place, read_request::What};

    let (app, user_id) = (asking.app.to_owned(), asking.user.to_owned());
    let conversation_id = prize.conversation.to_string();
    let wire = prize.conversation.to_wire();
    let (party, device) = (Some(asking.party(prize)), asking.device());
    match rpc {
        Rpc::OpenSession => (
            Names::User,
            v1::OpenSessionRequest {
                app,
                user: Some(asking.as_user()),
            }
            .encode_to_vec(),
        ),
        Rpc::ResumeSession => (
            Names::User,
            v1::ResumeSessionRequest {
                app,
                user: Some(asking.as_user()),
                stands: vec![v1::Stand {
                    conversation_id: wire.clone(),
                    ..v1::Stand::default()
                }],
                epoch: prize.epoch,
                joined: vec![wire],
                ..v1::ResumeSessionRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::GetConversation => (
            Names::User,
            v1::GetConversationRequest {
                app,
                user_id,
                conversation_id,
                device,
            }
            .encode_to_vec(),
        ),
        Rpc::OpenConversation => (
            Names::User,
            v1::OpenConversationRequest {
                app,
                caller: Some(asking.as_user()),
                place: Some(Place::BookingId(BOOKING.to_owned())),
                device,
            }
            .encode_to_vec(),
        ),
        Rpc::Heads => (
            Names::App,
            v1::HeadsRequest {
                app,
                conversation_ids: vec![wire],
            }
            .encode_to_vec(),
        ),
        Rpc::Begun => (
            Names::App,
            v1::BegunRequest {
                app,
                ..v1::BegunRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::Append => (
            Names::User,
            v1::AppendRequest {
                app,
                sender: Some(asking.as_user()),
                target: conversation_id,
                items: vec![v1::AppendItem {
                    key: user_id,
                    kind: "text".to_owned(),
                    text: "x".to_owned(),
                    ..v1::AppendItem::default()
                }],
                origin: device,
                ..v1::AppendRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::Range => (
            Names::App,
            v1::RangeRequest {
                app,
                conversation_id: wire,
                limit: 10,
                ..v1::RangeRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::Sync => (
            Names::User,
            v1::SyncRequest {
                app,
                user_id,
                since: vec![v1::Position {
                    conversation_id,
                    seq: 0,
                }],
                device,
            }
            .encode_to_vec(),
        ),
        Rpc::Receive => (
            Names::User,
            v1::ReceiveRequest {
                app,
                user_id,
                receipt: v1::ReceiptKind::Read.into(),
                conversation_id,
                message_ids: vec![prize.message.clone()],
                origin: device,
                ..v1::ReceiveRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::Read => (
            Names::User,
            v1::ReadRequest {
                app,
                user_id,
                what: Some(What::Messages(v1::MessageIds {
                    ids: vec![prize.message.clone()],
                })),
                origin: device,
                ..v1::ReadRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::InitiateCall => (
            Names::User,
            v1::InitiateCallRequest {
                app,
                caller_id: user_id,
                device,
                callee_id: PATIENT.to_owned(),
                conversation_id: wire,
                kind: "video".to_owned(),
                ..v1::InitiateCallRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::AcceptCall => (
            Names::User,
            v1::AcceptCallRequest { app, party }.encode_to_vec(),
        ),
        Rpc::RejectCall => (
            Names::User,
            v1::RejectCallRequest {
                app,
                party,
                reason: None,
            }
            .encode_to_vec(),
        ),
        Rpc::EndCall => (
            Names::User,
            v1::EndCallRequest { app, party }.encode_to_vec(),
        ),
        Rpc::Signal => (
            Names::User,
            v1::SignalRequest {
                app,
                party,
                signal: Some(v1::CallSignal {
                    kind: v1::CallSignalKind::Candidate.into(),
                    payload: "{}".to_owned(),
                }),
            }
            .encode_to_vec(),
        ),
        Rpc::DeviceGone => (
            Names::User,
            v1::DeviceGoneRequest {
                app,
                user_id,
                device,
                ago_ms: 0,
            }
            .encode_to_vec(),
        ),
        Rpc::CheckCalls => (
            Names::User,
            v1::CheckCallsRequest {
                app,
                user_id,
                device,
                calls: vec![v1::HeardCall {
                    call_id: prize.call.clone(),
                    ..v1::HeardCall::default()
                }],
            }
            .encode_to_vec(),
        ),
        Rpc::DeviceBack => (
            Names::User,
            v1::DeviceBackRequest {
                app,
                user_id,
                device,
                ..v1::DeviceBackRequest::default()
            }
            .encode_to_vec(),
        ),
        Rpc::CallsTold => (
            Names::User,
            v1::CallsToldRequest {
                app,
                user_id,
                call_ids: vec![prize.call.clone()],
            }
            .encode_to_vec(),
        ),
        Rpc::SetStatus => (
            Names::User,
            v1::SetStatusRequest {
                app,
                user_id,
                status: "away".to_owned(),
            }
            .encode_to_vec(),
        ),
        Rpc::FindUser => (
            Names::App,
            v1::FindUserRequest {
                app,
                user_id: CONSULTANT.to_owned(),
            }
            .encode_to_vec(),
        ),
        Rpc::GatewayAlive => (
            Names::Nobody,
            v1::GatewayAliveRequest { gateway: 9 }.encode_to_vec(),
        ),
        Rpc::ListRevocations => (
            Names::Nobody,
            v1::ListRevocationsRequest { after: 0 }.encode_to_vec(),
        ),
    }
}

/// Asks, and returns the bytes of the answer or the code of its failure.
async fn ask(asked: &Asked, rpc: Rpc, request: Vec<u8>) -> Result<Bytes, String> {
    let asking = asked.client.request(subject::rpc(rpc, "k"), request.into());
    let answer = tokio::time::timeout(TIMEOUT, asking).await.unwrap();
    let reply = v1::Reply::decode(answer.unwrap().payload).unwrap();
    match reply.outcome.unwrap() {
        v1::reply::Outcome::Ok(bytes) => Ok(bytes),
        v1::reply::Outcome::Failure(failure) => Err(failure.code),
    }
}

/// Whether an answer has anything of the two in it.
fn tells(answer: &[u8], prize: &Prize) -> bool {
    let has = |needle: &[u8]| answer.windows(needle.len()).any(|bytes| bytes == needle);
    has(b"secret")
        || has(b"Dr. Ada")
        || has(PATIENT.as_bytes())
        || has(&prize.conversation.to_wire())
        || has(&prize.call)
}

async fn prepared(site: &Site, asked: &Asked) -> Prize {
    let conversation = ConversationId::parse(&site.conversation().await).unwrap();
    let message = site.say("patient", "secret").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let call = v1::InitiateCallRequest {
        app: "jiggy".to_owned(),
        caller_id: PATIENT.to_owned(),
        device: Bytes::from_static(&[1; 16]),
        callee_id: CONSULTANT.to_owned(),
        conversation_id: conversation.to_wire(),
        kind: "video".to_owned(),
        ..v1::InitiateCallRequest::default()
    };
    let ringing: v1::InitiateCallReply = asked.ask(Rpc::InitiateCall, &call).await.unwrap();
    Prize {
        conversation,
        message,
        call: ringing.call_id,
        epoch: site.app.epoch().await.unwrap(),
    }
}

#[tokio::test]
async fn who_takes_no_part_or_is_of_another_app_is_answered_nothing() {
    let namespace = Namespace::new().unwrap();
    let site = Site::with_state(another(&namespace)).await;
    let asked = Asked::new(&site.app).await;
    let prize = prepared(&site, &asked).await;
    let asking = |app, user, role| Asking { app, user, role };
    let messages = site.count("messages").await;

    for stranger in [
        asking("jiggy", STRANGER, "consultant"),
        // Of the same name, elsewhere.
        asking("other", CONSULTANT, "doctor"),
        asking("clinic", CONSULTANT, "doctor"),
        asking("booking", CONSULTANT, "business"),
        asking("nowhere", CONSULTANT, "consultant"),
    ] {
        for rpc in Rpc::ALL {
            let (names, request) = row(rpc, &stranger, &prize);
            if names == Names::Nobody || (names == Names::App && stranger.app == "jiggy") {
                continue;
            }
            let answer = ask(&asked, rpc, request).await;
            let what = format!("{} of {}: {answer:?}", rpc.name(), stranger.app);
            match answer {
                Ok(bytes) => assert!(!tells(&bytes, &prize), "{what}"),
                Err(code) => assert_ne!(code, "unavailable", "{what}"),
            }
        }
    }

    assert_eq!(site.count("messages").await, messages);
    assert_eq!(site.count("messages WHERE read_at IS NOT NULL").await, 0);
    let ringing = site.count("calls WHERE outcome IS NULL").await;
    assert_eq!(ringing, 1, "the call rings on");
}

#[tokio::test]
async fn who_takes_part_is_answered_by_the_same_requests() {
    let namespace = Namespace::new().unwrap();
    let site = Site::with_state(another(&namespace)).await;
    let asked = Asked::new(&site.app).await;
    let prize = prepared(&site, &asked).await;
    let consultant = Asking {
        app: "jiggy",
        user: CONSULTANT,
        role: "consultant",
    };

    for rpc in Rpc::ALL {
        let (_, request) = row(rpc, &consultant, &prize);
        let answer = ask(&asked, rpc, request).await;
        // The call has come to another state by the requests before.
        let expected = (rpc == Rpc::RejectCall).then_some("conflict");
        let refusal = answer.as_ref().err().map(String::as_str);
        assert_eq!(refusal, expected, "{}", rpc.name());
    }

    let read = "messages WHERE content = 'secret' AND read_at IS NOT NULL";
    assert_eq!(site.count(read).await, 1);
}
