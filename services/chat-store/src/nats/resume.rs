//! Users who are back, on the wire.

use chat_domain::{AppId, ChatError, ConversationId, Receipt, Seq, Timestamp};
use chat_proto::{WireId as _, v1};

use super::rpc::{refuse, user};
use crate::{
    app::{App, Opened, Stood},
    ports::Marked,
};

pub(super) async fn session(
    app: &App,
    request: v1::ResumeSessionRequest,
) -> Result<v1::ResumeSessionReply, ChatError> {
    let user = user(request.user)?;
    let id = |id: &[u8]| ConversationId::from_wire(id).map_err(refuse);
    let named = request
        .stands
        .iter()
        .map(|stand| Ok((id(&stand.conversation_id)?, Seq(stand.after_seq))));
    let stood = Stood {
        named: named.collect::<Result<_, ChatError>>()?,
        others_since: request.others_since_ms.map(Timestamp),
        epoch: request.epoch,
        joined: request
            .joined
            .iter()
            .map(|joined| id(joined))
            .collect::<Result<_, _>>()?,
        receipts_since: Timestamp(request.receipts_since_ms),
    };
    let resumed = app
        .resume_session(&AppId::new(&request.app)?, &user, &stood)
        .await?;
    let stand = |(id, after, last): &(ConversationId, Seq, Seq)| v1::Stand {
        conversation_id: id.to_wire(),
        after_seq: after.0,
        last_seq: last.0,
    };
    Ok(v1::ResumeSessionReply {
        opened: Some(opened(&resumed.opened, request.epoch)),
        stands: resumed.stands.iter().map(stand).collect(),
        n_missed: resumed.n_missed,
        receipts: resumed.receipts.iter().map(marked).collect(),
    })
}

pub(super) fn opened(opened: &Opened, epoch: u64) -> v1::OpenSessionReply {
    let heads = opened.heads.iter().map(|head| v1::Head {
        conversation_id: head.conversation.to_wire(),
        last_seq: head.last_seq.0,
        changed_at_ms: head.changed_at.0,
    });
    v1::OpenSessionReply {
        heads: heads.collect(),
        complete: opened.complete,
        epoch,
    }
}

pub(super) fn marked(marked: &Marked) -> v1::MessagesReceived {
    let receipt = match marked.receipt {
        Receipt::Delivered => v1::ReceiptKind::Delivered,
        Receipt::Read => v1::ReceiptKind::Read,
    };
    v1::MessagesReceived {
        conversation_id: marked.conversation.to_wire(),
        receipt: receipt.into(),
        user_id: marked.user.as_str().to_owned(),
        message_ids: marked.received.ids.iter().map(|id| id.to_wire()).collect(),
        at_ms: marked.received.at.0,
    }
}
