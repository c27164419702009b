//! Whole connections as tables: what goes in, and what comes out.

mod polling;
mod properties;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use socketio_protocol::{
    Connection,
    connection::{Config, Effect, Layer, NamespaceId},
    engine::{QueryError, Transport},
};

/// A connection with a clock, and everything it did, in short.
struct Scenario {
    connection: Connection,
    now: Instant,
    effects: Vec<String>,
}

impl Scenario {
    fn new(transport: Transport) -> Self {
        Self::with(transport, Config::default())
    }

    fn with(transport: Transport, config: Config) -> Self {
        let now = Instant::now();
        let (connection, _) = Connection::open(Arc::new(config), transport, "s".to_owned(), now);
        Self {
            connection,
            now,
            effects: Vec::new(),
        }
    }

    fn run<R>(
        &mut self,
        step: impl FnOnce(&mut Connection, Instant, &mut dyn FnMut(Effect<'_>)) -> R,
    ) -> R {
        let effects = &mut self.effects;
        step(&mut self.connection, self.now, &mut |effect| {
            effects.push(short(&effect));
        })
    }

    /// Takes what was done since the last call.
    fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.effects)
    }

    fn text(&mut self, text: &str) -> Vec<String> {
        self.run(|connection, now, sink| connection.text(text, now, sink));
        self.done()
    }

    fn binary(&mut self, data: &[u8]) -> Vec<String> {
        self.run(|connection, now, sink| connection.binary(data, now, sink));
        self.done()
    }

    fn probe(&mut self, text: &str) -> Vec<String> {
        self.run(|connection, _, sink| connection.probe(text, sink));
        self.done()
    }

    fn get(&mut self) -> Result<(), QueryError> {
        self.run(|connection, now, sink| connection.begin_get(now, sink))
    }

    fn post(&mut self, body: &str) -> Result<(), QueryError> {
        self.run(|connection, now, sink| {
            connection.begin_post(now, sink)?;
            connection.end_post(body.as_bytes(), now, sink)
        })
    }

    fn accept(&mut self, id: u16) -> bool {
        self.run(|connection, _, sink| connection.accept(NamespaceId::new(id), "x", None, sink))
    }

    /// Enters the root namespace.
    fn enter(&mut self) {
        self.text("40");
        assert!(self.accept(1));
        self.done();
    }

    /// Lets time pass, tick by tick.
    fn pass(&mut self, millis: u64) -> Vec<String> {
        let until = self.now + Duration::from_millis(millis);
        while self.connection.closed().is_none() && self.connection.deadline() <= until {
            self.now = self.connection.deadline();
            self.run(|connection, now, sink| connection.tick(now, sink));
        }
        self.now = until;
        self.done()
    }
}

