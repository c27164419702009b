//! From what a client sent to a request that may be handled: decoded, checked, within limits.

use std::collections::VecDeque;

use chat_domain::{ChatError, Content};
use dialects::{CallAction, Command, Fact, Failure, Rejection, Send};
use service_kit::TraceParent;
use socketio_protocol::packet;

use super::{Chat, Metric};
use crate::{
    limits::{Class, Exceeded},
    quotas::REST,
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
    name: Box<str>,
    ack: Option<u64>,
    why: Why,
}

/// Why an event is not handled.
enum Why {
    /// The dialect does not know it: only the acknowledgement says so.
    Unknown,
    /// It is not what it should be.
    Rejected(Rejection),
    /// It cannot be done.
    Failed(ChatError),
    /// The client kept on too long, and has to leave.
    KeptOn(ChatError),
}

impl Answer {
    pub(super) fn give(&self) {
        let (socket, name) = (&self.socket, &*self.name);
        let dialect = socket.session().dialect();
        let failure = match &self.why {
            Why::Unknown => Failure::new("unknown event", "invalid", Some(name)),
            Why::Rejected(rejection) => rejection.into(),
            Why::Failed(error) | Why::KeptOn(error) => Failure::of(dialect, error, Some(name)),
        };
        let failed = Fact::Failed(&failure);
        if let Why::Unknown = self.why {
            wire::acknowledge(socket, name, self.ack, &failed);
        } else {
            wire::reply(socket, name, self.ack, &failed);
        }
        if let Why::KeptOn(_) = self.why {
            socket.disconnect();
        }
    }
}

impl Chat {
    /// Decodes an event, counts it and checks what needs no other service.
    pub(super) fn admit(&self, socket: ChatSocket, event: Event) -> Admitted {
        let Event {
            name, args, ack, ..
        } = event;
        let session = socket.session();
        let decoded = dialects::decode(session.dialect(), &name, args.first(), session.user());
        let is_too_deep = packet::is_too_deep(args.as_json());
        let (label, class) = match &decoded {
            Ok(Some(command)) => (label(command), class(command)),
            Ok(None) => ("unknown", Class::Other),
            Err(_) => ("rejected", Class::Other),
        };
        let counted = self.count(
            session,
            class,
            decoded.as_ref().ok().and_then(Option::as_ref),
        );
        let why = match (counted, decoded) {
            (Ok(()), Ok(Some(_))) if is_too_deep => {
                Why::Failed(ChatError::Malformed("the payload is nested too deep"))
            }
            (Ok(()), Ok(Some(command))) => match check(&command, session) {
                Ok(()) => {
                    return Admitted::Request(Request {
                        socket,
                        name,
                        ack,
                        command,
                        trace: TraceParent::generate(),
                    });
                }
                Err(error) => Why::Failed(error),
            },
            (Ok(()), Ok(None)) => Why::Unknown,
            (Ok(()), Err(rejection)) => Why::Rejected(rejection),
            (Err(Exceeded::Retry { after }), _) => Why::Failed(ChatError::rate_limited(after)),
            (Err(Exceeded::Disconnect), _) => {
                self.parts.quotas.flooded(&session.key());
                Why::KeptOn(ChatError::rate_limited(REST))
            }
        };
        let outcome = if matches!(why, Why::Unknown) {
            "ignored"
        } else {
            "refused"
        };
        metrics::counter!(Metric::Events.name(), "event" => label, "outcome" => outcome)
            .increment(1);
        Admitted::Answer(Answer {
            socket,
            name,
            ack,
            why,
        })
    }
}

impl Chat {
    /// Counts an event, and what its user asks for with it.
    fn count(
        &self,
        session: &Session,
        class: Class,
        command: Option<&Command>,
    ) -> Result<(), Exceeded> {
        let rates = self.parts.rates.of(&session.app().policy.limits);
        let now = self.since_start();
        session.admit(class, &rates, now)?;
        let quotas = &self.parts.quotas;
        let within = match command {
            Some(Command::Send(_)) => quotas.message(&session.key(), rates.user_messages),
            Some(Command::Call(call)) if matches!(call.action, CallAction::Initiate { .. }) => {
                quotas.call(&session.key(), rates.user_calls)
            }
            _ => Ok(()),
        };
        within.map_err(|after| session.refuse(after, &rates, now))
    }
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
        Command::Introduce
        | Command::Join { .. }
        | Command::Leave { .. }
        | Command::MarkRead(_)
        | Command::SetStatus(_)
        | Command::Sync { .. }
        | Command::Call(_)
        | Command::RefreshToken { .. } => Class::Other,
    }
}

/// Returns the name of an event in metrics, whatever its dialect calls it.
pub(super) const fn label(command: &Command) -> &'static str {
    match command {
        Command::Introduce => "introduce",
        Command::Join { .. } => "join",
        Command::Leave { .. } => "leave",
        Command::Send(_) => "send",
        Command::Typing { .. } => "typing",
        Command::MarkRead(_) => "mark_read",
        Command::SetStatus(_) => "set_status",
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
