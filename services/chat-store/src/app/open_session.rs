//! A user connected: what does its gateway have to know?

use chat_domain::{AppId, ChatError, User};

use super::App;
use crate::ports::OwnHead;

/// Most conversations of which a gateway is told the position at once.
const MAX_HEADS: u32 = 500;

/// The positions of a user's conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Those that changed last, newest first.
    pub heads: Vec<OwnHead>,
    /// Whether these are all.
    pub complete: bool,
}

impl App {
    /// Enters the user into the directory if it is new there, and returns its positions.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::UnknownRole`] for a role of another dialect.
    pub async fn open_session(&self, app: &AppId, user: &User) -> Result<Opened, ChatError> {
        if !user.role.belongs_to(self.app(app)?.dialect) {
            return Err(ChatError::UnknownRole);
        }
        self.store.add_user(app, user).await?;
        let heads = self.store.list_own_heads(app, &user.id, MAX_HEADS).await?;
        let complete = heads.len() < MAX_HEADS as usize;
        Ok(Opened { heads, complete })
    }
}
