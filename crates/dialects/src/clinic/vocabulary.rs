//! What clients of this dialect say, field by field as the decoder reads it, and what they hear.

use chat_domain::ConversationId;

use super::{
    MessageBody,
    encode::{OfflineBody, OnlineBody, PairBody, ReceiptBody, TypingBody},
};
use crate::{
    common::{DeliveredBody, ErrorBody, REFRESH, RefreshedBody, ResyncBody, SYNC, SyncResultBody},
    describe::{Ack, Heard, Kind, MESSAGE_TYPES, Property, Said, Vocabulary, needed, optional},
};

pub(crate) const VOCABULARY: Vocabulary = Vocabulary {
    text: "Staff of a clinic, known by e-mail, one conversation per pair, no rooms. Acknowledgements are empty: \
           a message is confirmed by `message_sent_confirmed`, and every other tab of both gets \
           `receive_message`.",
    said: &SAID,
    heard: &HEARD,
};

const RECEIVER: [Property; 1] = [needed("receiver_email", Kind::Email)];
const USER: [Property; 1] = [needed("userId", Kind::Email)];
/// What a message says, in the spelling of this dialect.
pub const MESSAGE: [Property; 6] = [
    optional("content", Kind::Text),
    optional("message_type", MESSAGE_TYPES),
    optional("file_url", Kind::Url),
    optional("file_name", Kind::Text),
    optional("attachment_id", Kind::Uuid),
    optional("client_message_id", Kind::Text),
];

const SAID: [Said; 6] = [
    Said::of(
        "user_joined",
        "Say who one is, as the token does.",
        &[&[needed("email", Kind::Email)]],
    )
    .answered(&["user_online"]),
    Said::of(
        "send_message",
        "Send a message to somebody.",
        &[&RECEIVER, &MESSAGE],
    )
    .any_of(&["content", "file_url", "attachment_id"])
    .answered(&["message_sent_confirmed"]),
    Said::of(
        "user_typing",
        "Say that one types, or does no longer.",
        &[&RECEIVER, &[optional("is_typing", Kind::Flag)]],
    )
    .acknowledged(Ack::Itself(&USER)),
    Said::of(
        "mark_message_read",
        "Mark a message as read.",
        &[&[needed("message_id", Kind::Uuid)]],
    ),
    SYNC,
    REFRESH,
];

type Delivered = DeliveredBody<'static, ConversationId>;
type Synced = SyncResultBody<ConversationId, PairBody<'static>, MessageBody<'static>>;

const HEARD: [Heard; 11] = [
    Heard::of::<MessageBody<'static>>("receive_message", "There is one more message."),
    Heard::of::<MessageBody<'static>>(
        "message_sent_confirmed",
        "One's own message is stored for good.",
    ),
    Heard::of::<TypingBody<'static>>("user_typing", "Somebody types, or does no longer."),
    Heard::of::<ReceiptBody>("message_read_receipt", "The other side has read this."),
    Heard::of::<Delivered>(
        "message_delivered",
        "One's own messages reached the other side.",
    ),
    Heard::of::<OnlineBody<'static>>(
        "user_online",
        "Somebody came whom one writes to, or oneself.",
    ),
    Heard::of::<OfflineBody<'static>>("user_offline", "The last tab of somebody is gone."),
    Heard::of::<Synced>("sync_result", "What was missed, in order."),
    Heard::of::<ResyncBody>(
        "resync",
        "Not everything was told: fetch what lies before this.",
    ),
    Heard::of::<RefreshedBody>("auth:refreshed", "The session lasts until then."),
    Heard::of::<ErrorBody<'static>>("error", "An event failed; the socket stays usable."),
];
