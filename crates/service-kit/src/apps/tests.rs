//! What an apps file may say, and what is said about it when it is wrong.

use std::path::Path;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn parse(text: &str) -> Result<Apps, AppsError> {
    Apps::parse(&text.replace("SECRET", SECRET), Path::new("apps.toml"))
}

fn only_app(text: &str) -> Arc<App> {
    Arc::clone(parse(text).unwrap().iter().next().unwrap())
}

#[test]
fn clients_need_tokens_unless_an_app_that_can_asks_for_less() {
    let app = |name: &str, dialect: &str, identity: &str| {
        format!(
            "[apps.{name}]\ndialect = \"{dialect}\"\n{identity}\n\
             keys = [{{ algorithm = \"HS256\", secret = \"{name}-0123456789abcdef0123456789abcdef\" }}]\n"
        )
    };
    let declared = "identity = \"declared\"";
    let parse = |text: String| Apps::parse(&text, Path::new("apps.toml"));

    let apps = parse(app("a", "clinic", "") + &app("b", "clinic", declared)).unwrap();
    let identities: Vec<_> = apps.iter().map(|app| app.identity).collect();
    assert_eq!(identities, [Identity::Token, Identity::Declared]);
    for (text, why) in [
        (app("a", "care", declared), "only clients of the dialects"),
        (
            app("a", "booking", declared),
            "only clients of the dialects",
        ),
        (
            app("a", "clinic", declared) + &app("b", "clinic", declared),
            "nobody could tell",
        ),
        (app("a", "clinic", "identity = \"none\""), "unknown variant"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn an_app_needs_little() {
    let app = only_app(
        r#"
        [apps.consult]
        dialect = "consult"
        [[apps.consult.keys]]
        algorithm = "HS256"
        secret = "SECRET"
        "#,
    );

    assert_eq!(app.id.as_str(), "consult");
    assert_eq!(app.dialect, Dialect::Consult);
    assert_eq!(
        app.origins,
        [
            "http://localhost:3000",
            "http://localhost:5173",
            "https://jiggy-care.onrender.com"
        ]
    );
    assert_eq!(
        app.policy,
        Policy {
            max_content_chars: 4000,
            max_attachment_bytes: 10 * 1024 * 1024,
            history_order: HistoryOrder::NewestFirst,
            time_window: None,
            retention: None,
            recovery: true,
            calls: CallPolicy::default(),
            limits: Limits::default(),
        }
    );
}

#[test]
fn an_app_can_say_more() {
    let app = only_app(
        r#"
        [apps.clinic-a]
        dialect = "care"
        origins = ["https://a.example", "http://b.example:8080"]
        issuer = "https://id.example"
        audience = "chat"
        policy = { history_order = "newest_first", retention_days = 30, time_window = { before_minutes = 15, after_minutes = 60 }, calls = { ring_seconds = 20, outcome_messages = false } }
        claims = { user_id = ["uid"] }
        keys = [
            { algorithm = "HS256", secret = "SECRET", kid = "k1" },
            { algorithm = "RS256", jwks_url = "https://id.example/jwks", refresh_seconds = 60 },
        ]
        "#,
    );

    assert_eq!(app.policy.max_content_chars, 1000);
    assert_eq!(app.policy.history_order, HistoryOrder::NewestFirst);
    assert_eq!(
        app.policy.time_window,
        Some(TimeWindow {
            before_minutes: 15,
            after_minutes: 60
        })
    );
    assert_eq!(app.policy.retention, Some(Retention::of_days(30)));
    let CallPolicy {
        rules,
        outcome_messages,
    } = app.policy.calls;
    assert_eq!((rules.ring.as_secs(), rules.grace.as_secs()), (20, 10));
    assert!(!outcome_messages);
    assert_eq!(app.origins.len(), 2);
}

#[test]
fn a_clinic_keeps_messages_for_ninety_days_unless_it_says_otherwise() {
    let of = |policy: &str| {
        let head = "[apps.a]\ndialect = \"clinic\"";
        let keys = "[[apps.a.keys]]\nalgorithm = \"HS256\"\nsecret = \"SECRET\"";
        only_app(&format!("{head}\n{policy}\n{keys}"))
            .policy
            .retention
    };

    assert_eq!(of(""), Some(Retention::of_days(90)));
    assert_eq!(of("policy.retention_days = 7"), Some(Retention::of_days(7)));
    assert_eq!(of("policy.retention_days = 0"), None);
}

#[test]
fn the_development_example_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev/apps.toml");

    let apps = Apps::load(path).unwrap();

    assert!(apps.speak(Dialect::Consult));
}

#[test]
fn mistakes_are_told_with_place_and_advice() {
    for (text, place, problem) in [
        ("", "line 1", "missing field `apps`"),
        ("[apps]", "apps", "add a table [apps.<name>]"),
        ("apps = 7", "line 1", "invalid type"),
        ("\n\n[apps", "line 3", ""),
        ("port = 1\n[apps.a]", "line 1", "unknown field `port`"),
        ("[apps.a]", "app \"a\"", "missing field `dialect`"),
        ("[apps.\"a.b\"]", "app \"a.b\"", "letters, digits"),
        (
            "[apps.a]\ndialect = \"consult\"",
            "app \"a\"",
            "add [[apps.a.keys]]",
        ),
        (
            "[apps.a]\ndialect = \"smalltalk\"",
            "app \"a\"",
            "expected one of `consult`, `care`",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\ncolour = 1",
            "app \"a\"",
            "unknown field `colour`",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\norigins = [\"https://a.example/\"]\nkeys = [{algorithm=\"HS256\", secret=\"SECRET\"}]",
            "app \"a\"",
            "is no origin",
        ),
        (
            "[apps.a]\ndialect = \"clinic\"\npolicy.retention_days = 36501\nkeys = [{algorithm=\"HS256\", secret=\"SECRET\"}]",
            "app \"a\"",
            "0 (for ever) to 36500",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"none\"}]",
            "app \"a\"",
            "expected one of `HS256`",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"HS256\"}]",
            "app \"a\", key 1",
            "exactly one of secret and secret_file",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"HS256\", secret=\"SECRET\", secret_file=\"x\"}]",
            "app \"a\", key 1",
            "exactly one",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"RS256\", secret=\"SECRET\"}]",
            "app \"a\", key 1",
            "jwks_url",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"RS256\", jwks_url=\"file:///etc/passwd\"}]",
            "app \"a\", key 1",
            "not an http or https URL",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"HS256\", secret=\"short\"}]",
            "app \"a\", key 1",
            "openssl rand -hex 32",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"HS256\", secret=\"SECRET\"}]\n[apps.b]\ndialect = \"care\"\nkeys = [{algorithm=\"HS256\", secret=\"SECRET\"}]",
            "app \"b\", key 1",
            "app \"a\" has the same secret",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\nclaims = { id = [\"sub\"] }",
            "app \"a\"",
            "unknown field `id`",
        ),
        (
            "[apps.a]\ndialect = \"consult\"\npolicy.calls.ring_seconds = 0\nkeys = [{algorithm=\"HS256\", secret=\"SECRET\"}]",
            "app \"a\"",
            "policy.calls.ring_seconds must be 1 to 600",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("apps.toml, "), "{error}");
        assert!(error.contains(place), "{error} should name {place}");
        assert!(error.contains(problem), "{error} should say {problem}");
    }
}

#[test]
fn mistakes_never_show_a_secret() {
    for text in [
        "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"HS256\", secret=\"hunter2\"}]",
        "[apps.a]\nkeys = [{secret = \"hunter2\" \"}]",
        "[apps.a]\ndialect = \"consult\"\nkeys = [{algorithm=\"HS256\", secret=\"hunter2\", x=1}]",
    ] {
        let error = parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Apps::load("/nowhere/apps.toml").unwrap_err().to_string();

    assert!(error.contains("/nowhere/apps.toml"), "{error}");
    assert!(error.contains("CHAT_APPS_FILE"), "{error}");
}
