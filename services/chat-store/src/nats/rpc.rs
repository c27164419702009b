//! What gateways ask: decode, use case, encode.
//!
//! To add a request: a message pair in `rpc.proto` (those of calls in
//! `calls.proto`), a name in `chat_proto::subject::Rpc`, an arm in
//! [`answer`] and its function below (those of calls in `calls.rs`).

use bytes::Bytes;
use chat_domain::{
    AppId, Attachment, ChatError, ClientKey, Content, ConversationId, Message, MessageId,
    MessageKind, Receipt, Seq, Timestamp, User, UserId, call::DeviceId,
};
use chat_proto::{MAX_PAYLOAD, WireError, WireId as _, failure, reply, subject::Rpc, v1};
use prost::Message as _;
use service_kit::trace;
use uuid::Uuid;

use super::{calls, places, presence, resume};
use crate::{
    app::{App, Caller, Member, NewMessage, Stored, Target},
    ports::{Head, Key, Origin},
};

/// What the messages of one reply may weigh, in bytes: the rest of it needs little.
const MESSAGES_WEIGHT: usize = MAX_PAYLOAD - 100_000;

/// Answers a request with the bytes of a [`v1::Reply`].
///
/// # Errors
///
/// Returns what the use case does, and [`ChatError::Malformed`] or the broken rule for a request that
/// means nothing.
pub async fn answer(app: &App, request: Rpc, payload: Bytes) -> Result<Bytes, ChatError> {
    let calls = app.calls();
    Ok(match request {
        Rpc::OpenSession => reply(Ok(open_session(app, decode(payload)?).await?)),
        Rpc::ResumeSession => reply(Ok(resume::session(app, decode(payload)?).await?)),
        Rpc::GetConversation => reply(Ok(get_conversation(app, decode(payload)?).await?)),
        Rpc::OpenConversation => reply(Ok(places::open(app, decode(payload)?).await?)),
        Rpc::Heads => reply(Ok(heads(app, decode(payload)?).await?)),
        Rpc::Begun => reply(Ok(begun(app, decode(payload)?).await?)),
        Rpc::Append => reply(Ok(append(app, decode(payload)?).await?)),
        Rpc::Range => reply(Ok(range(app, decode(payload)?).await?)),
        Rpc::Sync => reply(Ok(sync(app, decode(payload)?).await?)),
        Rpc::Receive => reply(Ok(receive(app, decode(payload)?).await?)),
        Rpc::Read => reply(Ok(places::read(app, decode(payload)?).await?)),
        Rpc::InitiateCall => reply(Ok(calls::initiate(app, decode(payload)?).await?)),
        Rpc::AcceptCall => reply(Ok(calls::accept(app, decode(payload)?).await?)),
        Rpc::RejectCall => reply(Ok(calls::reject(app, decode(payload)?).await?)),
        Rpc::EndCall => reply(Ok(calls::end(app, decode(payload)?).await?)),
        Rpc::Signal => reply(Ok(calls::signal(calls, decode(payload)?).await?)),
        Rpc::CheckCalls => reply(Ok(calls::check(calls, decode(payload)?).await?)),
        Rpc::DeviceGone => reply(Ok(calls::gone(app, decode(payload)?).await?)),
        Rpc::DeviceBack => reply(Ok(calls::back(app, decode(payload)?).await?)),
        Rpc::CallsTold => reply(Ok(calls::told(calls, decode(payload)?).await?)),
        Rpc::GatewayAlive => reply(Ok(calls::alive(calls, decode(payload)?).await?)),
        Rpc::ListRevocations => reply(Ok(list_revocations(app, decode(payload)?).await?)),
        Rpc::FindUser => reply(Ok(find_user(app, decode(payload)?).await?)),
        Rpc::SetStatus => reply(Ok(presence::set_status(app, decode(payload)?).await?)),
    })
}

fn decode<M: prost::Message + Default>(payload: Bytes) -> Result<M, ChatError> {
    M::decode(payload).map_err(|_| ChatError::Malformed("undecodable"))
}

/// Says of a field that it is its sender's fault.
pub(super) fn refuse(error: WireError) -> ChatError {
    match error {
        WireError::Value(error) => error,
        WireError::Field(field) => ChatError::Malformed(field),
        WireError::Undecodable(_) => ChatError::Malformed("undecodable"),
    }
}

