//! One app or two, and what a token must be to be let in.

use chat_domain::{AppId, Role, UserId};

use super::*;

/// The outcome without what it carries.
fn outcome(verifier: &Verifier, token: &str) -> Result<(), TokenError> {
    verifier.verify(token, NOW).map(drop)
}

#[test]
fn a_valid_token_names_its_user() {
    let claims = claims(&json!({ "name": "Ada", "email": "ada@example.org", "jti": "t1" }));

    let principal = consult_app("").verify(&hs256(&claims), NOW).unwrap();

    assert_eq!(principal.app.id, AppId::new("consult").unwrap());
    assert_eq!(principal.user.id, UserId::new(PATIENT).unwrap());
    assert_eq!(principal.user.role, Role::Patient);
    assert_eq!(principal.user.name.as_deref(), Some("Ada"));
    assert_eq!(principal.user.email.as_deref(), Some("ada@example.org"));
    assert_eq!(principal.expires_at, Timestamp((NOW_S + 60) * 1000));
    assert_eq!(principal.token_id.as_deref(), Some("t1"));
}

#[test]
fn the_scheme_in_front_is_optional() {
    let token = hs256(&claims(&json!({})));

    for text in [
        format!("Bearer {token}"),
        format!("bearer  {token}"),
        format!(" {token} "),
    ] {
        assert_eq!(outcome(&consult_app(""), &text), Ok(()), "{text}");
    }
}

#[test]
fn no_token_is_missing() {
    for text in ["", "  ", "Bearer", "Bearer "] {
        assert_eq!(
            outcome(&consult_app(""), text),
            Err(TokenError::Missing),
            "{text:?}"
        );
    }
}

#[test]
fn claims_are_checked() {
    use TokenError::{Expired, Invalid, Role};
    let huge = "x".repeat(200);
    for (changes, expected) in [
        (json!({ "exp": NOW_S - 29 }), Ok(())),
        (json!({ "exp": NOW_S - 30 }), Err(Expired)),
        (json!({ "exp": NOW_S - 31 }), Err(Expired)),
        (json!({ "exp": 0 }), Err(Expired)),
        (json!({ "exp": u64::MAX }), Ok(())),
        (json!({ "exp": -1 }), Err(Invalid)),
        (json!({ "exp": null }), Err(Invalid)),
        (json!({ "exp": (NOW_S + 60).to_string() }), Err(Invalid)),
        (json!({ "exp": 1_790_000_060.5 }), Err(Invalid)),
        (json!({ "exp": [NOW_S + 60] }), Err(Invalid)),
        (json!({ "nbf": NOW_S + 29 }), Ok(())),
        (json!({ "nbf": NOW_S + 31 }), Err(Invalid)),
        (
            json!({ "nbf": NOW_S + 300, "exp": NOW_S - 300 }),
            Err(Invalid),
        ),
        (json!({ "nbf": "soon" }), Err(Invalid)),
        (json!({ "aud": "anybody" }), Ok(())),
        (json!({ "iss": "anybody" }), Ok(())),
        (json!({ "sub": null }), Err(Invalid)),
        (json!({ "sub": "" }), Err(Invalid)),
        (json!({ "sub": 7 }), Err(Invalid)),
        (json!({ "sub": huge }), Err(Invalid)),
        (json!({ "sub": "not-a-uuid" }), Err(Invalid)),
        (json!({ "sub": format!("{{{PATIENT}}}") }), Err(Invalid)),
        (json!({ "sub": null, "id": PATIENT }), Ok(())),
        (json!({ "sub": null, "userId": PATIENT }), Ok(())),
        (json!({ "sub": null, "user": { "id": PATIENT } }), Ok(())),
        (
            json!({ "sub": null, "user": { "name": "x" } }),
            Err(Invalid),
        ),
        (json!({ "role": null }), Err(Role)),
        (json!({ "role": "agent" }), Err(Role)),
        (json!({ "role": "doctor" }), Err(Role)),
        (json!({ "role": ["patient"] }), Err(Role)),
        (json!({ "role": "agent", "exp": NOW_S - 31 }), Err(Expired)),
        (json!({ "token_use": "access" }), Ok(())),
        (json!({ "token_use": "refresh" }), Err(Invalid)),
        (json!({ "typ": "ID" }), Err(Invalid)),
        (json!({ "name": "\u{0}", "email": 7 }), Ok(())),
    ] {
        let token = hs256(&claims(&changes));
        assert_eq!(outcome(&consult_app(""), &token), expected, "{changes}");
    }
}

