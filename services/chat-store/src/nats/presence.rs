//! What gateways ask about presence, beside announcing devices.

use chat_domain::{AppId, ChatError, Status, UserId};
use chat_proto::v1;

use crate::app::{App, Member};

pub(super) async fn set_status(
    app: &App,
    request: v1::SetStatusRequest,
) -> Result<v1::SetStatusReply, ChatError> {
    let member = Member {
        app: &AppId::new(&request.app)?,
        user: &UserId::new(&request.user_id)?,
        device: None,
    };
    let status = Status::parse(&request.status)?;
    app.roster().set_status(member, status).await?;
    Ok(v1::SetStatusReply {})
}