async fn open_session(
    app: &App,
    request: v1::OpenSessionRequest,
) -> Result<v1::OpenSessionReply, ChatError> {
    let user = user(request.user)?;
    let epoch = app.epoch().await?;
    let opened = app.open_session(&AppId::new(&request.app)?, &user).await?;
    Ok(resume::opened(&opened, epoch))
}

async fn list_revocations(
    app: &App,
    request: v1::ListRevocationsRequest,
) -> Result<v1::ListRevocationsReply, ChatError> {
    Ok((&app.revocations(request.after).await?).into())
}

async fn find_user(
    app: &App,
    request: v1::FindUserRequest,
) -> Result<v1::FindUserReply, ChatError> {
    let id = UserId::new(&request.user_id)?;
    let user = app.find_user(&AppId::new(&request.app)?, &id).await?;
    Ok(v1::FindUserReply {
        user: Some((&user).into()),
    })
}

async fn get_conversation(
    app: &App,
    request: v1::GetConversationRequest,
) -> Result<v1::GetConversationReply, ChatError> {
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: device(&request.device),
    };
    let id = ConversationId::parse(&request.conversation_id)?;
    let conversation = app.conversation(member, id).await?;
    Ok(v1::GetConversationReply {
        conversation: Some((&conversation).into()),
    })
}

async fn heads(app: &App, request: v1::HeadsRequest) -> Result<v1::HeadsReply, ChatError> {
    let ids = request
        .conversation_ids
        .iter()
        .map(|id| ConversationId::from_wire(id).map_err(refuse))
        .collect::<Result<Vec<_>, _>>()?;
    let epoch = app.epoch().await?;
    let heads = app.heads(&AppId::new(&request.app)?, &ids).await?;
    Ok(v1::HeadsReply {
        heads: wire_heads(heads),
        epoch,
    })
}

async fn begun(app: &App, request: v1::BegunRequest) -> Result<v1::BegunReply, ChatError> {
    let after = match request.after_id.as_ref() {
        [] => ConversationId(Uuid::nil()),
        id => ConversationId::from_wire(id).map_err(refuse)?,
    };
    let after = (Timestamp(request.after_ms), after);
    let epoch = app.epoch().await?;
    let begun = app.begun(&AppId::new(&request.app)?, after).await?;
    let begun = begun.iter().map(|(began_at, conversation)| v1::Begun {
        conversation: Some(conversation.into()),
        began_ms: began_at.0,
    });
    Ok(v1::BegunReply {
        begun: begun.collect(),
        epoch,
    })
}

async fn append(app: &App, request: v1::AppendRequest) -> Result<v1::AppendReply, ChatError> {
    let config = app
        .apps()
        .get(&AppId::new(&request.app)?)
        .ok_or(ChatError::Malformed("no such app"))?;
    let caller = Caller {
        app: config.clone(),
        user: user(request.sender)?,
        device: device(&request.origin),
    };
    let origin = origin(request.origin, request.traceparent);
    let max_chars = config.policy.max_content_chars;
    let mut items = Vec::with_capacity(request.items.len());
    let checked: Vec<Result<(), ChatError>> = request
        .items
        .into_iter()
        .map(|item| {
            items.push(new_message(item, max_chars)?);
            Ok(())
        })
        .collect();
    if items.is_empty() {
        // What is wrong with all of them is wrong with the request.
        let wrong = checked.into_iter().find_map(Result::err);
        return Err(wrong.unwrap_or(ChatError::Malformed("items")));
    }
    let target = Target::Either(request.target);
    let appended = app.append(&caller, target, items, origin).await?;
    let mut stored = appended.results.into_iter();
    let results = checked
        .into_iter()
        .filter_map(|checked| match checked {
            Ok(()) => stored.next(),
            Err(error) => Some(Err(error)),
        })
        .map(append_result)
        .collect();
    Ok(v1::AppendReply {
        conversation: Some((&appended.conversation).into()),
        results,
        epoch: appended.epoch,
    })
}

fn append_result(result: Result<Stored, ChatError>) -> v1::AppendResult {
    let duplicate = result.as_ref().is_ok_and(|stored| stored.duplicate);
    let outcome = match result {
        Ok(stored) => v1::append_result::Outcome::Message((&stored.message).into()),
        Err(error) => v1::append_result::Outcome::Failure(failure(&error)),
    };
    v1::AppendResult {
        outcome: Some(outcome),
        duplicate,
    }
}

