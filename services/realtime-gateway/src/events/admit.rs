//! From what a client sent to a request that may be handled: decoded, checked, within limits.

use std::collections::VecDeque;

use chat_domain::{ChatError, Content};
use dialects::{CallAction, Command, Send, ServerEvent, consult};
use service_kit::TraceParent;
use socketio_protocol::packet;

use super::{Chat, Metric};
use crate::{
    limits::{Class, Exceeded},
    session::{ChatSocket, Session},
    transport::Event,
    wire,
};

/// How many messages one append holds.
const MAX_ITEMS: usize = 64;
/// How many bytes of text one append holds: far below what a request may have.
const MAX_TEXT: usize = 256 * 1024;

/// An event that is to be handled.
pub(super) struct Request {
    pub(super) socket: ChatSocket,
    pub(super) name: Box<str>,
    pub(super) ack: Option<u64>,
    pub(super) command: Command,
    pub(super) trace: TraceParent,
}

/// What is to be done about an event, in its turn.
pub(super) enum Admitted {
    Request(Request),
    Answer(Answer),
}

/// The answer to an event that is not handled.
pub(super) struct Answer {
    socket: ChatSocket,
    ack: Option<u64>,
    event: ServerEvent,
    then: Then,
}

enum Then {
    /// Only the acknowledgement says it: the event is ignored.
    Ignore,
    /// The socket stays usable.
    GoOn,
    /// The client kept on too long.
    Disconnect,
}

impl Answer {
    pub(super) fn give(&self) {
        match self.then {
            Then::Ignore => wire::acknowledge(&self.socket, self.ack, &self.event),
            Then::GoOn => wire::reply(&self.socket, self.ack, &self.event),
            Then::Disconnect => {
                wire::reply(&self.socket, self.ack, &self.event);
                self.socket.disconnect();
            }
        }
    }
}

impl Chat {
    /// Decodes an event, counts it and checks what needs no other service.
    pub(super) fn admit(&self, socket: ChatSocket, event: Event) -> Admitted {
        let Event {
            name, args, ack, ..
        } = event;
        let decoded = consult::decode(&name, args.first(), socket.session().user());
        let is_too_deep = packet::is_too_deep(args.as_json());
        let (label, class) = match &decoded {
            Ok(Some(command)) => (label(command), class(command)),
            Ok(None) => ("unknown", Class::Other),
            Err(_) => ("rejected", Class::Other),
        };
        let counted = socket
            .session()
            .admit(class, &self.parts.rates, self.since_start());
        let decoded = decoded.map_err(|rejection| consult::rejected(&rejection));
        let (event, then) = match (counted, decoded) {
            (Ok(()), Ok(Some(_))) if is_too_deep => {
                let error = ChatError::Malformed("the payload is nested too deep");
                (consult::failure(&error, Some(&name)), Then::GoOn)
            }
            (Ok(()), Ok(Some(command))) => match check(&command, socket.session()) {
                Ok(()) => {
                    return Admitted::Request(Request {
                        socket,
                        name,
                        ack,
                        command,
                        trace: TraceParent::generate(),
                    });
                }
                Err(error) => (consult::failure(&error, Some(&name)), Then::GoOn),
            },
            (Ok(()), Ok(None)) => {
                let event = consult::error("unknown event", "invalid", Some(&name));
                (event, Then::Ignore)
            }
            (Ok(()), Err(rejected)) => (rejected, Then::GoOn),
            (Err(exceeded), _) => over_limit(exceeded, &name),
        };
        let outcome = if matches!(then, Then::Ignore) {
            "ignored"
        } else {
            "refused"
        };
        metrics::counter!(Metric::Events.name(), "event" => label, "outcome" => outcome)
            .increment(1);
        Admitted::Answer(Answer {
            socket,
            ack,
            event,
            then,
        })
    }
}

fn over_limit(exceeded: Exceeded, name: &str) -> (ServerEvent, Then) {
    let (retry_after_ms, then) = match exceeded {
        Exceeded::Retry { after } => {
            let ms = after.as_micros().div_ceil(1_000);
            (u64::try_from(ms).unwrap_or(u64::MAX), Then::GoOn)
        }
        Exceeded::Disconnect => (60_000, Then::Disconnect),
    };
    let error = ChatError::RateLimited { retry_after_ms };
    (consult::failure(&error, Some(name)), then)
}

/// Checks a message's content against the rules of its app.
fn check(command: &Command, session: &Session) -> Result<(), ChatError> {
    let Command::Send(send) = command else {
        return Ok(());
    };
    content(send, session).map(|_content| ())
}

pub(super) fn content(send: &Send, session: &Session) -> Result<Content, ChatError> {
    let max_chars = session.app().policy.max_content_chars;
    Content::new(send.kind, &send.text, send.attachment.clone(), max_chars)
}

/// Takes, behind a send, the sends that go in the same append: same socket, same target, and
/// nothing in between.
pub(super) fn take_run(first: Request, rest: &mut VecDeque<Admitted>) -> Vec<Request> {
    let mut n_bytes = text_len(&first.command);
    let mut run = vec![first];
    while run.len() < MAX_ITEMS
        && let Some(Admitted::Request(next)) = rest.front()
        && run.last().is_some_and(|last| go_together(last, next))
        && n_bytes + text_len(&next.command) <= MAX_TEXT
        && let Some(Admitted::Request(next)) = rest.pop_front()
    {
        n_bytes += text_len(&next.command);
        run.push(next);
    }
    run
}

fn go_together(one: &Request, other: &Request) -> bool {
    match (&one.command, &other.command) {
        (Command::Send(a), Command::Send(b)) => one.socket == other.socket && a.target == b.target,
        _ => false,
    }
}

fn text_len(command: &Command) -> usize {
    if let Command::Send(send) = command {
        send.text.len()
    } else {
        0
    }
}

const fn class(command: &Command) -> Class {
    match command {
        Command::Send(_) => Class::Message,
        Command::Typing { .. } => Class::Typing,
        Command::Join { .. }
        | Command::Leave { .. }
        | Command::MarkRead { .. }
        | Command::Sync { .. }
        | Command::Call(_)
        | Command::RefreshToken { .. } => Class::Other,
    }
}

/// Returns the name of an event in metrics, whatever its dialect calls it.
pub(super) const fn label(command: &Command) -> &'static str {
    match command {
        Command::Join { .. } => "join",
        Command::Leave { .. } => "leave",
        Command::Send(_) => "send",
        Command::Typing { .. } => "typing",
        Command::MarkRead { .. } => "mark_read",
        Command::Sync { .. } => "sync",
        Command::Call(call) => match call.action {
            CallAction::Initiate { .. } => "call_initiate",
            CallAction::Accept => "call_accept",
            CallAction::Reject { .. } => "call_reject",
            CallAction::End => "call_end",
            CallAction::Signal(_) => "call_signal",
        },
        Command::RefreshToken { .. } => "refresh_token",
    }
}
