//! What happened: one record for each operation, for everything that was heard, for each fault, and
//! for what there is at the end. The checker sees nothing else.
//!
//! As JSON lines: `{t_invoke, t_done, proc, op, key, args, result}`, times in microseconds since the
//! run began. A record whose `t_done` is missing was never answered: it may or may not have happened.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// When it was asked for, or simply happened.
    pub t_invoke: u64,
    /// When the answer was there.
    pub t_done: Option<u64>,
    /// Who: a device (`p3.d1`), a person's REST client (`p3.rest`), or the suite itself.
    pub proc: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What a record is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Event {
    /// The run began; the key is the seed.
    Began {
        /// The seed of all choices.
        key: String,
        /// The moment.
        args: Moment,
    },
    /// A conversation and who is in it; the key is its id.
    Conversation {
        /// The conversation.
        key: String,
        /// Its people and its canary.
        args: Talk,
    },
    /// A socket was connected; `recovered` when the server said that nothing was lost.
    Connected {
        /// The socket.
        args: Socket,
    },
    /// A device could not connect; the note says why.
    NotConnected {
        /// The socket before.
        args: Socket,
    },
    /// A socket was gone; `t_invoke` is when that was seen.
    Disconnected {
        /// The socket.
        args: Socket,
    },
    /// The socket still listens at the end, when everything is quiet.
    Listening {
        /// The socket.
        args: Socket,
    },
    /// A message was sent, as often as it took; the key is its `clientMessageId`.
    Send {
        /// The idempotency key.
        key: String,
        /// What was sent.
        args: Sending,
        /// What it became.
        result: Option<Outcome>,
    },
    /// `new_message` was heard.
    Heard {
        /// Where and what.
        args: Hearing,
    },
    /// `sync` was answered with these messages of one conversation.
    Synced {
        /// The conversation.
        key: String,
        /// What was asked.
        args: Window,
        /// What came.
        result: Vec<Message>,
    },
    /// A socket was told that it missed something, and fetches it.
    Resync {
        /// The conversation.
        key: String,
        /// The socket.
        args: Socket,
    },
    /// A room was joined.
    Joined {
        /// The conversation.
        key: String,
        /// The socket.
        args: Socket,
    },
    /// A room was left.
    Left {
        /// The conversation.
        key: String,
        /// The socket.
        args: Socket,
    },
    /// Messages were marked as read.
    Read {
        /// The conversation.
        key: String,
        /// Which, by whom.
        args: Marking,
        /// Those that were really marked by this, where the answer tells.
        result: Option<Vec<String>>,
    },
    /// A page of the history was read by REST.
    Page {
        /// The conversation.
        key: String,
        /// What was asked.
        args: Window,
        /// What came.
        result: Vec<Message>,
    },
    /// The unread counter was read.
    Unread {
        /// The conversation.
        key: String,
        /// Whose.
        args: Whose,
        /// What it said.
        result: u64,
    },
    /// A client asked for something about a call.
    Asked {
        /// The call, where the answer named one.
        key: Option<String>,
        /// What was asked.
        args: Asking,
        /// What came: the event's name, or the code of an error.
        result: Option<String>,
    },
    /// A client heard something about a call.
    Told {
        /// The call.
        key: String,
        /// What.
        args: Telling,
    },
    /// Somebody's presence was told or read; the key is the person told about.
    Presence {
        /// The person told about.
        key: String,
        /// What was said.
        args: Being,
    },
    /// A fault, from its injection to its healing; the key is its number.
    Fault {
        /// The number, `F1` to `F22`.
        key: String,
        /// What was done to whom.
        args: Damage,
    },
    /// A process was asked to end, and did.
    Drained {
        /// Its name.
        key: String,
        /// How it ended.
        result: String,
    },
    /// Everything is healed; what is committed now must reach everybody.
    Healed,
    /// A message as it is stored at the end; the key is the conversation.
    Row {
        /// The conversation.
        key: String,
        /// The message.
        result: Message,
    },
    /// The stored unread counter at the end; the key is the conversation.
    UnreadRow {
        /// The conversation.
        key: String,
        /// Whose.
        args: Whose,
        /// The counter.
        result: u64,
    },
    /// A call as it is stored at the end.
    Call {
        /// The call.
        key: String,
        /// Its row.
        result: CallRow,
    },
    /// A call as REST tells it to one of its two at the end.
    CallSeen {
        /// The call.
        key: String,
        /// Who asked.
        args: Whose,
        /// The outcome; `None` while there is none.
        result: Option<String>,
    },
    /// Something that has to be a certain number at the end; the key says what.
    Count {
        /// What was counted.
        key: String,
        /// What it has to be.
        args: Expected,
        /// What it is.
        result: u64,
    },
    /// Content or a secret was found where it must never be; the key is the place.
    Leak {
        /// The file or page.
        key: String,
        /// What was found there: its kind, never itself.
        result: String,
    },
}

