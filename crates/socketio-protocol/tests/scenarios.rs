//! Whole connections as tables: what goes in, and what comes out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::{collection::vec, prelude::*};
use socketio_protocol::{
    CloseReason, Connection,
    connection::{Config, Effect, Layer, NamespaceId, PollAnswer},
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

#[test]
fn a_get_waits_for_packets() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    assert_eq!(polling.connection.answer_get(false), None);
    assert_eq!(
        polling.connection.answer_get(true),
        Some(PollAnswer::Queued)
    );
    assert_eq!(polling.connection.answer_get(true), None, "nobody waits");
}

#[test]
fn a_second_get_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    assert_eq!(polling.get(), Err(QueryError::BadRequest));

    assert_eq!(polling.done(), ["closed: transport error"]);
    assert_eq!(
        polling.connection.answer_get(false),
        Some(PollAnswer::Close)
    );
    assert_eq!(polling.get(), Err(QueryError::UnknownSid));
}

#[test]
fn a_second_post_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling
        .run(|connection, now, sink| connection.begin_post(now, sink))
        .unwrap();

    assert_eq!(polling.post("40"), Err(QueryError::BadRequest));

    assert_eq!(polling.done(), ["closed: transport error"]);
}

#[test]
fn a_get_that_is_given_up_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    polling.run(|connection, _, sink| connection.abort_get(sink));

    assert_eq!(polling.done(), ["closed: transport close"]);
}

#[test]
fn a_post_brings_packets_in_order() {
    let mut polling = Scenario::new(Transport::Polling);

    polling.post("40\x1e42[\"a\"]\x1e42[\"b\"]").unwrap();

    assert_eq!(
        polling.done(),
        ["connect 1 / ", "event 1 a() [] None", "event 1 b() [] None"]
    );
}

#[test]
fn a_post_that_is_no_payload_ends_the_connection() {
    let mut polling = Scenario::new(Transport::Polling);

    assert_eq!(polling.post("abc"), Err(QueryError::BadRequest));

    assert_eq!(polling.done(), ["closed: parse error"]);
}

#[test]
fn a_goodbye_by_post_answers_the_get_with_a_noop() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();

    polling.post("1").unwrap();

    assert_eq!(polling.done(), ["closed: transport close"]);
    assert_eq!(polling.connection.answer_get(true), Some(PollAnswer::Noop));
}

#[test]
fn a_late_get_finds_no_connection() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.pass(25_000);
    polling.now += Duration::from_secs(20);

    assert_eq!(polling.get(), Err(QueryError::UnknownSid));
}

#[test]
fn an_upgrade_lets_nothing_overtake_anything() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.get().unwrap();
    polling.connection.begin_upgrade(polling.now).unwrap();

    assert_eq!(polling.connection.answer_get(false), None);
    assert_eq!(polling.probe("2probe"), ["answer probe"]);
    assert_eq!(polling.connection.answer_get(false), Some(PollAnswer::Noop));
    polling.get().unwrap();
    assert_eq!(
        polling.connection.answer_get(true),
        Some(PollAnswer::Queued)
    );
    assert_eq!(polling.probe("5"), ["upgraded"]);
    assert_eq!(polling.get(), Err(QueryError::BadRequest));
    assert_eq!(polling.text("40"), ["connect 1 / "]);
}

#[test]
fn a_get_that_waits_at_the_end_of_an_upgrade_takes_nothing_along() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();
    polling.probe("2probe");
    polling.get().unwrap();

    polling.probe("5");

    assert_eq!(polling.connection.answer_get(true), Some(PollAnswer::Noop));
}

#[test]
fn an_unfit_probe_is_dropped_and_polling_goes_on() {
    let unfit: [&[&str]; 5] = [
        &["5"],
        &["2"],
        &["2probe", "2probe"],
        &["2probe", "40"],
        &["x"],
    ];
    for messages in unfit {
        let mut polling = Scenario::new(Transport::Polling);
        polling.connection.begin_upgrade(polling.now).unwrap();

        let done = messages
            .iter()
            .flat_map(|text| polling.probe(text))
            .collect::<Vec<_>>();

        assert_eq!(done.last().unwrap(), "drop probe", "{messages:?}");
        assert_eq!(polling.get(), Ok(()));
        assert_eq!(polling.connection.begin_upgrade(polling.now), Ok(()));
    }
}

#[test]
fn a_probe_has_ten_seconds() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();
    polling.probe("2probe");

    assert_eq!(polling.pass(10_000), ["drop probe"]);
    assert_eq!(polling.probe("5"), NOTHING);
}

#[test]
fn a_second_upgrade_is_refused_and_harms_nobody() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();

    assert_eq!(
        polling.connection.begin_upgrade(polling.now),
        Err(QueryError::BadRequest)
    );

    assert_eq!(polling.probe("2probe"), ["answer probe"]);
    assert_eq!(polling.probe("5"), ["upgraded"]);
}

#[test]
fn a_close_takes_the_probe_along() {
    let mut polling = Scenario::new(Transport::Polling);
    polling.connection.begin_upgrade(polling.now).unwrap();

    polling.run(|connection, _, sink| connection.close(CloseReason::ForcedServerClose, sink));

    assert_eq!(
        polling.done(),
        ["drop probe", "closed: forced server close"]
    );
}

