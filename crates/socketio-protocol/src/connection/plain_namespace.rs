//! Plain messages on one connection: first a token, then events. Who is let in, the application
//! decides.

use super::{Connection, Effect, Sink};
use crate::{
    CloseReason,
    plain::{self, Message},
};

/// How many messages that are none are answered before the connection is closed.
const MAX_BAD: u8 = 16;

impl Connection {
    /// Has a plain client enter with what its request brought. To be called at most once, before
    /// anything else is taken.
    pub fn enter_plainly(&mut self, sink: Sink<'_>) {
        self.ask(plain::NAMESPACE, None, sink);
    }

    /// Takes a message of a plain client.
    pub(super) fn plain_text(&mut self, text: &str, sink: Sink<'_>) {
        if self.closed.is_some() {
            return;
        }
        let Some(message) = Message::parse(text) else {
            self.n_bad += 1;
            if MAX_BAD < self.n_bad {
                return self.close(CloseReason::ParseError, sink);
            }
            let text = "a message is a JSON object with event, data and possibly id";
            return sink(Effect::Send(plain::error(text, "invalid", None)));
        };
        match self.only_stay() {
            Some(id) => {
                let ack_id = message.id;
                sink(Effect::Event {
                    id,
                    event: message.into_event(),
                    ack_id,
                    attachments: Vec::new(),
                });
            }
            None if message.is_auth() && self.n_bad < MAX_BAD => {
                // Attempts are few, too.
                self.n_bad += 1;
                self.ask(plain::NAMESPACE, message.data, sink);
            }
            None => {
                self.n_bad += 1;
                if MAX_BAD < self.n_bad {
                    return self.close(CloseReason::ParseError, sink);
                }
                let text = "Authentication token required";
                sink(Effect::Send(plain::error(text, "unauthorized", message.id)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::{
        connection::{Config, Layer},
        engine::Transport,
    };

    fn open(now: Instant) -> Connection {
        let config = Config {
            layer: Layer::Plain,
            ..Config::default()
        };
        let (connection, _) =
            Connection::open(Arc::new(config), Transport::Websocket, String::new(), now);
        connection
    }

    /// Takes a message and says what came of it.
    fn take(connection: &mut Connection, text: &str) -> Vec<String> {
        let mut effects = Vec::new();
        connection.text(text, Instant::now(), &mut |effect| {
            effects.push(match effect {
                Effect::Send(frame) | Effect::Message(frame) => {
                    String::from_utf8_lossy(frame.packet()).into_owned()
                }
                Effect::Connect { auth, .. } => format!("connect {auth:?}"),
                Effect::Event { event, ack_id, .. } => format!("event {} {ack_id:?}", event.name),
                Effect::Closed(reason) => format!("closed: {}", reason.as_str()),
                Effect::Left(_) | Effect::AnswerProbe | Effect::DropProbe | Effect::Upgraded => {
                    format!("{effect:?}")
                }
            });
        });
        effects
    }

    #[test]
    fn a_token_comes_first_and_events_behind_it() {
        let mut connection = open(Instant::now());

        let early = take(&mut connection, r#"{"event":"send","id":4}"#);
        assert!(early[0].contains(r#""code":"unauthorized"},"id":4}"#));
        let asked = take(&mut connection, r#"{"event":"auth","data":{"token":"t"}}"#);
        assert!(asked[0].starts_with("connect Some("), "{asked:?}");
        let event = take(&mut connection, r#"{"event":"send","data":1,"id":5}"#);
        assert_eq!(event, ["event send Some(5)"]);
    }

    #[test]
    fn nobody_sends_nonsense_for_ever() {
        for nonsense in ["{", r#"{"event":"early"}"#] {
            let mut connection = open(Instant::now());
            let closed = (0..20).any(|_| {
                let effects = take(&mut connection, nonsense);
                effects == ["closed: parse error"]
            });
            assert!(closed, "{nonsense}");
        }
        let mut connection = open(Instant::now());
        connection.binary(b"x", Instant::now(), &mut |_| {});
        assert!(connection.closed().is_none());
    }

    #[test]
    fn a_client_without_a_token_is_given_up_after_ten_seconds() {
        let now = Instant::now();
        let mut connection = open(now);

        assert_eq!(connection.deadline(), now + Duration::from_secs(10));
        connection.tick(now + Duration::from_secs(10), &mut |_| {});

        assert!(connection.closed().is_some());
    }

    #[test]
    fn pings_are_those_of_the_websocket() {
        let now = Instant::now();
        let mut connection = open(now);
        take(&mut connection, r#"{"event":"auth"}"#);
        let id = connection.only_stay().unwrap();
        connection.accept(id, "socket", None, &mut |_| {
            panic!("the application says so")
        });
        let mut sent = Vec::new();
        let mut later = now + Duration::from_secs(25);
        connection.tick(later, &mut |effect| {
            let Effect::Send(frame) = effect else {
                panic!("{effect:?}");
            };
            sent.extend_from_slice(frame.ws());
        });
        assert_eq!(sent, [0x89, 0]);

        connection.pong(later);
        later += Duration::from_secs(21);
        connection.tick(later, &mut |_| {});
        assert!(connection.closed().is_none());
    }
}
