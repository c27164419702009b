//! What clients of this dialect say, field by field as the decoders read it, and what they hear.

use chat_domain::ConversationId;

use super::{
    ConversationBody, MessageBody, PostedBody,
    encode::{MarkedBody, ReadBody, RoomBody, StoppedTypingBody, TypingBody},
    encode_calls::Body as CallBody,
    presence::PresenceChangedBody,
};
use crate::{
    Command,
    common::{DeliveredBody, ErrorBody, REFRESH, RefreshedBody, ResyncBody, SYNC, SyncResultBody},
    describe::{
        Ack, Heard, Kind, MESSAGE, MESSAGE_NEEDS, Property, Said, Vocabulary, needed, optional,
    },
};

pub(crate) const VOCABULARY: Vocabulary = Vocabulary {
    text: "Consultant and patient, one conversation per booking, calls. Every socket hears of messages in all \
           own conversations; who joins a room hears of typing and reading there, too.",
    said: &SAID,
    heard: &HEARD,
};

const ROLES: Kind = Kind::OneOf(&["consultant", "patient"]);
const CONVERSATION: [Property; 1] = [needed("conversationId", Kind::Uuid)];
const PEER: [Property; 2] = [
    needed("toUserId", Kind::Uuid),
    optional("callId", Kind::Uuid),
];

const SAID: [Said; 15] = [
    Said::of(
        "join_conversation",
        "Enter the room of a conversation. The fields may be wrapped as `{data: {…}}`.",
        &[
            &CONVERSATION,
            &[needed("userId", Kind::Uuid), needed("userType", ROLES)],
        ],
    )
    .answered(&["joined_conversation"]),
    Said::of(
        "leave_conversation",
        "Leave the room: nothing of this conversation is told here until it is joined again.",
        &[&CONVERSATION],
    )
    .answered(&["left_conversation"]),
    Said::of(
        "send_message",
        "Send a message to a conversation, by its id or that of its booking. The fields may be wrapped as \
         `{data: {…}}`.",
        &[&CONVERSATION, &[needed("senderType", ROLES)], &MESSAGE],
    )
    .any_of(MESSAGE_NEEDS)
    .answered(&["message_sent"]),
    Said::of("typing_start", "Say that one types.", &[&CONVERSATION])
        .acknowledged(Ack::Itself(&CONVERSATION)),
    Said::of("typing_stop", "Say that one types no longer.", &[&CONVERSATION])
        .acknowledged(Ack::Itself(&CONVERSATION)),
    Said::of(
        "mark_read",
        "Mark messages of the other side as read.",
        &[
            &CONVERSATION,
            &[needed("messageIds", Kind::List(&Kind::Uuid, Command::MAX_READ_IDS))],
        ],
    )
    .answered(&["marked_as_read"]),
    SYNC,
    REFRESH,
    Said::of(
        "call:initiate",
        "Call the other user of a conversation.",
        &[
            &PEER,
            &CONVERSATION,
            &[needed("callType", Kind::OneOf(&["audio", "video"]))],
        ],
    )
    .answered(&["call:ringing", "call:accepted", "call:rejected"]),
    Said::of("call:accept", "Take the call that rings here.", &[&PEER])
        .answered(&["call:connected"]),
    Said::of(
        "call:reject",
        "Decline it.",
        &[&PEER, &[optional("reason", Kind::Text)]],
    )
    .acknowledged(Ack::Itself(&PEER)),
    Said::of("call:end", "Hang up, or stop ringing.", &[&PEER]).acknowledged(Ack::Itself(&PEER)),
    Said::of(
        "webrtc:offer",
        "Pass an offer on to the device in the call, of 64 KiB at most.",
        &[&PEER, &[needed("offer", Kind::Object)]],
    )
    .acknowledged(Ack::Itself(&PEER)),
    Said::of(
        "webrtc:answer",
        "Pass an answer on, of 64 KiB at most.",
        &[&PEER, &[needed("answer", Kind::Object)]],
    )
    .acknowledged(Ack::Itself(&PEER)),
    Said::of(
        "webrtc:ice-candidate",
        "Pass a candidate on, of 4 KiB at most.",
        &[&PEER, &[needed("candidate", Kind::Object)]],
    )
    .acknowledged(Ack::Itself(&PEER)),
];

type Delivered = DeliveredBody<'static, ConversationId>;
type Synced = SyncResultBody<ConversationId, ConversationBody<'static>, MessageBody<'static>>;
type Call = CallBody<'static>;

const HEARD: [Heard; 26] = [
    Heard::of::<RoomBody>("joined_conversation", "This socket is in the room."),
    Heard::of::<RoomBody>("left_conversation", "This socket is in the room no longer."),
    Heard::of::<PostedBody<'static>>("new_message", "A conversation has one more message."),
    Heard::of::<PostedBody<'static>>("message_sent", "One's own message is stored for good."),
    Heard::of::<TypingBody<'static>>("user_typing", "Somebody else types."),
    Heard::of::<StoppedTypingBody<'static>>(
        "user_stopped_typing",
        "Somebody else types no longer.",
    ),
    Heard::of::<MarkedBody<'static>>("marked_as_read", "These were really marked, by oneself."),
    Heard::of::<ReadBody<'static>>("messages_read", "The other side has read these."),
    Heard::of::<Delivered>(
        "message_delivered",
        "One's own messages reached the other side.",
    ),
    Heard::of::<PresenceChangedBody<'static>>(
        "presence.changed",
        "Somebody of one's conversations came, went or changed status.",
    ),
    Heard::of::<Synced>("sync_result", "What was missed, in order."),
    Heard::of::<ResyncBody>(
        "resync",
        "Not everything was told: fetch what lies before this.",
    ),
    Heard::of::<RefreshedBody>("auth:refreshed", "The session lasts until then."),
    Heard::of::<ErrorBody<'static>>("error", "An event failed; the socket stays usable."),
    Heard::of::<Call>("call:ringing", "The other side rings.").only(&[
        "toUserId",
        "conversationId",
        "callType",
        "callId",
    ]),
    Heard::of::<Call>("call:incoming", "Somebody calls.").only(&[
        "fromUserId",
        "conversationId",
        "callType",
        "callId",
    ]),
    Heard::of::<Call>("call:stop-ringing", "Ring no longer.").only(&["callId"]),
    Heard::of::<Call>("call:accepted", "The other side accepted.").only(&["fromUserId", "callId"]),
    Heard::of::<Call>("call:connected", "This device is in the call.").only(&["callId"]),
    Heard::of::<Call>(
        "call:rejected",
        "The other side declined, or is in another call.",
    )
    .only(&["fromUserId", "reason", "callId"]),
    Heard::of::<Call>("call:no-answer", "Nobody answered in time.").only(&["toUserId", "callId"]),
    Heard::of::<Call>("call:missed", "Somebody called while no device was there.").only(&[
        "fromUserId",
        "conversationId",
        "callId",
    ]),
    Heard::of::<Call>("call:ended", "The call is over, here at least.").only(&[
        "fromUserId",
        "reason?",
        "callId",
    ]),
    Heard::of::<Call>("webrtc:offer", "The other device offers.").only(&[
        "fromUserId",
        "offer",
        "callId",
    ]),
    Heard::of::<Call>("webrtc:answer", "The other device answers.").only(&[
        "fromUserId",
        "answer",
        "callId",
    ]),
    Heard::of::<Call>("webrtc:ice-candidate", "A way to the other device.").only(&[
        "fromUserId",
        "candidate",
        "callId",
    ]),
];
