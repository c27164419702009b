//! Files in conversations: announced, uploaded past the use cases, looked at before a message may name
//! them, given to nobody but the two, and gone with the last message that names them.

use std::{sync::Arc, time::Duration};

use chat_domain::{
    Attachment, AttachmentId, ChatError, Content, ConversationId, File, FileType, MessageKind,
    Timestamp,
};
use service_kit::apps::Apps;
use uuid::Uuid;

use super::{App, Caller, Target};
use crate::{
    ports_audit::Action,
    ports_files::{Bytestream, FileRows, Files, Known, Permit, Sent, Settled},
};

/// How long an upload may begin.
const PERMITTED: Duration = Duration::from_mins(15);
/// How long after its announcement a message may name a file for the first time.
const SENDABLE: Duration = Duration::from_hours(23);
/// For how much longer than it can be named a file is kept, so that none is removed that somebody is
/// just about to name.
const MARGIN: Duration = Duration::from_hours(1);
/// Files of one user that may be announced and not sent.
const MAX_UNSENT: u32 = 64;
/// When somebody with that many may try again: some are sent or removed by then.
const UNSENT_RETRY: Duration = Duration::from_mins(1);
/// Files removed at once.
const ROUND: u32 = 64;

/// Where files are kept. A clone is the same.
#[derive(Clone)]
pub struct Attachments {
    rows: Arc<dyn FileRows>,
    files: Arc<dyn Files>,
    public_url: Arc<str>,
}

impl std::fmt::Debug for Attachments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachments").finish_non_exhaustive()
    }
}

/// A file that somebody wants to attach, as it is announced.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Announced {
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In bytes.
    pub size: u64,
}

/// A file that may be uploaded.
#[derive(Debug)]
pub struct Upload {
    /// Its id, which a message names.
    pub id: AttachmentId,
    /// Where to `PUT` its bytes.
    pub url: String,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Attachments {
    /// Puts them on their ports. Clients reach the REST at `public_url`, which has no `/` at its end.
    #[must_use]
    pub fn new(rows: Arc<dyn FileRows>, files: Arc<dyn Files>, public_url: &str) -> Self {
        Self {
            rows,
            files,
            public_url: public_url.into(),
        }
    }

    /// Removes what was uploaded, but not the rows.
    pub(super) async fn remove_bytes(&self, ids: &[AttachmentId]) -> Result<(), ChatError> {
        for id in ids {
            self.files.remove(*id).await?;
        }
        Ok(())
    }

    /// The bytes go first: what is forgotten before would stay for ever.
    async fn remove(&self, ids: &[AttachmentId]) -> Result<usize, ChatError> {
        self.remove_bytes(ids).await?;
        self.rows.remove_files(ids).await?;
        Ok(ids.len())
    }

    /// Notes that a message names a file, which is looked at the first time.
    async fn send(
        &self,
        Known {
            file,
            announced_at,
            sent,
        }: &Known,
        now: Timestamp,
    ) -> Result<(), ChatError> {
        if let Some(sent) = *sent {
            return self.rows.send_file(file.id, Sent { at: now, ..sent }).await;
        }
        if announced_at.after(SENDABLE) < now {
            return Err(ChatError::AttachmentNotFound);
        }
        let copy = Uuid::now_v7();
        match self.files.settle(file, copy).await? {
            Settled::Kept => {
                self.rows.send_file(file.id, Sent { copy, at: now }).await?;
                self.files.remove_upload(file.id).await
            }
            Settled::Other => Err(ChatError::FileDiffers),
            Settled::Missing => {
                // Perhaps another message named it meanwhile, and the upload is gone for that.
                let found = self.rows.find_file(&file.app, file.id).await?;
                match found.and_then(|known| known.sent) {
                    Some(_) => Ok(()),
                    None => Err(ChatError::Conflict("The attachment was not uploaded")),
                }
            }
        }
    }
}

/// Removes files of any app that at `now` no message names, yet or any more. Returns how many; more may
/// be left. Due a few times a day; any number of replicas may do it.
///
/// # Errors
///
/// Returns [`ChatError::Unavailable`]; what is left is removed another time.
pub async fn remove_files(
    attachments: &Attachments,
    apps: &Apps,
    now: Timestamp,
) -> Result<usize, ChatError> {
    let rows = &attachments.rows;
    let before = earlier(now, SENDABLE + MARGIN);
    let abandoned = rows.list_abandoned(before, ROUND).await?;
    let mut n_removed = attachments.remove(&abandoned).await?;
    for app in apps.iter() {
        if let Some(retention) = app.policy.retention {
            let before = earlier(retention.horizon(now), MARGIN);
            let expired = rows.list_expired(&app.id, before, ROUND).await?;
            n_removed += attachments.remove(&expired).await?;
        }
    }
    Ok(n_removed)
}

fn earlier(moment: Timestamp, time: Duration) -> Timestamp {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Timestamp(moment.0.saturating_sub(millis))
}

impl App {
    /// Keeps files in `attachments`. Without, there are none.
    #[must_use]
    pub fn with_attachments(self, attachments: Attachments) -> Self {
        Self {
            attachments: Some(attachments),
            ..self
        }
    }

    fn attachments(&self) -> Result<&Attachments, ChatError> {
        let attachments = self.attachments.as_ref();
        attachments.ok_or(ChatError::AttachmentNotFound)
    }

