//! The consult dialect: consultant and patient, one conversation per booking, namespace `/chat`.

mod body;
mod call_body;
mod decode;
mod decode_calls;
mod encode;
mod encode_calls;
mod ice;
mod payload;
mod presence;

pub use body::{ConversationBody, HistoryBody, MarkedBody, MessageBody, PostedBody, UnreadBody};
pub use call_body::CallBody;
pub use decode::decode;
pub use encode::{
    Synced, auth_refreshed, error, failure, joined_conversation, left_conversation, marked_as_read,
    message_delivered, message_sent, messages_read, new_message, rejected, resync, sync_result,
    user_stopped_typing, user_typing,
};
pub use encode_calls::{CallFacts, call_connected, call_heard, signal};
pub use ice::{IceServersBody, RelayBody};
pub use presence::{PresenceBody, presence_changed};
