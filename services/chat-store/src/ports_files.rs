//! What the use cases need to keep files: rows about them, and a place for their bytes.

use bytes::Bytes;
use chat_domain::{AppId, AttachmentId, BoxError, File, Timestamp};
use futures_util::stream::BoxStream;
use uuid::Uuid;

use crate::ports::Answer;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Known {
    pub file: File,
    pub announced_at: Timestamp,
    /// What a message says of it; `None` until one named it.
    pub sent: Option<Sent>,
}

/// A file that was found to be what was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Which copy of the upload it is.
    pub copy: Uuid,
    /// When a message named it for the last time.
    pub at: Timestamp,
}

/// Keeps what is known of files.
pub trait FileRows: Send + Sync {
    /// Writes down a file that is going to be uploaded, unless `max_unsent` of the uploader's wait to
    /// be sent already: then it returns `false`.
    fn add_file<'a>(
        &'a self,
        file: &'a File,
        announced_at: Timestamp,
        max_unsent: u32,
    ) -> Answer<'a, bool>;

    /// Returns a file of the app.
    fn find_file<'a>(&'a self, app: &'a AppId, id: AttachmentId) -> Answer<'a, Option<Known>>;

    /// Notes that a message names the file. Its copy is the one given first.
    fn send_file(&self, id: AttachmentId, sent: Sent) -> Answer<'_, ()>;

    /// Returns some files that were announced before `moment` and never sent.
    fn list_abandoned(&self, moment: Timestamp, limit: u32) -> Answer<'_, Vec<AttachmentId>>;

    /// Returns some files of the app that were sent before `moment` for the last time, and that no
    /// legal hold keeps.
    fn list_expired<'a>(
        &'a self,
        app: &'a AppId,
        moment: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttachmentId>>;

    /// Forgets files.
    fn remove_files<'a>(&'a self, ids: &'a [AttachmentId]) -> Answer<'a, ()>;
}

/// Permits one upload for a while, without anybody remembering it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Permit {
    pub id: AttachmentId,
    /// The most bytes.
    pub size: u64,
    pub expires_at: Timestamp,
}

/// What became of an upload that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is what was announced, and the copy is in its place.
    Kept,
    /// It is something else.
    Other,
    /// Nothing was uploaded.
    Missing,
}

/// The bytes of a file, as they come.
pub type Bytestream = BoxStream<'static, Result<Bytes, BoxError>>;

/// Keeps the bytes of files. What is uploaded lies apart until it is copied to its place, and no permit
/// reaches it there.
pub trait Files: Send + Sync {
    /// Returns where to `PUT` the bytes.
    fn upload_url<'a>(&'a self, permit: &'a Permit) -> Answer<'a, String>;

    /// Tells whether a signature is that of a permit which has not expired. Never, where uploads do
    /// not come here.
    fn permits(&self, permit: &Permit, signature: &str, now: Timestamp) -> bool;

    /// Stores an upload of at most `max` bytes, in place of an earlier one; nothing of one that is
    /// longer or breaks off.
    fn put<'a>(&'a self, id: AttachmentId, max: u64, bytes: &'a mut Bytestream) -> Answer<'a, ()>;

    /// Copies the upload of a file to a place that is named anew, and looks whether it is the file.
    fn settle<'a>(&'a self, file: &'a File, copy: Uuid) -> Answer<'a, Settled>;

    /// Reads a copy.
    fn read(&self, id: AttachmentId, copy: Uuid) -> Answer<'_, Bytestream>;

    /// Removes the upload of a file; nothing is wrong if there is none.
    fn remove_upload(&self, id: AttachmentId) -> Answer<'_, ()>;

    /// Removes the upload of a file and all its copies.
    fn remove(&self, id: AttachmentId) -> Answer<'_, ()>;
}