    /// Announces a file of the caller's, and permits its upload for a quarter of an hour.
    ///
    /// # Errors
    ///
    /// Returns those of [`Self::append`] for the target; [`ChatError::FileTypeNotAllowed`],
    /// [`ChatError::FileNameNotAllowed`] and [`ChatError::TooLarge`] for a file that the app does not
    /// take; [`ChatError::RateLimited`] while too many of the caller's wait to be sent; and
    /// [`ChatError::AttachmentNotFound`] in a deployment that keeps no files.
    pub async fn announce_file(
        &self,
        caller: &Caller,
        target: Target,
        announced: Announced,
    ) -> Result<Upload, ChatError> {
        let Attachments { rows, files, .. } = self.attachments()?;
        let Announced {
            name,
            content_type,
            size,
        } = announced;
        let app = &caller.app;
        let file_type = FileType::parse(&content_type)?;
        let kinds = [MessageKind::File, MessageKind::Image, MessageKind::Voice];
        if !kinds.iter().any(|kind| file_type.suits(*kind, app.dialect)) {
            return Err(ChatError::FileTypeNotAllowed);
        }
        File::check_name(&name, file_type)?;
        match size {
            0 => return Err(ChatError::Malformed("size must be at least 1")),
            _ if app.policy.max_attachment_bytes < size => {
                return Err(ChatError::TooLarge("The file"));
            }
            _ => {}
        }
        let opened = match target {
            Target::Conversation(id) => self.own_conversation(caller.into(), id).await,
            Target::Booking(_) | Target::Peer(_) | Target::Either(_) => {
                self.open_target(caller, target).await
            }
        };
        let noted = self.noting(caller.into(), Action::Send, None, opened);
        let conversation = noted.await?;
        let file = File {
            id: AttachmentId(Uuid::now_v7()),
            app: app.id.clone(),
            conversation: conversation.id,
            uploader: caller.user.id.clone(),
            name,
            file_type,
            size,
        };
        let now = (self.clock)();
        if !rows.add_file(&file, now, MAX_UNSENT).await? {
            return Err(ChatError::rate_limited(UNSENT_RETRY));
        }
        let permit = Permit {
            id: file.id,
            size,
            expires_at: now.after(PERMITTED),
        };
        Ok(Upload {
            id: file.id,
            url: files.upload_url(&permit).await?,
            expires_at: permit.expires_at,
        })
    }

    /// Stores an upload that comes through this service.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Forbidden`] without a permit, and [`ChatError::TooLarge`] past its size.
    pub async fn receive_file(
        &self,
        permit: &Permit,
        signature: &str,
        bytes: &mut Bytestream,
    ) -> Result<(), ChatError> {
        let Attachments { files, .. } = self.attachments()?;
        if !files.permits(permit, signature, (self.clock)()) {
            return Err(ChatError::Forbidden("The upload is not permitted"));
        }
        files.put(permit.id, permit.size, bytes).await
    }

    /// Returns a file of a conversation of the caller's, and its bytes.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::AttachmentNotFound`], also for one that no message names, yet or any more;
    /// and [`ChatError::NotParticipant`].
    pub async fn read_file(
        &self,
        caller: &Caller,
        id: AttachmentId,
    ) -> Result<(File, Bytestream), ChatError> {
        let Attachments { rows, files, .. } = self.attachments()?;
        let app = &caller.app.id;
        let Known { file, sent, .. } = rows
            .find_file(app, id)
            .await?
            .ok_or(ChatError::AttachmentNotFound)?;
        let place = file.conversation;
        let own = self.own_conversation(caller.into(), place).await;
        let noted = self.noting(caller.into(), Action::Download, Some(place), own);
        noted.await?;
        let sent = sent
            .filter(|sent| self.horizon(app).is_none_or(|horizon| horizon <= sent.at))
            .ok_or(ChatError::AttachmentNotFound)?;
        self.showing(caller.into(), Action::Download, [(place, [])])
            .await?;
        let bytes = files.read(id, sent.copy).await?;
        Ok((file, bytes))
    }

    /// Checks the file of a content, and puts its address into one that names an upload by its id
    /// alone.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::FileTypeNotAllowed`]; of an upload also [`ChatError::AttachmentNotFound`],
    /// [`ChatError::FileDiffers`] and [`ChatError::Conflict`] while it is missing.
    pub(super) async fn with_file(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        content: Content,
    ) -> Result<Content, ChatError> {
        let Some(attachment) = content.attachment() else {
            return Ok(content);
        };
        let (app, kind) = (&caller.app, content.kind());
        let Some(id) = attachment.upload() else {
            if attachment.suits(kind, app.dialect) {
                return Ok(content);
            }
            return Err(ChatError::FileTypeNotAllowed);
        };
        let attachments = self.attachments()?;
        let now = (self.clock)();
        let found = attachments.rows.find_file(&app.id, id).await?;
        let known = found
            .filter(|known| known.file.conversation == conversation)
            .filter(|known| known.file.uploader == caller.user.id)
            .filter(|known| {
                let horizon = self.horizon(&app.id);
                let is_gone = |sent: Sent| horizon.is_some_and(|horizon| sent.at < horizon);
                !known.sent.is_some_and(is_gone)
            })
            .ok_or(ChatError::AttachmentNotFound)?;
        if !known.file.file_type.suits(kind, app.dialect) {
            return Err(ChatError::FileTypeNotAllowed);
        }
        attachments.send(&known, now).await?;

        let place = dialects::attachments(app.dialect);
        let url = format!("{}{place}/{id}", attachments.public_url);
        let file = Attachment::new(&url, Some(&known.file.name))?;
        let text = content.text().to_owned();
        Ok(Content::stored(kind, text, Some(file)))
    }
}
