//! What a client asks for, whichever dialect it spoke.

use std::fmt;

use chat_domain::{
    Attachment, ClientKey, ConversationId, MessageId, MessageKind, Place, Seq, Status, UserId,
    call::{CallId, CallKind, Signal},
};

/// A decoded event of a client.
///
/// Who asks is not part of it: that is the connection's user, and payloads that name another one
/// were rejected. It never prints a message or a token.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Say who one is, as the token does. Answered, and nothing else.
    Introduce,
    /// Enter a conversation's room.
    Join {
        /// The room.
        place: Place,
    },
    /// Leave a room.
    Leave {
        /// The room.
        conversation: ConversationId,
    },
    /// Append a message.
    Send(Send),
    /// Typing started or stopped.
    Typing {
        /// Where.
        place: Place,
        /// False for a stop.
        active: bool,
    },
    /// Mark messages of others as read.
    MarkRead(MarkRead),
    /// Choose what others see of oneself.
    SetStatus(Status),
    /// Ask for what was missed.
    Sync {
        /// The last place seen, for each of 1 to 100 conversations.
        since: Vec<(Place, Seq)>,
    },
    /// Do something about a call.
    Call(CallCommand),
    /// Extend the session with a newer token.
    RefreshToken {
        /// Unchecked, as it came.
        token: String,
    },
}

impl Command {
    /// The most messages that one [`MarkRead`] names.
    pub const MAX_READ_IDS: usize = 500;
    /// The most conversations that one [`Command::Sync`] names.
    pub const MAX_SYNCED: usize = 100;
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Introduce => f.write_str("Introduce"),
            Self::Join { place } => write!(f, "Join({place:?})"),
            Self::Leave { conversation } => write!(f, "Leave({conversation})"),
            Self::Send(send) => send.fmt(f),
            Self::Typing { place, active } => write!(f, "Typing({place:?}, active: {active})"),
            Self::MarkRead(read) => read.fmt(f),
            Self::SetStatus(status) => f.debug_tuple("SetStatus").field(status).finish(),
            Self::Sync { since } => f.debug_tuple("Sync").field(since).finish(),
            Self::Call(call) => call.fmt(f),
            Self::RefreshToken { .. } => f.write_str("RefreshToken([redacted])"),
        }
    }
}

/// Which messages a client has read.
#[derive(Clone, PartialEq, Eq)]
pub enum MarkRead {
    /// These, all of one conversation.
    In {
        /// The conversation they are in.
        conversation: ConversationId,
        /// 1 to 500 ids, as they came: possibly foreign, unknown or repeated.
        ids: Vec<MessageId>,
    },
    /// Everything that another user wrote to the caller.
    From(UserId),
    /// These, wherever they are: at most 500, possibly foreign, unknown or repeated.
    Messages(Vec<MessageId>),
}

impl fmt::Debug for MarkRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In { conversation, ids } => {
                write!(f, "MarkRead({conversation}, n_ids: {})", ids.len())
            }
            Self::From(peer) => write!(f, "MarkRead({peer})"),
            Self::Messages(ids) => write!(f, "MarkRead(n_ids: {})", ids.len()),
        }
    }
}

/// A message that a client wants to send. The content is not checked against the app's limits:
/// that is [`chat_domain::Content::new`].
#[derive(Clone, PartialEq, Eq)]
pub struct Send {
    /// The id of the conversation, or of what it is about (a booking, the other user).
    pub target: String,
    /// The type of the message.
    pub kind: MessageKind,
    /// The text, which may be empty beside an attachment.
    pub text: String,
    /// The file it points to.
    pub attachment: Option<Attachment>,
    /// The client's own id of the message, when it gave one.
    pub client_key: Option<ClientKey>,
}

impl fmt::Debug for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Send({}, {:?}, [redacted])", self.target, self.kind)
    }
}

/// Something that a client wants of a call with another user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCommand {
    /// The other user.
    pub peer: UserId,
    /// Which call, when the client says so; else it is the latest of the two.
    pub call: Option<CallId>,
    /// What it wants.
    pub action: CallAction,
}

/// What can be done about a call. It never prints a reason or a signal.
#[derive(Clone, PartialEq, Eq)]
pub enum CallAction {
    /// Ring the other user.
    Initiate {
        /// A conversation that both should be in.
        conversation: ConversationId,
        /// What is to be carried.
        kind: CallKind,
    },
    /// Take the call that rings here.
    Accept,
    /// Decline it.
    Reject {
        /// Why, of any length.
        reason: Option<String>,
    },
    /// Hang up, or stop ringing.
    End,
    /// Pass something on to the other device.
    Signal(Signal),
}

impl fmt::Debug for CallAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initiate { conversation, kind } => {
                write!(f, "Initiate({conversation}, {})", kind.as_str())
            }
            Self::Accept => f.write_str("Accept"),
            Self::Reject { .. } => f.write_str("Reject([redacted])"),
            Self::End => f.write_str("End"),
            Self::Signal(signal) => signal.fmt(f),
        }
    }
}
