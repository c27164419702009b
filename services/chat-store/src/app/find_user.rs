//! Who is somebody that has no token to say it?

use chat_domain::{AppId, ChatError, User, UserId};

use super::App;

impl App {
    /// Returns a user whom the directory knows in a role of the app. Nobody enters it by this.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::UserNotFound`].
    pub async fn find_user(&self, app: &AppId, id: &UserId) -> Result<User, ChatError> {
        let dialect = self.app(app)?.dialect;
        let found = self.store.find_users(app, &[id]).await?;
        found
            .into_iter()
            .find(|user| user.role.belongs_to(dialect))
            .ok_or(ChatError::UserNotFound)
    }
}
