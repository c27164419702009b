//! What officers of an app ask for: who saw what of whom, copies, holds, erasure; and, in [`super::journey`],
//! what became of a message.
//!
//! All of it is logged before it is answered, under the name of whoever asked. Not here: whether they
//! may; the internal services that ask for them have checked that.

use std::{sync::Arc, time::Duration};

use chat_domain::{AppId, ChatError, Conversation, ConversationId, Message, Revoked, Seq, UserId};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::App;
use crate::{
    ports_audit::{Access, Action, Hash, Head, Recorded},
    ports_journey::{SightingLog, StoredMessages},
    ports_records::{Erasure, Held, Hold, Records, Step},
};

/// About how many messages one transaction erases.
const BATCH: u32 = 500;
/// About how many files go at a time.
const FILES: u32 = 64;
/// How long it takes until every replica knows that a token is revoked.
const KNOWN_EVERYWHERE: Duration = Duration::from_secs(1);
/// For how long one request erases; whoever asked asks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most holds told.
const MAX_HOLDS: u32 = 1_000;

/// The use cases. A clone is the same.
#[derive(Clone)]
pub struct Custodian {
    pub(super) app: App,
    records: Arc<dyn Records>,
    pub(super) stored: Arc<dyn StoredMessages>,
    pub(super) sighted: Arc<dyn SightingLog>,
}

/// What an erasure did so far, and of whom, without saying who that is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Certificate {
    pub app: AppId,
    /// SHA-256 of the user's id.
    pub user_digest: Hash,
    pub erasure: Erasure,
}

impl Custodian {
    /// Most messages in a part of an export, and most rows in one of an accounting.
    pub const MAX_PART: u32 = 500;

    /// Puts the use cases on the app's and on `records`, `stored` messages and what was `sighted` of
    /// them.
    #[must_use]
    pub fn new(
        app: App,
        records: Arc<dyn Records>,
        stored: Arc<dyn StoredMessages>,
        sighted: Arc<dyn SightingLog>,
    ) -> Self {
        Self {
            app,
            records,
            stored,
            sighted,
        }
    }

    /// Returns the app's use cases.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Returns who had to do with a user's conversations or data, newest first, before a place.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is; nothing was told then.
    pub async fn accesses(
        &self,
        app: &AppId,
        by: &str,
        user: &UserId,
        (before, limit): (u64, u32),
    ) -> Result<Vec<Recorded>, ChatError> {
        let limit = limit.clamp(1, Self::MAX_PART);
        let log = &self.app.store;
        let found = log.list_accesses(app, user, before, limit).await?;
        self.note(about(app, by, Action::Account, user)).await?;
        Ok(found)
    }

    /// Returns messages of a conversation behind a place, oldest first, whatever their age, and
    /// whether there are more.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ConversationNotFound`].
    pub async fn export(
        &self,
        app: &AppId,
        by: &str,
        conversation: ConversationId,
        (after, limit): (Seq, u32),
    ) -> Result<(Conversation, Vec<Message>, bool), ChatError> {
        let limit = limit.clamp(1, Self::MAX_PART);
        let conversation = self.app.existing(app, conversation).await?;
        let messages = self.records.list_kept(conversation.id, after, limit);
        let messages = messages.await?;
        let seqs = messages.iter().map(|message| message.seq);
        let access = Access::new(app, by, Action::Export).of(conversation.id, seqs);
        self.note(access).await?;
        let more = messages
            .last()
            .is_some_and(|last| last.seq < conversation.last_seq);
        Ok((conversation, messages, more))
    }

    /// Keeps something whatever its age.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is; asking again is safe.
    pub async fn hold(
        &self,
        app: &AppId,
        by: &str,
        held: Held,
        reason: &str,
    ) -> Result<(), ChatError> {
        self.records.place_hold(app, &held, reason, by).await?;
        self.note(with(app, by, Action::Hold, held)).await
    }

    /// Keeps it no longer.
    ///
    /// # Errors
    ///
    /// Those of [`Self::hold`].
    pub async fn release(&self, app: &AppId, by: &str, held: Held) -> Result<(), ChatError> {
        self.records.release_hold(app, &held).await?;
        self.note(with(app, by, Action::Release, held)).await
    }

