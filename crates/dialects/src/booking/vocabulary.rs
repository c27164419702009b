//! What clients of this dialect say, field by field as the decoder reads it, and what they hear.

use chat_domain::ConversationId;

use super::{
    MessageBody,
    encode::{BookedBody, JoinedBody, ReadBody, SentAck},
};
use crate::{
    Command,
    common::{DeliveredBody, ErrorBody, REFRESH, RefreshedBody, ResyncBody, SYNC, SyncResultBody},
    describe::{
        Ack, Heard, Kind, MESSAGE, MESSAGE_NEEDS, Payload, Said, Schemas, Vocabulary, needed,
        optional,
    },
};

pub(crate) const VOCABULARY: Vocabulary = Vocabulary {
    text: "Client and business, one conversation per booking. A socket hears of the bookings alone whose rooms \
           it joined. Acknowledgements are `{ok, …}`.",
    said: &SAID,
    heard: &HEARD,
};

const SAID: [Said; 5] = [
    Said {
        payload: Payload::Bare(Kind::Id),
        ..Said::of("joinBooking", "Enter the room of a booking, whose id is all.", &[])
    }
    .answered(&["joinedBooking"]),
    Said::of(
        "sendMessage",
        "Send a message about a booking. What confirms it is the acknowledgement alone; the event comes to all \
         in the room.",
        &[
            &[
                needed("bookingId", Kind::Id),
                optional("senderType", Kind::OneOf(&["client", "business"])),
            ],
            &MESSAGE,
        ],
    )
    .any_of(MESSAGE_NEEDS)
    .acknowledged(Ack::Own(Schemas::spell::<SentAck<'static>>)),
    Said::of(
        "markAsRead",
        "Mark messages of others as read, wherever they are.",
        &[&[needed("messageIds", Kind::List(&Kind::Uuid, Command::MAX_READ_IDS))]],
    )
    .answered(&["messagesMarkedAsRead"]),
    SYNC,
    REFRESH,
];

type Delivered = DeliveredBody<'static, ConversationId>;
type Synced = SyncResultBody<ConversationId, BookedBody<'static>, MessageBody<'static>>;

const HEARD: [Heard; 9] = [
    Heard::of::<JoinedBody<'static>>("joinedBooking", "This socket is in the room."),
    Heard::of::<MessageBody<'static>>("newMessage", "There is one more message about a booking."),
    Heard::of::<ReadBody<'static>>("messagesMarkedAsRead", "These were marked as read."),
    Heard::of::<Delivered>(
        "message_delivered",
        "One's own messages reached the other side.",
    ),
    Heard::of::<Synced>("sync_result", "What was missed, in order."),
    Heard::of::<ResyncBody>(
        "resync",
        "Not everything was told: fetch what lies before this.",
    ),
    Heard::of::<RefreshedBody>("auth:refreshed", "The session lasts until then."),
    Heard::of::<ErrorBody<'static>>("error", "An event failed; the socket stays usable."),
    Heard::of::<ErrorBody<'static>>(
        "socketError",
        "The same as `error`, for clients that listen to it.",
    ),
];
