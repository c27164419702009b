//! The chat-store as a typed client: requests in terms of the domain, with the patience each
//! deserves.
//!
//! Every request may be repeated: an append carries keys, the others change nothing twice. What
//! travels is in `proto/`; how it travels is behind [`Requests`].

mod calls;
mod peers;
mod resume;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chat_domain::{
    AppId, ChatError, Conversation, ConversationId, ErrorKind, Message, MessageId, Receipt,
    RevocationPage, Seq, Timestamp, User, UserId,
};
use chat_proto::{
    WireError, WireId,
    subject::{self, Rpc},
    v1,
};
use service_kit::{Span, SpanKind};
use tokio::time::Instant;

pub use calls::Arrival;
pub use resume::{Resumed, Stood};

use crate::{metrics::Metric, ports::Requests, random, registry::UserKey};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long a request is repeated whose failure a client would see: four attempts that time out.
const PATIENT: Duration = Duration::from_secs(8);
/// How many conversations a full page of those that began has.
const MAX_BEGUN: usize = 500;
/// The pause after an attempt that failed at once.
const PAUSE: Duration = Duration::from_millis(200);

/// A cheap handle to the chat-stores.
#[derive(Clone)]
pub struct Store {
    requests: Arc<dyn Requests>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// The newest places of some conversations.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Heads {
    pub heads: Vec<(ConversationId, Seq)>,
    pub epoch: u64,
}

/// Conversations that began lately, oldest first.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Begun {
    pub conversations: Vec<Conversation>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<(Timestamp, ConversationId)>,
    pub epoch: u64,
}

/// Where the conversations of a user stand.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Opened {
    /// Those that changed last, newest first.
    pub heads: Vec<(ConversationId, Seq)>,
    /// When each of them changed.
    pub changed_at: Vec<Timestamp>,
    /// Whether these are all.
    pub complete: bool,
    pub epoch: u64,
}

/// A stretch of one conversation, ascending.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Range {
    pub conversation: Conversation,
    pub messages: Vec<Message>,
    pub epoch: u64,
}

/// The outcome of each message that was to be stored, in order.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Appended {
    pub conversation: Conversation,
    pub results: Vec<Result<Message, ChatError>>,
    pub epoch: u64,
}

/// What one conversation held behind a place.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Synced {
    pub conversation: Conversation,
    pub messages: Vec<Message>,
    /// Whether there is more behind.
    pub more: bool,
}

/// One sender's messages for one target.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Append<'a> {
    pub app: &'a AppId,
    pub sender: &'a User,
    /// A conversation, or what its dialect calls it by: a booking, the other user.
    pub target: String,
    /// At most 64.
    pub items: Vec<v1::AppendItem>,
    pub origin: Bytes,
    pub traceparent: String,
}

impl Store {
    /// Wraps the way to the stores.
    #[must_use]
    pub fn new(requests: Arc<dyn Requests>) -> Self {
        Self { requests }
    }