    /// Returns what is held, oldest first, at most 1 000.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn holds(&self, app: &AppId) -> Result<Vec<Hold>, ChatError> {
        self.records.list_holds(app, MAX_HOLDS).await
    }

    /// Ends a user's tokens and erases what it wrote and attached and who it was, for ten seconds at most:
    /// unless the certificate says that it is finished, ask again. Once it is, the same certificate is
    /// returned.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Conflict`] when a hold keeps something of it, and
    /// [`ChatError::Unavailable`] also for one who attached files where none can be removed.
    pub async fn erase(
        &self,
        app: &AppId,
        by: &str,
        user: &UserId,
    ) -> Result<Certificate, ChatError> {
        const HELD: ChatError = ChatError::Conflict("a legal hold keeps it");
        let until = Instant::now() + PATIENCE;
        let begun = self.records.begin_erasure(app, user).await?;
        let Some(mut erasure) = begun else {
            let refused = Access {
                is_refused: true,
                detail: Some(digest_of(user)),
                ..Access::new(app, by, Action::Erase)
            };
            self.note(refused).await?;
            return Err(HELD);
        };
        if erasure.finished.is_none() {
            let pseudonym = erasure.pseudonym.clone();
            if erasure.revoked_at.is_none() {
                self.end_tokens(app, user, &pseudonym).await?;
            }
            let mut step = Step::More;
            while step == Step::More && Instant::now() < until {
                step = self.erase_some(app, user, &pseudonym).await?;
            }
            erasure = self.erasure(&pseudonym).await?;
            match step {
                Step::Held => return Err(HELD),
                Step::More => {}
                Step::Done => {
                    self.certify(app, by, user, &erasure).await?;
                    erasure = self.erasure(&pseudonym).await?;
                }
            }
        }
        Ok(Certificate {
            app: app.clone(),
            user_digest: Sha256::digest(user.as_str()).into(),
            erasure,
        })
    }

    /// Nobody acts as the user any more when this returns: else it might be known again before the
    /// certificate says that it is not.
    async fn end_tokens(
        &self,
        app: &AppId,
        user: &UserId,
        pseudonym: &str,
    ) -> Result<(), ChatError> {
        let revoked = Revoked::User {
            user: user.clone(),
            issued_until: service_kit::now(),
        };
        self.app.revoke(app, revoked, None).await?;
        tokio::time::sleep(KNOWN_EVERYWHERE).await;
        self.records.note_revoked(pseudonym).await
    }

    /// Removes some files; when none are left, erases some messages.
    async fn erase_some(
        &self,
        app: &AppId,
        user: &UserId,
        pseudonym: &str,
    ) -> Result<Step, ChatError> {
        let files = self.records.list_files_of(app, user, FILES).await?;
        let Some(files) = files else {
            return Ok(Step::Held);
        };
        if files.is_empty() {
            let stepping = self.records.erase_step(app, user, pseudonym, BATCH);
            return stepping.await;
        }
        let Some(attachments) = &self.app.attachments else {
            return Err(ChatError::Unavailable {
                dependency: "files",
                source: "files of the user are kept where this store cannot reach".into(),
            });
        };
        attachments.remove_bytes(&files).await?;
        self.records.erase_files(pseudonym, &files).await?;
        Ok(Step::More)
    }

    async fn certify(
        &self,
        app: &AppId,
        by: &str,
        user: &UserId,
        erasure: &Erasure,
    ) -> Result<(), ChatError> {
        let Erasure {
            messages,
            conversations,
            files,
            ..
        } = erasure;
        let user = digest_of(user);
        let access = Access {
            detail: Some(format!(
                "{user} messages={messages} conversations={conversations} files={files}"
            )),
            ..Access::new(app, by, Action::Erase)
        };
        let said = self.app.auditor.record(vec![access]).await?;
        let link = said.first().copied();
        let link = link.ok_or(ChatError::Internal("an access without a place".into()))?;
        self.records.finish_erasure(&erasure.pseudonym, link).await
    }

    /// Returns where the chain of the app's log ends.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] while the database is.
    pub async fn head(&self, app: &AppId) -> Result<Option<Head>, ChatError> {
        let ends = self.app.store.list_ends().await?;
        let end = ends.into_iter().find(|(of, _)| of == app);
        Ok(end.map(|(app, link)| Head { app, link }))
    }

    async fn erasure(&self, pseudonym: &str) -> Result<Erasure, ChatError> {
        let found = self.records.find_erasure(pseudonym).await?;
        found.ok_or(ChatError::Internal("an erasure is gone".into()))
    }

    pub(super) async fn note(&self, access: Access) -> Result<(), ChatError> {
        self.app.auditor.record(vec![access]).await.map(drop)
    }
}

fn about(app: &AppId, by: &str, action: Action, user: &UserId) -> Access {
    Access {
        subject: Some(user.clone()),
        ..Access::new(app, by, action)
    }
}

fn with(app: &AppId, by: &str, action: Action, held: Held) -> Access {
    match held {
        Held::User(user) => about(app, by, action, &user),
        Held::Conversation(id) => Access::new(app, by, action).of(id, []),
    }
}

/// The user in a row that stays when the user is gone.
fn digest_of(user: &UserId) -> String {
    let digest = Sha256::digest(user.as_str());
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.fold("user=".to_owned(), |text, digits| text + &digits)
}
