//! Requests of dialects that name other users and bookings instead of conversations.

use chat_domain::{AppId, ChatError, MessageId, UserId};
use chat_proto::v1::{
    OpenConversationReply, OpenConversationRequest, ReadReply, ReadRequest,
    open_conversation_request::Place, read_request::What,
};

use super::{
    resume::marked,
    rpc::{device, origin, user},
};
use crate::{
    app::{App, Caller, Member},
    ports_audit::Action,
};

pub(super) async fn open(
    app: &App,
    request: OpenConversationRequest,
) -> Result<OpenConversationReply, ChatError> {
    let config = app.apps().get(&AppId::new(&request.app)?);
    let caller = Caller {
        app: config.ok_or(ChatError::Malformed("no such app"))?.clone(),
        user: user(request.caller)?,
        device: device(&request.device),
    };
    let opened = match request.place.ok_or(ChatError::Malformed("place"))? {
        Place::BookingId(booking) => {
            let booking = caller.app.dialect.booking_id(&booking)?;
            app.open_booking(&caller, &booking).await
        }
        Place::PeerId(peer) => {
            let peer = caller.app.dialect.user_id(&peer)?;
            app.open_pair(&caller, &peer).await
        }
    };
    let opened = app.noting((&caller).into(), Action::Open, None, opened);
    let conversation = opened.await?;
    Ok(OpenConversationReply {
        conversation: Some((&conversation).into()),
    })
}

pub(super) async fn read(app: &App, request: ReadRequest) -> Result<ReadReply, ChatError> {
    let config = app
        .apps()
        .get(&AppId::new(&request.app)?)
        .ok_or(ChatError::Malformed("no such app"))?;
    let member = Member {
        app: &config.id,
        user: &UserId::new(&request.user_id)?,
        device: device(&request.origin),
    };
    let origin = origin(request.origin, request.traceparent);
    let received = match request.what.ok_or(ChatError::Malformed("what"))? {
        What::PeerId(peer) => {
            let peer = config.dialect.user_id(&peer)?;
            app.read_peer(member, &peer, origin).await?
        }
        What::Messages(messages) => {
            // What is no id of ours is the id of no message: ignored, like every unknown one.
            let ids: Vec<MessageId> = messages
                .ids
                .iter()
                .filter_map(|id| MessageId::parse(id).ok())
                .collect();
            app.read_anywhere(member, &ids, origin).await?
        }
    };
    Ok(ReadReply {
        received: received.iter().map(marked).collect(),
    })
}
