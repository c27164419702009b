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
mod vocabulary;

pub use body::{
    ConversationBody, FoundBody, HistoryBody, MarkedBody, MessageBody, PostedBody, UnreadBody,
};
pub use call_body::CallBody;
pub use decode::{declared, decode};
pub use encode::encode;
pub use encode_calls::{CallFacts, call_connected, call_heard, signal};
pub use ice::{IceServersBody, RelayBody};
pub use presence::PresenceBody;
use presence::presence_changed;
pub(crate) use vocabulary::VOCABULARY;
