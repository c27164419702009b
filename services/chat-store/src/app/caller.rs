//! Who asks. Authentication happened at the edge.

use std::sync::Arc;

use chat_domain::{AppId, User, UserId};

/// An authenticated user and its app.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Caller {
    pub app: Arc<service_kit::apps::App>,
    pub user: User,
}

/// Somebody who may take part in conversations; all that reading needs to know of a caller.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Member<'a> {
    pub app: &'a AppId,
    pub user: &'a UserId,
}

impl<'a> From<&'a Caller> for Member<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self {
            app: &caller.app.id,
            user: &caller.user.id,
        }
    }
}
