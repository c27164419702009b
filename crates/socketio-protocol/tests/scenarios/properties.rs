//! What is true after any steps.

use proptest::{collection::vec, prelude::*};
use socketio_protocol::{CloseReason, connection::NamespaceId, engine::Transport};

use super::{NOTHING, Scenario};

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
