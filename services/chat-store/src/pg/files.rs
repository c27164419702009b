//! What is known of files that users attach.

use chat_domain::{AppId, AttachmentId, ConversationId, File, FileType, Timestamp, UserId};
use sqlx::{PgPool, types::Uuid};

use super::{
    Pg, answer,
    error::{PgError, inconsistent},
};
use crate::{
    ports::Answer,
    ports_files::{FileRows, Known, Sent},
};

impl FileRows for Pg {
    fn add_file<'a>(&'a self, file: &'a File, at: Timestamp, max_unsent: u32) -> Answer<'a, bool> {
        answer(add(&self.pool, file, at, max_unsent))
    }

    fn find_file<'a>(&'a self, app: &'a AppId, id: AttachmentId) -> Answer<'a, Option<Known>> {
        answer(find(&self.pool, app, id))
    }

    fn send_file(&self, id: AttachmentId, sent: Sent) -> Answer<'_, ()> {
        answer(send(&self.pool, id, sent))
    }

    fn list_abandoned(&self, moment: Timestamp, limit: u32) -> Answer<'_, Vec<AttachmentId>> {
        answer(list_abandoned(&self.pool, moment, limit))
    }

    fn list_expired<'a>(
        &'a self,
        app: &'a AppId,
        moment: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<AttachmentId>> {
        answer(list_expired(&self.pool, app, moment, limit))
    }

    fn remove_files<'a>(&'a self, ids: &'a [AttachmentId]) -> Answer<'a, ()> {
        answer(remove(&self.pool, ids))
    }
}

/// The count may be passed by what is announced at the same moment; it bounds, it does not meter.
async fn add(pool: &PgPool, file: &File, at: Timestamp, max_unsent: u32) -> Result<bool, PgError> {
    let added = sqlx::query!(
        "INSERT /* attachments.add */ INTO attachments (
             attachment_id, app_id, conversation_id, uploader_id, file_name, content_type, size,
             created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8
         WHERE (SELECT count(*) FROM attachments
                WHERE app_id = $2 AND uploader_id = $4 AND sent_at IS NULL) < $9",
        file.id.0,
        file.app.as_str(),
        file.conversation.0,
        file.uploader.as_str(),
        file.name,
        file.file_type.as_str(),
        i64::try_from(file.size).map_err(inconsistent("attachments"))?,
        at.to_datetime(),
        i64::from(max_unsent),
    )
    .execute(pool)
    .await?;
    Ok(added.rows_affected() == 1)
}

async fn find(pool: &PgPool, app: &AppId, id: AttachmentId) -> Result<Option<Known>, PgError> {
    let row = sqlx::query!(
        "SELECT /* attachments.find */ conversation_id, uploader_id, file_name, content_type, size,
                created_at, copy_id, sent_at
         FROM attachments
         WHERE attachment_id = $1 AND app_id = $2",
        id.0,
        app.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let file = File {
            id,
            app: app.clone(),
            conversation: ConversationId(row.conversation_id),
            uploader: UserId::new(&row.uploader_id).map_err(inconsistent("attachments"))?,
            name: row.file_name,
            file_type: FileType::parse(&row.content_type).map_err(inconsistent("attachments"))?,
            size: u64::try_from(row.size).map_err(inconsistent("attachments"))?,
        };
        let sent = row.copy_id.zip(row.sent_at).map(|(copy, at)| Sent {
            copy,
            at: Timestamp::from_datetime(at),
        });
        Ok(Known {
            file,
            announced_at: Timestamp::from_datetime(row.created_at),
            sent,
        })
    })
    .transpose()
}

async fn send(pool: &PgPool, id: AttachmentId, sent: Sent) -> Result<(), PgError> {
    sqlx::query!(
        "UPDATE /* attachments.send */ attachments
         SET copy_id = coalesce(copy_id, $2), sent_at = greatest(sent_at, $3)
         WHERE attachment_id = $1",
        id.0,
        sent.copy,
        sent.at.to_datetime(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

async fn list_abandoned(
    pool: &PgPool,
    moment: Timestamp,
    limit: u32,
) -> Result<Vec<AttachmentId>, PgError> {
    let ids = sqlx::query_scalar!(
        "SELECT /* attachments.list_abandoned */ attachment_id
         FROM attachments
         WHERE sent_at IS NULL AND created_at < $1
         ORDER BY created_at
         LIMIT $2",
        moment.to_datetime(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(AttachmentId).collect())
}

async fn list_expired(
    pool: &PgPool,
    app: &AppId,
    moment: Timestamp,
    limit: u32,
) -> Result<Vec<AttachmentId>, PgError> {
    let ids = sqlx::query_scalar!(
        "SELECT /* attachments.list_expired */ a.attachment_id
         FROM attachments a
         JOIN conversations c USING (conversation_id)
         WHERE a.app_id = $1 AND a.sent_at < $2
           AND NOT is_held(a.app_id, a.conversation_id, c.first_id, c.second_id)
         ORDER BY a.sent_at
         LIMIT $3",
        app.as_str(),
        moment.to_datetime(),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(AttachmentId).collect())
}

async fn remove(pool: &PgPool, ids: &[AttachmentId]) -> Result<(), PgError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "DELETE /* attachments.remove */ FROM attachments WHERE attachment_id = ANY ($1)",
        &ids,
    )
    .execute(pool)
    .await?;
    Ok(())
}