    /// Announces a user and returns where its conversations stand. Asks once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn open_session(&self, app: &AppId, user: &User) -> Result<Opened, ChatError> {
        let request = v1::OpenSessionRequest {
            app: app.as_str().to_owned(),
            user: Some(user.into()),
        };
        let reply: v1::OpenSessionReply = self
            .call(Rpc::OpenSession, user.id.as_str(), &request, ATTEMPT)
            .await?;
        opened(&reply)
    }

    /// Returns what was revoked after a number. Asks once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn revocations(&self, after: u64) -> Result<RevocationPage, ChatError> {
        let request = v1::ListRevocationsRequest { after };
        let reply: v1::ListRevocationsReply = self
            .call(Rpc::ListRevocations, "", &request, ATTEMPT)
            .await?;
        Ok(reply.try_into()?)
    }

    /// Returns who a user is that the directory knows.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `NotFound`, and [`ChatError::Unavailable`] when no store answers in
    /// time.
    pub async fn find_user(&self, app: &AppId, id: &UserId) -> Result<User, ChatError> {
        let request = v1::FindUserRequest {
            app: app.as_str().to_owned(),
            user_id: id.as_str().to_owned(),
        };
        let reply: v1::FindUserReply = self
            .call(Rpc::FindUser, id.as_str(), &request, ATTEMPT)
            .await?;
        let user = reply.user.ok_or(WireError::Field("user"))?;
        Ok(User::try_from(user)?)
    }

    /// Returns a conversation to one of its participants, who asks on a device.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unauthorized` or `NotFound` when it may not be seen, and
    /// [`ChatError::Unavailable`] when no store answers in time.
    pub async fn conversation(
        &self,
        user: &UserKey,
        id: ConversationId,
        device: Bytes,
    ) -> Result<Conversation, ChatError> {
        let request = v1::GetConversationRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            conversation_id: id.to_string(),
            device,
        };
        let key = subject::conversation_key(id);
        let reply: v1::GetConversationReply = self
            .call(Rpc::GetConversation, &key, &request, PATIENT)
            .await?;
        conversation(reply.conversation)
    }

    /// Returns the newest places of at most 500 conversations.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn heads(&self, app: &AppId, ids: &[ConversationId]) -> Result<Heads, ChatError> {
        let request = v1::HeadsRequest {
            app: app.as_str().to_owned(),
            conversation_ids: ids.iter().map(|id| id.to_wire()).collect(),
        };
        let key = ids.first().copied().map(subject::conversation_key);
        let reply: v1::HeadsReply = self
            .call(Rpc::Heads, &key.unwrap_or_default(), &request, PATIENT)
            .await?;
        Ok(Heads {
            heads: heads(&reply.heads)?,
            epoch: reply.epoch,
        })
    }

    /// Returns a page of the app's conversations that began after a moment.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn begun(
        &self,
        app: &AppId,
        (began_at, after): (Timestamp, Option<ConversationId>),
    ) -> Result<Begun, ChatError> {
        let request = v1::BegunRequest {
            app: app.as_str().to_owned(),
            after_ms: began_at.0,
            after_id: after.map(WireId::to_wire).unwrap_or_default(),
        };
        let reply: v1::BegunReply = self
            .call(Rpc::Begun, app.as_str(), &request, PATIENT)
            .await?;
        let is_full = MAX_BEGUN <= reply.begun.len();
        let last = reply.begun.last().filter(|_| is_full);
        let last = last.map(|begun| Timestamp(begun.began_ms));
        let wires = reply.begun.into_iter().map(|begun| begun.conversation);
        let conversations: Vec<Conversation> = wires.map(conversation).collect::<Result<_, _>>()?;
        Ok(Begun {
            next: last.zip(conversations.last().map(|conversation| conversation.id)),
            conversations,
            epoch: reply.epoch,
        })
    }

    /// Returns at most `limit` (up to 500) messages behind a place.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time.
    pub async fn range(
        &self,
        app: &AppId,
        id: ConversationId,
        after: Seq,
        limit: u32,
    ) -> Result<Range, ChatError> {
        let request = v1::RangeRequest {
            app: app.as_str().to_owned(),
            conversation_id: id.to_wire(),
            after_seq: after.0,
            limit,
        };
        let key = subject::conversation_key(id);
        let reply: v1::RangeReply = self.call(Rpc::Range, &key, &request, PATIENT).await?;
        Ok(Range {
            conversation: conversation(reply.conversation)?,
            messages: messages(reply.messages)?,
            epoch: reply.epoch,
        })
    }

    /// Stores messages, each once however often this is repeated.
    ///
    /// # Errors
    ///
    /// Returns the failure that all messages share. After [`ChatError::Unavailable`] the outcome is
    /// unknown, and the client may repeat it with the same key.
    pub async fn append(&self, append: Append<'_>) -> Result<Appended, ChatError> {
        let request = v1::AppendRequest {
            app: append.app.as_str().to_owned(),
            sender: Some(append.sender.into()),
            target: append.target,
            items: append.items,
            origin: append.origin,
            traceparent: append.traceparent,
        };
        let reply: v1::AppendReply = self
            .call(Rpc::Append, &request.target, &request, PATIENT)
            .await?;
        let results = reply
            .results
            .into_iter()
            .map(|result| match result.outcome {
                Some(v1::append_result::Outcome::Message(message)) => {
                    Ok(Message::try_from(message)?)
                }
                Some(v1::append_result::Outcome::Failure(failure)) => Err(failure.into()),
                None => Err(WireError::Field("outcome").into()),
            });
        Ok(Appended {
            results: results.collect(),
            conversation: conversation(reply.conversation)?,
            epoch: reply.epoch,
        })
    }

    /// Returns what a user missed behind the places it names, at most 100.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unauthorized` or `NotFound` when one may not be seen.
    pub async fn sync(
        &self,
        user: &UserKey,
        since: &[(ConversationId, Seq)],
        device: Bytes,
    ) -> Result<Vec<Synced>, ChatError> {
        let position = |(id, seq): &(ConversationId, Seq)| v1::Position {
            conversation_id: id.to_string(),
            seq: seq.0,
        };
        let request = v1::SyncRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            since: since.iter().map(position).collect(),
            device,
        };
        let reply: v1::SyncReply = self
            .call(Rpc::Sync, user.user.as_str(), &request, PATIENT)
            .await?;
        let synced = reply.conversations.into_iter().map(|synced| {
            Ok(Synced {
                conversation: conversation(synced.conversation)?,
                messages: messages(synced.messages)?,
                more: synced.more,
            })
        });
        synced.collect()
    }

    /// Marks messages of others and returns those really marked, and when.
    ///
    /// # Errors
    ///
    /// Returns a failure of kind `Unauthorized` or `NotFound` when the conversation may not be
    /// seen, and [`ChatError::Unavailable`] when no store answers in time.
    pub async fn receive(
        &self,
        user: &UserKey,
        id: ConversationId,
        ids: &[MessageId],
        receipt: Receipt,
        (origin, traceparent): (Bytes, String),
    ) -> Result<(Vec<MessageId>, Timestamp), ChatError> {
        let receipt = match receipt {
            Receipt::Delivered => v1::ReceiptKind::Delivered,
            Receipt::Read => v1::ReceiptKind::Read,
        };
        let request = v1::ReceiveRequest {
            app: user.app.as_str().to_owned(),
            user_id: user.user.as_str().to_owned(),
            receipt: receipt.into(),
            conversation_id: id.to_string(),
            message_ids: ids.iter().map(ToString::to_string).collect(),
            origin,
            traceparent,
        };
        let key = subject::conversation_key(id);
        let reply: v1::ReceiveReply = self.call(Rpc::Receive, &key, &request, PATIENT).await?;
        let ids: Result<_, WireError> = reply
            .message_ids
            .iter()
            .map(|id| MessageId::from_wire(id))
            .collect();
        Ok((ids?, Timestamp(reply.at_ms)))
    }

    /// Asks until there is an answer that another attempt would not change, or `patience` ends.
    async fn call<M: prost::Message + Default>(
        &self,
        rpc: Rpc,
        key: &str,
        request: &impl prost::Message,
        patience: Duration,
    ) -> Result<M, ChatError> {
        let payload = Bytes::from(request.encode_to_vec());
        if chat_proto::MAX_PAYLOAD < payload.len() {
            return Err(ChatError::TooLarge("the request"));
        }
        let started = Instant::now();
        loop {
            let attempt = Instant::now();
            let subject = subject::rpc(rpc, key);
            let mut span = Span::current(format_args!("request {}", rpc.name()), SpanKind::Client);
            span.set("messaging.system", "nats");
            let request = self.requests.request(subject, payload.clone(), ATTEMPT);
            let outcome = span.scope(request).await;
            let outcome = outcome.and_then(v1::Reply::open);
            let label = match &outcome {
                Ok(_) => "ok",
                Err(error) => error.kind().code(),
            };
            if outcome.is_err() {
                span.fail(label);
            }
            drop(span);
            metrics::histogram!(Metric::RpcSeconds.name(), "rpc" => rpc.name(), "outcome" => label)
                .record(attempt.elapsed());
            match outcome {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let pause = random::jitter(PAUSE).saturating_sub(attempt.elapsed());
                    if patience <= started.elapsed() + pause {
                        return Err(error);
                    }
                    metrics::counter!(Metric::RpcRetries.name(), "rpc" => rpc.name()).increment(1);
                    tokio::time::sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn conversation(wire: Option<v1::Conversation>) -> Result<Conversation, ChatError> {
    let wire = wire.ok_or(WireError::Field("conversation"))?;
    Ok(Conversation::try_from(wire)?)
}

fn messages(wire: Vec<v1::Message>) -> Result<Vec<Message>, ChatError> {
    let messages: Result<_, WireError> = wire.into_iter().map(Message::try_from).collect();
    Ok(messages?)
}

fn opened(wire: &v1::OpenSessionReply) -> Result<Opened, ChatError> {
    let changed_at = wire.heads.iter().map(|head| Timestamp(head.changed_at_ms));
    Ok(Opened {
        heads: heads(&wire.heads)?,
        changed_at: changed_at.collect(),
        complete: wire.complete,
        epoch: wire.epoch,
    })
}

fn heads(wire: &[v1::Head]) -> Result<Vec<(ConversationId, Seq)>, ChatError> {
    let heads: Result<_, WireError> = wire
        .iter()
        .map(|head| {
            let id = ConversationId::from_wire(&head.conversation_id)?;
            Ok((id, Seq(head.last_seq)))
        })
        .collect();
    Ok(heads?)
}

#[cfg(test)]
mod tests;