/// The moment at which a run began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moment {
    /// Microseconds since 1970, when `t_invoke` is 0.
    pub unix_us: i64,
}

/// Who is in a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Talk {
    /// Their ids.
    pub users: Vec<String>,
    /// Part of the content of each of its messages, and of no other.
    pub canary: String,
    /// The devices that have to know all of it in the end.
    pub devices: Vec<String>,
}

/// One connection of a device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Socket {
    /// Counts the connections of the device.
    pub session: u64,
    /// Counts those that were not recovered.
    pub stream: u64,
    /// Whether the server said that nothing was lost.
    #[serde(default)]
    pub recovered: bool,
    /// Why it was gone, or where it went.
    #[serde(default)]
    pub note: String,
}

/// A message on its way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sending {
    /// The conversation.
    pub conversation: String,
    /// Who sends.
    pub sender: String,
    /// What.
    pub content: String,
    /// The connection, for a socket.
    pub session: Option<u64>,
    /// How often it was sent.
    pub attempts: u32,
    /// Its place among those of its device.
    pub order: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was confirmed.
    Stored(Message),
    /// It was refused with this code, for good.
    Refused(String),
}

/// A message as somebody sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its conversation.
    pub conversation_id: String,
    /// Its place.
    pub seq: u64,
    /// Who wrote it.
    pub sender_id: String,
    /// `text`, or `system`.
    pub message_type: String,
    /// The text.
    pub content: String,
    /// The client's key.
    pub client_message_id: Option<String>,
    /// When it was stored.
    pub created_at: String,
    /// Whether the other side read it.
    pub is_read: bool,
}

impl Message {
    /// Tells whether both are the same message, however often it was read meanwhile.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let other = Self {
            is_read: self.is_read,
            ..other.clone()
        };
        *self == other
    }
}

/// Where a message was heard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Hearing {
    /// Who listens.
    pub user: String,
    /// The connection.
    pub session: u64,
    /// Counts the device's connections that were not recovered.
    pub stream: u64,
    /// Counts, within the stream, how often the client knew that it missed something: it had left
    /// the room, or was told to `resync`.
    pub slice: u64,
    /// The message.
    pub message: Message,
}

/// A part of a history.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Window {
    /// Who asks.
    pub user: String,
    /// Only later ones.
    pub after: Option<u64>,
    /// Only earlier ones.
    pub before: Option<u64>,
    /// At most so many; 0 where the answer may be cut off anywhere.
    pub limit: u64,
    /// Oldest first.
    pub ascending: bool,
}

/// Marking as read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Marking {
    /// Who reads.
    pub user: String,
    /// What.
    pub ids: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Whose {
    /// The id.
    pub user: String,
}

/// A request about a call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Asking {
    /// Who asks.
    pub user: String,
    /// The connection.
    pub session: u64,
    /// `initiate`, `accept`, `reject` or `end`.
    pub action: String,
    /// The other one.
    pub peer: String,
}

/// News about a call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Telling {
    /// Who hears it.
    pub user: String,
    /// The connection.
    pub session: u64,
    /// The event's name.
    pub event: String,
    /// Why, where it says.
    pub reason: Option<String>,
    /// The place that the sender gave a signal.
    pub place: Option<u64>,
    /// The call that the sender meant it for.
    pub meant: Option<String>,
    /// The device that sent it.
    #[serde(default)]
    pub by: String,
}

/// Somebody's presence.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Being {
    /// Who was told, or asked.
    pub user: String,
    /// What was said.
    pub online: bool,
    /// Whether it is the answer to a question after everything was quiet.
    pub is_final: bool,
    /// Whether the two share a conversation.
    pub is_contact: bool,
    /// At the end: whether a device of that person is connected.
    pub connected: Option<bool>,
}

/// A fault.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Damage {
    /// What was done.
    pub what: String,
    /// To whom: `g1`, `s2`, `postgres`, `nats`, `redis`, `haproxy`, `clients`.
    pub targets: Vec<String>,
}

/// The row of a call. Times are microseconds since 1970.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CallRow {
    /// The conversation.
    pub conversation: String,
    /// Who rang.
    pub caller: String,
    /// Who was rung.
    pub callee: String,
    /// Whether the caller's gateway was killed, and the caller stayed away.
    #[serde(default)]
    pub abandoned: bool,
    /// How it ended.
    pub outcome: Option<String>,
    /// When it began to ring.
    pub started_at: i64,
    /// When ringing ends by itself.
    pub rings_until: i64,
    /// When it was accepted.
    pub answered_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
    /// How many messages about its end there are in the conversation.
    pub messages: u64,
}

/// What a number has to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Expected {
    /// At least.
    pub at_least: u64,
    /// At most.
    pub at_most: u64,
}
