//! Who asks. Authentication happened at the edge.

use std::sync::Arc;

use chat_domain::{AppId, User, UserId, call::DeviceId};

/// An authenticated user and its app.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Caller {
    pub app: Arc<service_kit::apps::App>,
    pub user: User,
    /// On which, if that is known: requests of REST come from none.
    pub device: Option<DeviceId>,
}

/// Somebody who may take part in conversations; all that reading needs to know of a caller.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Member<'a> {
    pub app: &'a AppId,
    pub user: &'a UserId,
    /// As of [`Caller::device`].
    pub device: Option<DeviceId>,
}

impl<'a> From<&'a Caller> for Member<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self {
            app: &caller.app.id,
            user: &caller.user.id,
            device: caller.device,
        }
    }
}