fn short(effect: &Effect<'_>) -> String {
    match effect {
        Effect::Send(frame) => format!("send {}", String::from_utf8_lossy(frame.packet())),
        Effect::Connect {
            id,
            namespace,
            auth,
        } => {
            format!(
                "connect {} {namespace} {}",
                id.get(),
                auth.map_or("", |auth| auth.get())
            )
        }
        Effect::Event {
            id,
            event,
            ack_id,
            attachments,
        } => {
            let args = event
                .args
                .iter()
                .map(|arg| arg.get())
                .collect::<Vec<_>>()
                .join(",");
            format!(
                "event {} {}({args}) {attachments:?} {ack_id:?}",
                id.get(),
                event.name
            )
        }
        Effect::Left(id) => format!("left {}", id.get()),
        Effect::Message(frame) => format!("message {}", String::from_utf8_lossy(frame.packet())),
        Effect::AnswerProbe => "answer probe".to_owned(),
        Effect::DropProbe => "drop probe".to_owned(),
        Effect::Upgraded => "upgraded".to_owned(),
        Effect::Closed(reason) => format!("closed: {}", reason.as_str()),
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_client_enters_speaks_and_leaves() {
    let mut ws = Scenario::new(Transport::Websocket);

    assert_eq!(
        ws.text(r#"40/chat,{"token":"t"}"#),
        [r#"connect 1 /chat {"token":"t"}"#]
    );
    assert!(ws.accept(1));
    assert_eq!(ws.done(), [r#"send 40/chat,{"sid":"x"}"#]);
    assert_eq!(
        ws.text(r#"42/chat,7["say",1,{"a":2}]"#),
        [r#"event 1 say(1,{"a":2}) [] Some(7)"#]
    );
    assert_eq!(ws.text("41/chat,"), ["left 1"]);
    assert_eq!(ws.text(r#"42/chat,["say"]"#), ["closed: parse error"]);
}

#[test]
fn a_refused_client_may_try_again() {
    let mut ws = Scenario::new(Transport::Websocket);

    assert_eq!(ws.text("40/x,"), ["connect 1 /x "]);
    ws.run(|connection, _, sink| {
        connection.refuse(NamespaceId::new(1), "No", Some(r#"{"code":1}"#), sink);
    });

    assert_eq!(
        ws.done(),
        [r#"send 44/x,{"message":"No","data":{"code":1}}"#]
    );
    assert_eq!(ws.text("40/x,"), ["connect 2 /x "]);
}

#[test]
fn an_event_before_its_namespace_is_accepted_keeps_its_place() {
    let mut ws = Scenario::new(Transport::Websocket);

    assert_eq!(ws.text("40"), ["connect 1 / "]);
    assert_eq!(ws.text(r#"42["early"]"#), ["event 1 early() [] None"]);
}

#[test]
fn an_event_before_connect_closes() {
    let mut ws = Scenario::new(Transport::Websocket);

    assert_eq!(ws.text(r#"42["early"]"#), ["closed: parse error"]);
}

#[test]
fn a_second_connect_to_the_same_namespace_closes() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();

    assert_eq!(ws.text("40"), ["closed: parse error"]);
}

#[test]
fn a_client_that_leaves_and_comes_back_is_another_stay() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.text("40/chat,");

    assert_eq!(ws.text("41/chat,"), ["left 1"]);
    assert_eq!(ws.text("40/chat,"), ["connect 2 /chat "]);

    assert!(!ws.accept(1), "the first stay is over");
    assert!(ws.accept(2));
}

#[test]
fn what_a_removed_client_still_sends_is_ignored() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();

    assert!(ws.run(|connection, _, sink| connection.disconnect(NamespaceId::new(1), sink)));

    assert_eq!(ws.done(), ["send 41"]);
    assert_eq!(ws.text(r#"42["late"]"#), NOTHING);
    assert_eq!(ws.text("41"), NOTHING);
    assert_eq!(ws.text("40"), ["connect 2 / "]);
}

#[test]
fn attachments_are_put_to_their_event() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();

    assert_eq!(
        ws.text(r#"451-["file",{"_placeholder":true,"num":0}]"#),
        NOTHING
    );
    assert_eq!(
        ws.binary(b"abc"),
        [r#"event 1 file({"_placeholder":true,"num":0}) [b"abc"] None"#]
    );
}

#[test]
fn text_between_attachments_closes() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();
    ws.text(r#"451-["file",{"_placeholder":true,"num":0}]"#);

    assert_eq!(ws.text(r#"42["other"]"#), ["closed: parse error"]);
}

#[test]
fn an_attachment_without_an_event_closes() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();

    assert_eq!(ws.binary(b"abc"), ["closed: parse error"]);
}

#[test]
fn attachments_are_bounded_together() {
    let config = Config {
        max_payload: 5,
        ..Config::default()
    };
    let mut ws = Scenario::with(Transport::Websocket, config);
    ws.enter();
    ws.text(r#"452-["files"]"#);

    assert_eq!(ws.binary(b"abc"), NOTHING);
    assert_eq!(ws.binary(b"def"), ["closed: parse error"]);
}

#[test]
fn a_connection_holds_eight_namespaces() {
    let mut ws = Scenario::new(Transport::Websocket);
    for i in 1..=8 {
        assert_eq!(ws.text(&format!("40/{i},")), [format!("connect {i} /{i} ")]);
    }

    assert_eq!(ws.text("40/9,"), ["closed: forced server close"]);
}

#[test]
fn what_only_servers_send_closes() {
    for packet in [r#"44{"message":"no"}"#, "2", "4", "abc", ""] {
        let mut ws = Scenario::new(Transport::Websocket);

        assert_eq!(ws.text(packet), ["closed: parse error"], "{packet}");
    }
}

#[test]
fn the_server_pings_and_a_pong_is_enough() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();

    assert_eq!(ws.pass(24_999), NOTHING);
    assert_eq!(ws.pass(1), ["send 2"]);
    assert_eq!(ws.pass(1_000), NOTHING);
    assert_eq!(ws.text("3"), NOTHING);
    assert_eq!(ws.pass(24_999), NOTHING);
    assert_eq!(ws.pass(1), ["send 2"]);
    assert_eq!(ws.pass(20_000), ["closed: ping timeout"]);
}

#[test]
fn pongs_that_nobody_asked_for_change_nothing() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();
    ws.pass(20_000);

    ws.text("3");

    assert_eq!(ws.pass(5_000), ["send 2"]);
}

#[test]
fn a_server_that_slept_gives_the_client_its_time() {
    let mut ws = Scenario::new(Transport::Websocket);
    ws.enter();
    ws.now += Duration::from_mins(1);

    ws.run(|connection, now, sink| connection.tick(now, sink));

    assert_eq!(ws.done(), ["send 2"]);
    assert_eq!(ws.pass(19_999), NOTHING);
    assert_eq!(ws.pass(1), ["closed: ping timeout"]);
}

#[test]
fn a_client_in_no_namespace_is_given_up() {
    let config = Config {
        connect_timeout: Duration::from_secs(5),
        ..Config::default()
    };
    let mut ws = Scenario::with(Transport::Websocket, config);
    ws.text("40");

    assert_eq!(ws.pass(5_000), ["closed: forced server close"]);
}

#[test]
fn engine_messages_are_handed_on_where_there_is_no_socketio() {
    let config = Config {
        layer: Layer::EngineIo,
        ..Config::default()
    };
    let mut ws = Scenario::with(Transport::Websocket, config);

    assert_eq!(ws.text("4hello"), ["message 4hello"]);
    assert_eq!(ws.binary(b"raw"), ["message raw"]);
    assert_eq!(ws.pass(46_000), ["send 2", "closed: ping timeout"]);
}
