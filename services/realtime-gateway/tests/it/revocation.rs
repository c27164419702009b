//! Tokens that are revoked: those of open sockets, of new ones, and what comes instead of them.

use chat_domain::{AppId, IssuedName, Revocation, Revoked, Timestamp, UserId};
use serde_json::{Value, json};

use crate::chat::{Client, Gateway, Heard, World, now_s, sign};

fn revocation(revoked: Revoked) -> Revocation {
    Revocation {
        app: AppId::new("consult").unwrap(),
        revoked,
        expires_at: None,
    }
}

fn token(user: &UserId, changes: &Value) -> String {
    let mut claims = json!({ "sub": user.as_str(), "role": "patient", "exp": now_s() + 3_600 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    sign("consult", &claims)
}

async fn assert_ended(mut client: Client) {
    let error = client.wait_for("error").await;
    assert_eq!(
        error,
        json!({ "message": "Invalid token", "code": "token_invalid" })
    );
    assert_eq!(client.hear().await, Heard::Disconnected);
}

/// Attempts to connect and returns the code of the error; null when there is none.
async fn code(gateway: &Gateway, token: &str) -> Value {
    let auth = json!({ "token": token }).to_string();
    let (_client, answer) = Client::attempt(gateway.address, "/chat", &auth, "").await;
    let answer: Value = serde_json::from_str(&answer[answer.find('{').unwrap()..]).unwrap();
    answer["data"]["code"].clone()
}

#[tokio::test]
async fn a_revoked_token_ends_its_sockets_at_every_gateway_and_no_other() {
    let world = World::new().await;
    let gateways = [world.gateway().await, world.gateway().await];
    let me = &world.patient;
    let old = now_s() - 10;
    for (claims, others, revoked) in [
        (
            json!({ "jti": "token-1" }),
            json!({ "jti": "token-2" }),
            Revoked::Token(IssuedName::new("token-1").unwrap()),
        ),
        (
            json!({ "sid": "session-1", "jti": "a" }),
            json!({ "sid": "session-2", "jti": "a" }),
            Revoked::Session(IssuedName::new("session-1").unwrap()),
        ),
        (
            json!({ "iat": old }),
            json!({ "iat": now_s() + 10 }),
            Revoked::User {
                user: me.clone(),
                issued_until: Timestamp(i64::try_from(now_s()).unwrap() * 1_000),
            },
        ),
    ] {
        let (bad, good) = (token(me, &claims), token(me, &others));
        let mut ended = Vec::new();
        for gateway in &gateways {
            ended.push(Client::connect(gateway.address, &bad).await);
        }
        let mut left_alone = Client::connect(gateways[0].address, &good).await;

        world.store.revoke(revocation(revoked.clone()), true).await;

        for client in ended {
            assert_ended(client).await;
        }
        left_alone.expect_silence().await;
        for gateway in &gateways {
            assert_eq!(code(gateway, &bad).await, "token_invalid", "{revoked:?}");
            assert_eq!(code(gateway, &good).await, Value::Null, "{revoked:?}");
        }
    }
}

#[tokio::test]
async fn a_gateway_that_was_not_told_asks() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let token = token(&world.patient, &json!({ "jti": "t" }));
    let client = Client::connect(gateway.address, &token).await;

    let revoked = Revoked::Token(IssuedName::new("t").unwrap());
    world.store.revoke(revocation(revoked), false).await;

    assert_ended(client).await;
}

#[tokio::test]
async fn a_gateway_that_starts_knows_what_was_revoked_before() {
    let world = World::new().await;
    for name in ["t1", "t2", "t3", "t4", "t5"] {
        let revoked = Revoked::Token(IssuedName::new(name).unwrap());
        world.store.revoke(revocation(revoked), false).await;
    }

    let gateway = world.gateway().await;

    for name in ["t1", "t5"] {
        let token = token(&world.patient, &json!({ "jti": name }));
        assert_eq!(code(&gateway, &token).await, "token_invalid", "{name}");
    }
    let token = token(&world.patient, &json!({ "jti": "t6" }));
    assert_eq!(code(&gateway, &token).await, Value::Null);
}

#[tokio::test]
async fn a_newer_token_takes_the_place_of_the_revoked_one() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let old = token(&world.patient, &json!({ "jti": "old" }));
    let new = json!({ "jti": "new", "exp": now_s() + 7_200 });
    let new = token(&world.patient, &new);
    let mut client = Client::connect(gateway.address, &old).await;
    let answer = client.ask("auth:refresh", &json!({ "token": new })).await;
    assert_eq!(answer["event"], "auth:refreshed", "{answer}");

    for name in ["old", "new"] {
        let revoked = Revoked::Token(IssuedName::new(name).unwrap());
        world.store.revoke(revocation(revoked), true).await;
        if name == "old" {
            // By then the gateway knows.
            while code(&gateway, &old).await.is_null() {}
            client.expect_silence().await;
        }
    }

    assert_ended(client).await;
}
