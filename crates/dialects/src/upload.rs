//! The JSON of a file that may be uploaded, in the two spellings that dialects have.

use chat_domain::{AttachmentId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::Text;

/// Where to put the bytes of a file that was announced.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadBody<'a> {
    attachment_id: Text<AttachmentId>,
    method: &'static str,
    upload_url: &'a str,
    expires_at: Text<Timestamp>,
}

/// The same where keys are written with underscores.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SnakeUploadBody<'a> {
    attachment_id: Text<AttachmentId>,
    method: &'static str,
    upload_url: &'a str,
    expires_at: Text<Timestamp>,
}

impl<'a> UploadBody<'a> {
    /// Says that `url` takes the file until `expires_at`.
    #[must_use]
    pub const fn new(id: AttachmentId, url: &'a str, expires_at: Timestamp) -> Self {
        Self {
            attachment_id: Text(id),
            method: "PUT",
            upload_url: url,
            expires_at: Text(expires_at),
        }
    }

    /// The same where keys are written with underscores.
    #[must_use]
    pub fn in_snake_case(self) -> SnakeUploadBody<'a> {
        let Self {
            attachment_id,
            method,
            upload_url,
            expires_at,
        } = self;
        SnakeUploadBody {
            attachment_id,
            method,
            upload_url,
            expires_at,
        }
    }
}