#[test]
fn claims_that_are_no_object_are_refused() {
    let key = SigningKey::hmac(SECRET);
    for text in [
        "",
        "null",
        "[]",
        "7",
        "{",
        r#"{"exp":1e400}"#,
        &format!(r#"{{"sub":"{PATIENT}","role":"patient","exp":1e400}}"#),
        &"[".repeat(1000),
    ] {
        let token = key.token_of_text(&json!({}), text);
        assert_eq!(
            outcome(&consult_app(""), &token),
            Err(TokenError::Invalid),
            "{text}"
        );
    }
}

#[test]
fn malformed_tokens_are_refused() {
    let good = hs256(&claims(&json!({})));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    for token in [
        "x".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.{signature}="),
        format!("{signed}.{signature}.{signature}"),
        format!("{signed}A.{signature}"),
        "é.é.é".to_owned(),
        "A".repeat(40_000),
        hs256(&claims(&json!({ "padding": "x".repeat(4000) }))),
    ] {
        assert_eq!(
            outcome(&consult_app(""), &token),
            Err(TokenError::Invalid),
            "{token}"
        );
    }
}

#[test]
fn unsigned_tokens_are_refused() {
    let claims = encode(claims(&json!({})).to_string());
    for algorithm in ["none", "None", "NONE", "", "HS256", "HS384", "XX1"] {
        let header = encode(json!({ "alg": algorithm }).to_string());
        for token in [format!("{header}.{claims}."), format!("{header}.{claims}")] {
            assert_eq!(
                outcome(&consult_app(""), &token),
                Err(TokenError::Invalid),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn another_algorithm_of_the_same_secret_is_refused() {
    let key = SigningKey {
        algorithm: jsonwebtoken::Algorithm::HS512,
        ..SigningKey::hmac(SECRET)
    };

    let token = key.token(&json!({}), &claims(&json!({})));

    assert_eq!(outcome(&consult_app(""), &token), Err(TokenError::Invalid));
}

#[test]
fn another_secret_is_refused_even_when_expired() {
    let key = SigningKey::hmac(OTHER_SECRET);

    let token = key.token(&json!({}), &claims(&json!({ "exp": 1 })));

    assert_eq!(outcome(&consult_app(""), &token), Err(TokenError::Invalid));
}

#[test]
fn a_key_without_kid_takes_any_kid_for_what_it_is() {
    for kid in ["unknown", "../../x", "' OR 1=1", ""] {
        let token = SigningKey::hmac(SECRET).token(&json!({ "kid": kid }), &claims(&json!({})));
        assert_eq!(outcome(&consult_app(""), &token), Ok(()), "{kid}");
    }
    let odd = SigningKey::hmac(SECRET).token(&json!({ "kid": 7 }), &claims(&json!({})));
    assert_eq!(outcome(&consult_app(""), &odd), Err(TokenError::Invalid));
}

#[test]
fn a_key_with_kid_takes_no_other() {
    let verifier = verifier(&format!(
        r#"
        [apps.consult]
        dialect = "consult"
        keys = [{{ algorithm = "HS256", kid = "k1", secret = "{SECRET}" }}]
        "#
    ));
    for (header, expected) in [
        (json!({ "kid": "k1" }), Ok(())),
        (json!({}), Ok(())),
        (json!({ "kid": "k2" }), Err(TokenError::Invalid)),
        (json!({ "kid": "../k1" }), Err(TokenError::Invalid)),
    ] {
        let token = SigningKey::hmac(SECRET).token(&header, &claims(&json!({})));
        assert_eq!(outcome(&verifier, &token), expected, "{header}");
    }
}

#[test]
fn an_unknown_critical_header_is_refused() {
    let header = json!({ "crit": ["b64"], "b64": false });

    let token = SigningKey::hmac(SECRET).token(&header, &claims(&json!({})));

    assert_eq!(outcome(&consult_app(""), &token), Err(TokenError::Invalid));
}

#[test]
fn issuer_and_audience_are_checked_when_configured() {
    let verifier = consult_app("issuer = \"https://id.example\"\naudience = \"chat\"");
    let good = json!({ "iss": "https://id.example", "aud": "chat" });
    for (changes, expected) in [
        (json!({}), Ok(())),
        (json!({ "aud": ["web", "chat"] }), Ok(())),
        (json!({ "aud": "web" }), Err(TokenError::Invalid)),
        (json!({ "aud": ["web"] }), Err(TokenError::Invalid)),
        (json!({ "aud": [] }), Err(TokenError::Invalid)),
        (json!({ "aud": null }), Err(TokenError::Invalid)),
        (
            json!({ "iss": "https://evil.example" }),
            Err(TokenError::Invalid),
        ),
        (
            json!({ "iss": ["https://id.example"] }),
            Err(TokenError::Invalid),
        ),
        (json!({ "iss": null }), Err(TokenError::Invalid)),
        (
            json!({ "iss": "https://evil.example", "exp": 1 }),
            Err(TokenError::Invalid),
        ),
        (json!({ "exp": 1 }), Err(TokenError::Expired)),
    ] {
        let mut all = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let token = hs256(&claims(&all));
        assert_eq!(outcome(&verifier, &token), expected, "{changes}");
    }
}

#[test]
fn the_key_chooses_the_app_and_the_app_the_rules() {
    let verifier = verifier(&format!(
        r#"
        [apps.a]
        dialect = "consult"
        keys = [{{ algorithm = "HS256", secret = "{SECRET}" }}]
        [apps.b]
        dialect = "care"
        keys = [{{ algorithm = "HS256", secret = "{OTHER_SECRET}" }}]
        [apps.c]
        dialect = "clinic"
        keys = [{{ algorithm = "HS256", secret = "{SECRET}{OTHER_SECRET}" }}]
        "#
    ));
    let app_of = |secret: &str, changes: Value| {
        let token = SigningKey::hmac(secret).token(&json!({}), &claims(&changes));
        verifier
            .verify(&token, NOW)
            .map(|principal| format!("{}/{}", principal.app.id, principal.user.id))
    };

    assert_eq!(app_of(SECRET, json!({})), Ok(format!("a/{PATIENT}")));
    assert_eq!(
        app_of(OTHER_SECRET, json!({ "sub": "dr.who", "role": "doctor" })),
        Ok("b/dr.who".to_owned())
    );
    assert_eq!(
        app_of(OTHER_SECRET, json!({ "role": "consultant" })),
        Err(TokenError::Role)
    );
    // The identity of a clinic is the e-mail, in whatever case.
    assert_eq!(
        app_of(
            &format!("{SECRET}{OTHER_SECRET}"),
            json!({ "email": "Ada@Example.org", "role": "doctor" })
        ),
        Ok("c/ada@example.org".to_owned())
    );
}

#[test]
fn claim_names_can_be_set() {
    let verifier = consult_app(
        r#"claims = { user_id = ["https://x/uid"], role = ["realm.role"], name = ["nick"] }"#,
    );
    let changes = json!({ "https://x/uid": PATIENT, "realm": { "role": "consultant" }, "nick": "A", "sub": "?" });

    let principal = verifier.verify(&hs256(&claims(&changes)), NOW).unwrap();

    assert_eq!(principal.user.id.as_str(), PATIENT);
    assert_eq!(principal.user.role, Role::Consultant);
    assert_eq!(principal.user.name.as_deref(), Some("A"));
}

#[test]
fn ids_are_the_same_in_upper_case() {
    let shouted = claims(&json!({ "sub": PATIENT.to_uppercase() }));

    let principal = consult_app("").verify(&hs256(&shouted), NOW).unwrap();

    assert_eq!(principal.user.id.as_str(), PATIENT);
}

#[test]
fn errors_speak_the_dialect() {
    let all = [
        (
            TokenError::Missing,
            "token_missing",
            "Authentication token required",
        ),
        (TokenError::Invalid, "token_invalid", "Invalid token"),
        (TokenError::Expired, "token_expired", "Token expired"),
        (TokenError::Role, "token_invalid", "Invalid token"),
    ];
    for (error, code, message) in all {
        assert_eq!(error.code(), code);
        assert_eq!(error.message(None), message);
        assert_eq!(error.message(Some(Dialect::Consult)), message);
        assert_eq!(
            error.message(Some(Dialect::Booking)),
            "Authentication error"
        );
        assert_eq!(error.to_string(), message);
    }
}