fn new_message(item: v1::AppendItem, max_chars: usize) -> Result<NewMessage, ChatError> {
    let attachment = item
        .attachment
        .map(|file| Attachment::new(&file.url, file.name.as_deref()))
        .transpose()?;
    let key = ClientKey::new(&item.key)?;
    Ok(NewMessage {
        key: if item.key_is_clients {
            Key::Clients(key)
        } else {
            Key::Made(item.key)
        },
        content: Content::new(
            MessageKind::parse(&item.kind)?,
            &item.text,
            attachment,
            max_chars,
        )?,
    })
}

async fn range(app: &App, request: v1::RangeRequest) -> Result<v1::RangeReply, ChatError> {
    let id = ConversationId::from_wire(&request.conversation_id).map_err(refuse)?;
    let epoch = app.epoch().await?;
    let (conversation, messages) = app
        .range(
            &AppId::new(&request.app)?,
            id,
            Seq(request.after_seq),
            request.limit,
        )
        .await?;
    Ok(v1::RangeReply {
        conversation: Some((&conversation).into()),
        messages: fitting(&messages, &mut MESSAGES_WEIGHT.clone()),
        epoch,
    })
}

async fn sync(app: &App, request: v1::SyncRequest) -> Result<v1::SyncReply, ChatError> {
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: device(&request.device),
    };
    let since = request
        .since
        .iter()
        .map(|position| {
            let id = ConversationId::parse(&position.conversation_id)?;
            Ok((id, Seq(position.seq)))
        })
        .collect::<Result<Vec<_>, ChatError>>()?;
    let mut room = MESSAGES_WEIGHT;
    let conversations = app
        .sync(member, &since)
        .await?
        .into_iter()
        .map(|synced| {
            let messages = fitting(&synced.messages, &mut room);
            v1::SyncedConversation {
                conversation: Some((&synced.conversation).into()),
                more: synced.more || messages.len() < synced.messages.len(),
                messages,
            }
        })
        .collect();
    Ok(v1::SyncReply { conversations })
}

async fn receive(app: &App, request: v1::ReceiveRequest) -> Result<v1::ReceiveReply, ChatError> {
    let receipt = match request.receipt() {
        v1::ReceiptKind::Delivered => Receipt::Delivered,
        v1::ReceiptKind::Read => Receipt::Read,
        v1::ReceiptKind::Unspecified => return Err(ChatError::Malformed("receipt")),
    };
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: device(&request.origin),
    };
    let id = ConversationId::parse(&request.conversation_id)?;
    // What is no id of ours is the id of no message: ignored, like every unknown one.
    let ids: Vec<MessageId> = request
        .message_ids
        .iter()
        .filter_map(|id| MessageId::parse(id).ok())
        .collect();
    let origin = origin(request.origin, request.traceparent);
    let received = app.receive(member, id, &ids, receipt, origin).await?;
    Ok(v1::ReceiveReply {
        conversation_id: id.to_wire(),
        message_ids: received.ids.iter().map(|id| id.to_wire()).collect(),
        at_ms: received.at.0,
    })
}

/// What a request causes: in the span that answers it, where that is recorded.
pub(super) fn origin(socket: Bytes, traceparent: String) -> Origin {
    Origin {
        socket,
        traceparent: trace::current().map_or(traceparent, |place| place.to_string()),
    }
}

pub(super) fn user(user: Option<v1::User>) -> Result<User, ChatError> {
    user.ok_or(ChatError::Malformed("user"))?
        .try_into()
        .map_err(refuse)
}

/// Returns the device that asks; none for what is no device: it only says more in the log.
pub(super) fn device(bytes: &[u8]) -> Option<DeviceId> {
    DeviceId::from_wire(bytes).ok()
}

fn wire_heads(heads: Vec<Head>) -> Vec<v1::Head> {
    heads
        .into_iter()
        .map(|(id, last_seq)| v1::Head {
            conversation_id: id.to_wire(),
            last_seq: last_seq.0,
            changed_at_ms: 0,
        })
        .collect()
}

/// Returns the first messages that fit into `room` bytes, and takes theirs off it. Readers ask again
/// for what is missing, so one always fits into an untouched room.
fn fitting(messages: &[Message], room: &mut usize) -> Vec<v1::Message> {
    messages
        .iter()
        .map(v1::Message::from)
        .map_while(|message| {
            *room = room.checked_sub(message.encoded_len())?;
            Some(message)
        })
        .collect()
}
