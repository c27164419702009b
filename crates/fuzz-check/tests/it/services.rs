//! What users say, what tokens claim, and what the services say to each other.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use chat_domain::{Conversation, Dialect, Message, RevocationPage, Role, Timestamp, User, UserId};
use chat_proto::{subject, v1};
use jsonwebtoken::{EncodingKey, Header};
use prost::Message as _;
use serde_json::{json, value::RawValue};
use service_kit::{TraceParent, apps::Apps, auth::Verifier};

use crate::{corpus, feed};

const ID: &str = "0199a7de-0000-7000-8000-000000000001";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An input is the name of an event, a line feed, and its payload.
#[test]
fn events_of_every_dialect_are_commands_or_refused() {
    let seeds = corpus("crates/fuzz-check/corpus/events");
    for (dialect, role) in [
        (Dialect::Consult, Role::Patient),
        (Dialect::Care, Role::Doctor),
        (Dialect::Clinic, Role::Doctor),
        (Dialect::Booking, Role::Client),
    ] {
        let caller = User {
            id: UserId::new(ID).unwrap(),
            role,
            name: None,
            email: None,
            avatar_url: None,
        };
        feed(&seeds, |input| {
            let Ok(text) = std::str::from_utf8(input) else {
                return;
            };
            let (name, payload) = text.split_once('\n').unwrap_or((text, ""));
            let payload: Option<&RawValue> = serde_json::from_str(payload).ok();
            let _ = dialects::decode(dialect, name, payload, &caller);
            let _ = dialects::is_taken(name);
        });
    }
}

#[test]
fn a_token_that_was_tampered_with_names_nobody_else() {
    let apps = format!(
        "[apps.consult]\ndialect = \"consult\"\n[[apps.consult.keys]]\n\
         algorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"
    );
    let apps = Apps::parse(&apps, Path::new("apps.toml")).unwrap();
    let verifier = Verifier::new(Arc::new(apps));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = |changes: serde_json::Value| {
        let mut claims = json!({ "sub": ID, "role": "patient", "exp": 2_000_000_000 });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
    };
    let now = Timestamp(1_790_000_000_000);
    let mut seeds = corpus("crates/fuzz-check/corpus/tokens");
    let good = [json!({}), json!({ "sid": "s", "jti": "t", "iat": 1.5 })];
    seeds.extend(good.map(|changes| token(changes).into_bytes()));
    feed(&seeds, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        if let Ok(principal) = verifier.verify(text, now) {
            assert_eq!(principal.user.id.as_str(), ID);
            assert_eq!(principal.user.role, Role::Patient);
        }
        let _ = verifier.dialect(text);
        let _ = text.parse::<TraceParent>();
    });
}

/// What other services write, as protobuf and as JSON.
#[test]
fn what_other_services_write_is_read_or_refused() {
    fn read<M: prost::Message + Default + serde_json_ok::Read>(input: &[u8]) {
        let _ = M::decode(Bytes::copy_from_slice(input));
        M::read(input);
    }
    mod serde_json_ok {
        use chat_proto::v1;

        /// Reads JSON.
        pub(super) trait Read {
            fn read(input: &[u8]);
        }

        macro_rules! read {
            ($($kind:ident),*) => {$(
                impl Read for v1::$kind {
                    fn read(input: &[u8]) {
                        let _ = serde_json::from_slice::<Self>(input);
                    }
                }
            )*};
        }

        read!(
            InUser,
            InBooking,
            InBusiness,
            InAssociation,
            InMessage,
            InNotify,
            InRevocation
        );
    }

    feed(&corpus("crates/fuzz-check/corpus/inbound"), |input| {
        read::<v1::InUser>(input);
        read::<v1::InBooking>(input);
        read::<v1::InBusiness>(input);
        read::<v1::InAssociation>(input);
        read::<v1::InMessage>(input);
        read::<v1::InNotify>(input);
        read::<v1::InRevocation>(input);
        if let Ok(text) = std::str::from_utf8(input) {
            let _ = subject::parse_in(text);
            let _ = subject::parse_rpc(text);
            let _ = subject::parse_gateway("g1", text);
        }
    });
}

#[test]
fn envelopes_and_answers_are_read_or_refused() {
    let conversation = v1::Envelope {
        version: 1,
        app: "consult".to_owned(),
        targets: vec![ID.to_owned()],
        body: Some(v1::envelope::Body::Notify(v1::Notify {
            event: "e".to_owned(),
            data: "{}".to_owned(),
        })),
        ..v1::Envelope::default()
    };
    let mut seeds = corpus("crates/fuzz-check/corpus/envelopes");
    seeds.push(conversation.encode_to_vec());
    feed(&seeds, |input| {
        let bytes = Bytes::copy_from_slice(input);
        if let Ok(envelope) = v1::Envelope::decode(bytes.clone()) {
            assert!(envelope.encoded_len() <= input.len() + 64);
            if let Some(v1::envelope::Body::MessageAppended(appended)) = envelope.body {
                let _ = appended.message.map(Message::try_from);
                let _ = appended.conversation.map(Conversation::try_from);
            }
        }
        let _ = v1::Reply::open::<v1::AppendReply>(bytes.clone());
        let _ = v1::Segment::decode(bytes.clone());
        let _ = v1::Used::decode(bytes.clone());
        let _ = v1::Notes::decode(bytes.clone());
        let _ = v1::ListRevocationsReply::decode(bytes.clone()).map(RevocationPage::try_from);
        let _ = v1::CallSignal::decode(bytes);
    });
}
