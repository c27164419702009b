//! Appends batches by the function `append_messages`, whose migration says why it is as it is.

use std::{collections::HashMap, sync::Arc};

use chat_domain::{ClientKey, Conversation, Message, MessageId, Role, Seq, Timestamp};
use sqlx::{PgPool, types::time::OffsetDateTime};
use uuid::Uuid;

use super::{
    conversations,
    error::{PgError, inconsistent},
    messages::epoch,
};
use crate::ports::{Entry, Key, OutboxId, Outcome, Written};

pub(super) async fn append(pool: &PgPool, batch: &[Entry]) -> Result<Written, PgError> {
    let rows = call(pool, batch).await?;
    if rows.len() != batch.len() {
        return Err(inconsistent("messages")("an entry without an outcome"));
    }
    let mut written = Written {
        outcomes: Vec::with_capacity(batch.len()),
        outbox: None,
        epoch: 0,
    };
    let mut seen = HashMap::new();
    for (row, entry) in rows.into_iter().zip(batch) {
        written.outbox = row.outbox_id.map(OutboxId);
        written.epoch = epoch(row.epoch)?;
        written.outcomes.push(row.outcome(entry, &mut seen)?);
    }
    Ok(written)
}

async fn call(pool: &PgPool, batch: &[Entry]) -> Result<Vec<Row>, PgError> {
    fn column<'a, T>(batch: &'a [Entry], value: impl Fn(&'a Entry) -> T) -> Vec<T> {
        batch.iter().map(value).collect()
    }
    let apps = column(batch, |entry| entry.app.as_str());
    let conversations = column(batch, |entry| entry.conversation.0);
    let senders = column(batch, |entry| entry.sender.as_str());
    let keys = column(batch, |entry| entry.key.as_str());
    let client_keys = column(batch, |entry| match &entry.key {
        Key::Clients(key) => Some(key.as_str()),
        Key::Made(_) => None,
    });
    // Without their time, which the function fills in.
    let ids = column(batch, |entry| {
        let (_, random) = Uuid::new_v4().as_u64_pair();
        MessageId::new(entry.conversation, 0, random).0
    });
    let kinds = column(batch, |entry| entry.content.kind().as_str());
    let contents = column(batch, |entry| entry.content.text());
    let urls = column(batch, |entry| {
        entry.content.attachment().map(|file| file.url.as_str())
    });
    let names = column(batch, |entry| {
        let file = entry.content.attachment();
        file.and_then(|file| file.name.as_deref())
    });
    Ok(sqlx::query_as!(
        Row,
        r#"SELECT /* messages.append */
                  status AS "status!", message_id, seq, created_at, delivered_at, read_at,
                  sender_role, booking_id, first_id, first_role, second_id, second_role, last_seq,
                  last_at, started_at, outbox_id, epoch AS "epoch!"
           FROM append_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ORDER BY ord"#,
        &apps as &[&str],
        &conversations,
        &senders as &[&str],
        &keys as &[&str],
        &client_keys as &[Option<&str>],
        &ids,
        &kinds as &[&str],
        &contents as &[&str],
        &urls as &[Option<&str>],
        &names as &[Option<&str>],
    )
    .fetch_all(pool)
    .await?)
}

/// A row of what the function returns; what it knows nothing of is NULL.
struct Row {
    status: i16,
    message_id: Option<Uuid>,
    seq: Option<i64>,
    created_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    read_at: Option<OffsetDateTime>,
    sender_role: Option<String>,
    booking_id: Option<String>,
    first_id: Option<String>,
    first_role: Option<String>,
    second_id: Option<String>,
    second_role: Option<String>,
    last_seq: Option<i64>,
    last_at: Option<OffsetDateTime>,
    started_at: Option<OffsetDateTime>,
    outbox_id: Option<i64>,
    epoch: i64,
}

impl Row {
    fn outcome(
        self,
        entry: &Entry,
        seen: &mut HashMap<Uuid, Arc<Conversation>>,
    ) -> Result<Outcome, PgError> {
        match self.status {
            3 => return Ok(Outcome::NotParticipant),
            4 => return Ok(Outcome::ConversationNotFound),
            _ => {}
        }
        let status = self.status;
        let missing = || inconsistent("messages")("a stored message without a column");
        let id = entry.conversation.0;
        let conversation = if let Some(conversation) = seen.get(&id) {
            Arc::clone(conversation)
        } else {
            let conversation = Arc::new(self.conversation(entry).ok_or_else(missing)??);
            seen.insert(id, Arc::clone(&conversation));
            conversation
        };
        if status == 2 {
            return Ok(Outcome::KeyReused(conversation));
        }
        let message = self.message(entry).ok_or_else(missing)??;
        Ok(Outcome::Stored {
            conversation,
            message,
            duplicate: status == 1,
        })
    }

    fn conversation(&self, entry: &Entry) -> Option<Result<Conversation, PgError>> {
        let row = conversations::Row {
            conversation_id: entry.conversation.0,
            app_id: entry.app.as_str().to_owned(),
            booking_id: self.booking_id.clone()?,
            first_id: self.first_id.clone()?,
            first_role: self.first_role.clone()?,
            second_id: self.second_id.clone()?,
            second_role: self.second_role.clone()?,
            last_seq: self.last_seq?,
            last_at: self.last_at,
            created_at: self.started_at?,
        };
        Some(row.try_into())
    }

    fn message(self, entry: &Entry) -> Option<Result<Message, PgError>> {
        let (id, seq, role) = (self.message_id?, self.seq?, self.sender_role?);
        let created_at = Timestamp::from_datetime(self.created_at?);
        let message = || {
            Ok(Message {
                id: MessageId(id),
                conversation: entry.conversation,
                seq: Seq(u64::try_from(seq).map_err(inconsistent("messages"))?),
                sender: entry.sender.clone(),
                sender_role: Role::parse(&role).map_err(inconsistent("conversations"))?,
                client_key: key_of(entry),
                content: entry.content.clone(),
                created_at,
                delivered_at: self.delivered_at.map(Timestamp::from_datetime),
                read_at: self.read_at.map(Timestamp::from_datetime),
            })
        };
        Some(message())
    }
}

fn key_of(entry: &Entry) -> Option<ClientKey> {
    match &entry.key {
        Key::Clients(key) => Some(key.clone()),
        Key::Made(_) => None,
    }
}