/// What can happen to a connection.
#[derive(Debug, Clone)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    Probe(String),
    Get,
    AbortGet,
    AnswerGet(bool),
    Post(String),
    AbortPost,
    Upgrade,
    EndProbe,
    Accept(u16),
    Refuse(u16),
    Disconnect(u16),
    Pass(u16),
    Close,
}

fn packet() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("40".to_owned()),
        2 => Just("40/chat,{}".to_owned()),
        4 => Just(r#"42["a",1]"#.to_owned()),
        2 => Just(r#"42/chat,3["b"]"#.to_owned()),
        2 => Just(r#"451-["c",{"_placeholder":true,"num":0}]"#.to_owned()),
        1 => Just("41".to_owned()),
        1 => Just("41/chat,".to_owned()),
        2 => Just("3".to_owned()),
        1 => Just("2probe".to_owned()),
        1 => Just("5".to_owned()),
        1 => Just("1".to_owned()),
        1 => "[0-6]{1,3}(/[a-z]{1,2},)?[0-9]{0,2}.{0,8}",
        1 => any::<String>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => packet().prop_map(Step::Text),
        1 => vec(any::<u8>(), 0..8).prop_map(Step::Binary),
        2 => packet().prop_map(Step::Probe),
        2 => Just(Step::Get),
        1 => Just(Step::AbortGet),
        2 => any::<bool>().prop_map(Step::AnswerGet),
        3 => vec(packet(), 1..4).prop_map(|packets| Step::Post(packets.join("\x1e"))),
        1 => Just(Step::AbortPost),
        1 => Just(Step::Upgrade),
        1 => Just(Step::EndProbe),
        3 => (0_u16..5).prop_map(Step::Accept),
        1 => (0_u16..5).prop_map(Step::Refuse),
        1 => (0_u16..5).prop_map(Step::Disconnect),
        2 => (0_u16..30_000).prop_map(Step::Pass),
        1 => Just(Step::Close),
    ]
}

impl Scenario {
    fn step(&mut self, step: Step) -> Vec<String> {
        if let Step::Pass(millis) = step {
            return self.pass(millis.into());
        }
        self.run(|connection, now, sink| match step {
            Step::Text(text) => connection.text(&text, now, sink),
            Step::Binary(data) => connection.binary(&data, now, sink),
            Step::Probe(text) => connection.probe(&text, sink),
            Step::Get => drop(connection.begin_get(now, sink)),
            Step::AbortGet => connection.abort_get(sink),
            Step::AnswerGet(has_queued) => _ = connection.answer_get(has_queued),
            Step::Post(body) => {
                if connection.begin_post(now, sink).is_ok() {
                    let _ = connection.end_post(body.as_bytes(), now, sink);
                }
            }
            Step::AbortPost => connection.abort_post(sink),
            Step::Upgrade => drop(connection.begin_upgrade(now)),
            Step::EndProbe => connection.end_probe(sink),
            Step::Accept(id) => _ = connection.accept(NamespaceId::new(id), "x", None, sink),
            Step::Refuse(id) => connection.refuse(NamespaceId::new(id), "no", None, sink),
            Step::Disconnect(id) => _ = connection.disconnect(NamespaceId::new(id), sink),
            Step::Pass(_) => {}
            Step::Close => connection.close(CloseReason::ForcedServerClose, sink),
        });
        self.done()
    }
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Polling), Just(Transport::Websocket)]
}

proptest! {
    #[test]
    fn a_connection_closes_once_and_does_nothing_after(
        transport in transport(),
        steps in vec(step(), 0..60),
    ) {
        let mut scenario = Scenario::new(transport);

        let all = steps.into_iter().flat_map(|step| scenario.step(step)).collect::<Vec<_>>();

        let closed = all.iter().position(|effect| effect.starts_with("closed"));
        prop_assert_eq!(closed.is_some(), scenario.connection.closed().is_some());
        if let Some(i) = closed {
            prop_assert_eq!(&all[i + 1..], NOTHING);
        }
    }

    #[test]
    fn a_tick_leaves_nothing_due(transport in transport(), steps in vec(step(), 0..60)) {
        let mut scenario = Scenario::new(transport);

        for step in steps {
            scenario.step(step);
            scenario.run(|connection, now, sink| connection.tick(now, sink));
            let is_due = scenario.connection.deadline() <= scenario.now;
            prop_assert!(!is_due || scenario.connection.closed().is_some());
        }
    }

    #[test]
    fn each_stay_begins_and_ends_at_most_once(steps in vec(step(), 0..60)) {
        let mut scenario = Scenario::new(Transport::Websocket);

        let mut stays = steps.into_iter().flat_map(|step| scenario.step(step)).collect::<Vec<_>>();

        stays.retain(|effect| effect.starts_with("connect") || effect.starts_with("left"));
        let n = stays.len();
        stays.sort();
        stays.dedup();
        prop_assert_eq!(stays.len(), n);
    }
}
