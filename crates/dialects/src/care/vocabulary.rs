//! What clients of this dialect say, field by field as the decoder reads it, and what they hear.

use super::{
    MessageBody, OnlineBody, PairKey,
    encode::{PairBody, PostedBody, ReadBody, TypingBody},
};
use crate::{
    common::{DeliveredBody, ErrorBody, REFRESH, RefreshedBody, ResyncBody, SYNC, SyncResultBody},
    describe::{Ack, Heard, Kind, MESSAGE, MESSAGE_NEEDS, Property, Said, Vocabulary, needed},
};

pub(crate) const VOCABULARY: Vocabulary = Vocabulary {
    text: "Doctor and patient who are associated, one conversation per pair, no rooms: all devices of both hear \
           everything. The id of a conversation is the two users' ids, sorted and joined by `_`.",
    said: &SAID,
    heard: &HEARD,
};

const RECEIVER: [Property; 1] = [needed("receiverId", Kind::Id)];
const USER: [Property; 1] = [needed("userId", Kind::Id)];

const SAID: [Said; 7] = [
    Said::of(
        "send_message",
        "Send a message to a user.",
        &[&RECEIVER, &MESSAGE],
    )
    .any_of(MESSAGE_NEEDS)
    .answered(&["message_sent"]),
    Said::of("typing_start", "Say that one types.", &[&RECEIVER]).acknowledged(Ack::Itself(&USER)),
    Said::of("typing_stop", "Say that one types no longer.", &[&RECEIVER])
        .acknowledged(Ack::Itself(&USER)),
    Said::of(
        "mark_read",
        "Mark everything that a user sent as read.",
        &[&[needed("senderId", Kind::Id)]],
    ),
    Said::of(
        "set_status",
        "Choose what others see of oneself.",
        &[&[needed(
            "status",
            Kind::OneOf(&["available", "busy", "away"]),
        )]],
    ),
    SYNC,
    REFRESH,
];

type Delivered = DeliveredBody<'static, PairKey<'static>>;
type Synced = SyncResultBody<PairKey<'static>, PairBody<'static>, MessageBody<'static>>;

const HEARD: [Heard; 11] = [
    Heard::of::<PostedBody<'static>>("new_message", "There is one more message."),
    Heard::of::<PostedBody<'static>>("message_sent", "One's own message is stored for good."),
    Heard::of::<TypingBody<'static>>("typing_start", "Somebody types."),
    Heard::of::<TypingBody<'static>>("typing_stopped", "Somebody types no longer."),
    Heard::of::<ReadBody<'static>>("messages_read", "The other side has read these."),
    Heard::of::<Delivered>(
        "message_delivered",
        "One's own messages reached the other side.",
    ),
    Heard::of::<OnlineBody<'static>>(
        "user_status_change",
        "Somebody whom one is associated with came, went or changed status.",
    ),
    Heard::of::<Synced>("sync_result", "What was missed, in order."),
    Heard::of::<ResyncBody>(
        "resync",
        "Not everything was told: fetch what lies before this.",
    ),
    Heard::of::<RefreshedBody>("auth:refreshed", "The session lasts until then."),
    Heard::of::<ErrorBody<'static>>("error", "An event failed; the socket stays usable."),
];
