//! A message in the body of a request, in whichever dialect.

use chat_domain::{Attachment, ChatError, ClientKey, Content, MessageKind};
use http::HeaderMap;
use service_kit::TraceParent;

use super::fields::Fields;
use crate::{
    app::{Caller, NewMessage},
    ports::{Key, Origin},
};

/// Reads what a message says, checked against the limits of the caller's app; its text is in
/// `text_field`.
pub(super) fn read_message(
    body: &mut Fields,
    text_field: &str,
    headers: &HeaderMap,
    caller: &Caller,
) -> Option<NewMessage> {
    let text = body
        .optional(text_field, A_STRING, owned)
        .unwrap_or_default();
    let upload = body.optional("attachmentId", A_STRING, |id| {
        Some(Attachment::reference(id))
    });
    let url = body.optional("fileUrl", A_STRING, owned);
    let url = upload.or(url);
    let name = body.optional("fileName", A_STRING, owned);
    let kind = body.optional("messageType", A_STRING, owned);
    let attachment = url
        .filter(|url| !url.is_empty())
        .map(|url| body.noted(Attachment::new(&url, name.as_deref())));
    let kind = match kind {
        Some(kind) => body.noted(MessageKind::parse(&kind))?,
        None if attachment.is_some() => MessageKind::File,
        None => MessageKind::Text,
    };
    let max_chars = caller.app.policy.max_content_chars;
    let content = body.noted(Content::new(kind, &text, attachment.flatten(), max_chars));
    let key = read_key(body, headers).map_or_else(Key::fresh, Key::Clients);
    Some(NewMessage {
        key,
        content: content?,
    })
}

/// Tells whether a message names a file, so that it needs no words.
pub(super) fn names_file(body: &Fields) -> bool {
    body.text("fileUrl").is_some() || body.text("attachmentId").is_some()
}

/// Reads the header `Idempotency-Key`, else `clientMessageId`.
fn read_key(body: &mut Fields, headers: &HeaderMap) -> Option<ClientKey> {
    let in_body = body.optional("clientMessageId", A_KEY, |text| ClientKey::new(text).ok());
    let Some(header) = headers.get("idempotency-key") else {
        return in_body;
    };
    let key = header
        .to_str()
        .ok()
        .and_then(|text| ClientKey::new(text).ok());
    if key.is_none() {
        body.note("Idempotency-Key", A_KEY);
    }
    key
}

const A_STRING: &str = "must be a string";
const A_KEY: &str = "must be a string of 1 to 64 bytes";

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where other fields have a rule"
)]
fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What a request causes.
pub(super) fn origin(trace: TraceParent) -> Origin {
    Origin {
        traceparent: trace.to_string(),
        ..Origin::default()
    }
}

/// Of an append that answered for none of its messages.
pub(super) fn no_result() -> ChatError {
    ChatError::Internal("an append of one message had no result".into())
}
