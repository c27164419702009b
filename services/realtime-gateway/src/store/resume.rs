//! Users who are back.

use chat_domain::{AppId, ChatError, ConversationId, Seq, Timestamp, User};
use chat_proto::{WireError, WireId as _, subject::Rpc, v1};

use super::{ATTEMPT, Opened, Store, opened};

/// Where the client of a user who is back stood.
#[derive(Debug)]
pub struct Stood {
    /// Up to where it has the messages of conversations.
    pub named: Vec<(ConversationId, Seq)>,
    /// Up to when it has those of all others; `None` when it has none of them.
    pub others_since: Option<Timestamp>,
    /// The generation of these places.
    pub epoch: u64,
    /// The conversations of whose receipts it is told.
    pub joined: Vec<ConversationId>,
    /// Since when.
    pub receipts_since: Timestamp,
}

/// What such a user missed.
#[derive(Debug)]
pub struct Resumed {
    /// Where the user's conversations stand.
    pub opened: Opened,
    /// Where the client stands and where the conversation does, for each that it named or that has
    /// more for it.
    pub stands: Vec<(ConversationId, Seq, Seq)>,
    /// How many messages lie behind these places.
    pub n_missed: u64,
    /// What was received meanwhile.
    pub receipts: Vec<v1::MessagesReceived>,
}

impl Store {
    /// Announces a user who is back, and returns what was missed: in full or not at all. Asks once.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when no store answers in time, and another failure when
    /// what was missed cannot be told in full.
    pub async fn resume_session(
        &self,
        app: &AppId,
        user: &User,
        stood: &Stood,
    ) -> Result<Resumed, ChatError> {
        let stand = |(id, after): &(ConversationId, Seq)| v1::Stand {
            conversation_id: id.to_wire(),
            after_seq: after.0,
            last_seq: 0,
        };
        let request = v1::ResumeSessionRequest {
            app: app.as_str().to_owned(),
            user: Some(user.into()),
            stands: stood.named.iter().map(stand).collect(),
            others_since_ms: stood.others_since.map(|since| since.0),
            epoch: stood.epoch,
            joined: stood.joined.iter().map(|id| id.to_wire()).collect(),
            receipts_since_ms: stood.receipts_since.0,
        };
        let reply: v1::ResumeSessionReply = self
            .call(Rpc::ResumeSession, user.id.as_str(), &request, ATTEMPT)
            .await?;
        let session = reply.opened.ok_or(WireError::Field("opened"))?;
        let stands = reply.stands.iter().map(|stand| {
            let id = ConversationId::from_wire(&stand.conversation_id)?;
            Ok((id, Seq(stand.after_seq), Seq(stand.last_seq)))
        });
        Ok(Resumed {
            opened: opened(&session)?,
            stands: stands.collect::<Result<_, WireError>>()?,
            n_missed: reply.n_missed,
            receipts: reply.receipts,
        })
    }
}
