//! Revoked tokens: who may revoke, what is good no more, and how every replica learns of it.

use chat_domain::{IssuedName, Revoked};
use serde_json::{Value, json};
use service_kit::auth::Revocations;

use crate::http_site::{Ask, PATIENT, STRANGER, Site, now_s, token_with};

async fn status(site: &Site, token: &str) -> u16 {
    let path = format!("/api/v1/chat/conversations?patientId={PATIENT}");
    let answer = Ask::new("GET", &path)
        .header("authorization", &format!("Bearer {token}"))
        .of(&site.clients)
        .await;
    answer.status.as_u16()
}

#[tokio::test]
async fn a_revoked_token_is_none_and_others_stay_good() {
    let site = Site::start().await;
    let known = site.verifier.revocations();
    for (body, revoked, good) in [
        (
            json!({"tokenId": "t1"}),
            json!({"jti": "t1"}),
            json!({"jti": "t2"}),
        ),
        (
            json!({"sessionId": "s1", "expiresAt": "2099-01-01T00:00:00Z"}),
            json!({"sid": "s1"}),
            json!({"sid": "s2", "jti": "s1"}),
        ),
        (
            json!({"userId": PATIENT.to_uppercase()}),
            json!({"iat": now_s() - 1}),
            json!({"iat": now_s() + 60}),
        ),
    ] {
        let (revoked, good) = (token_with(&revoked), token_with(&good));
        assert_eq!(status(&site, &revoked).await, 200, "{body}");

        let answer = site.tell("POST", "revocations", &body).await;
        site.app.learn_revocations(known).await.unwrap();

        assert_eq!(answer.status.as_u16(), 204, "{answer:?}");
        assert_eq!(status(&site, &revoked).await, 401, "{body}");
        assert_eq!(status(&site, &good).await, 200, "{body}");
    }
}

#[tokio::test]
async fn a_revocation_names_one_thing() {
    let site = Site::start().await;
    for body in [
        json!({}),
        json!({"userId": null}),
        json!({"userId": PATIENT, "tokenId": "t"}),
        json!({"userId": "no-uuid"}),
        json!({"tokenId": ""}),
        json!({"tokenId": "x".repeat(129)}),
        json!({"sessionId": 7}),
        json!({"tokenId": "t", "expiresAt": "soon"}),
    ] {
        let answer = site.tell("POST", "revocations", &body).await;

        answer.assert_invalid(&body.to_string());
    }
    assert!(
        site.app
            .revocations(0)
            .await
            .unwrap()
            .revocations
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_revoked_again_is_new_to_those_who_know_it() {
    let site = Site::start().await;
    let first = Revocations::default();
    let revoke = async |body: Value| {
        let answer = site.tell("POST", "revocations", &body).await;
        assert_eq!(answer.status.as_u16(), 204, "{answer:?}");
    };
    revoke(json!({"tokenId": "t", "expiresAt": "2099-01-01T00:00:00Z"})).await;
    revoke(json!({"userId": STRANGER})).await;
    site.app.learn_revocations(&first).await.unwrap();
    let before = first.last();

    revoke(json!({"tokenId": "t"})).await;

    let page = site.app.revocations(before).await.unwrap();
    assert!(!page.more);
    let [(number, again)] = &page.revocations[..] else {
        panic!("{page:?}");
    };
    assert!(before < *number);
    assert_eq!(again.revoked, Revoked::Token(IssuedName::new("t").unwrap()));
    assert_eq!(again.expires_at, None, "the longer of both");
    // Who comes now finds it, too, each thing once.
    assert_eq!(site.app.revocations(0).await.unwrap().revocations.len(), 2);
}

#[tokio::test]
async fn revocations_of_what_has_ended_by_itself_are_deleted() {
    use chat_store::ports_revocations::RevocationLog as _;

    let site = Site::start().await;
    for body in [
        json!({"tokenId": "past", "expiresAt": "2020-01-01T00:00:00Z"}),
        json!({"tokenId": "future", "expiresAt": "2099-01-01T00:00:00Z"}),
        json!({"tokenId": "ever"}),
    ] {
        site.tell("POST", "revocations", &body).await;
    }

    assert_eq!(site.pg.prune_revocations().await.unwrap(), 1);

    assert_eq!(site.app.revocations(0).await.unwrap().revocations.len(), 2);
}
