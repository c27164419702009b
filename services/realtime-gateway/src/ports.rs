//! What the chat needs of the world: each trait has an adapter in `nats/` and a double in tests.
//!
//! Not here: how requests are spelled and retried, which is [`Store`](crate::store::Store)'s.

use std::time::Duration;

use bytes::Bytes;
use chat_domain::ChatError;
use futures_util::future::BoxFuture;

use crate::registry::UserKey;

/// Asks a chat-store, any replica.
pub trait Requests: Send + Sync + 'static {
    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Unavailable`] when nobody answered within `timeout`, at once when it is
    /// known that nobody listens. The outcome is unknown then.
    fn request(
        &self,
        subject: String,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, ChatError>>;
}

/// Tells whoever listens, and does not mind when nobody does.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes without waiting. What does not fit the queue is dropped and counted.
    fn publish(&self, subject: String, payload: Bytes);
}

/// A subscription to everything that concerns one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription(pub u64);

/// Keeps up which users' events come to this gateway. Calls take effect in their order.
pub trait Interest: Send + Sync + 'static {
    /// Asks for a user's events. Never waits, and holds across reconnects.
    fn subscribe(&self, user: UserKey) -> Subscription;

    /// Asks for them no longer.
    fn unsubscribe(&self, subscription: Subscription);

    /// Waits until everything asked for so far has taken effect.
    ///
    /// # Errors
    ///
    /// Returns [`Unconfirmed`] when there is no connection. It will take effect with the next one,
    /// and [`Inbox::resumed`] is called then.
    fn confirmed(&self) -> BoxFuture<'_, Result<(), Unconfirmed>>;
}

/// The broker is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subscription is not confirmed")]
pub struct Unconfirmed;

/// Hears what an [`Interest`] brings. Calls come one after the other and must not block.
pub trait Inbox: Send + Sync + 'static {
    /// Hears an event published for `user`.
    fn deliver(&self, user: &UserKey, payload: Bytes);

    /// Hears what was used at some gateway of what users and addresses may ask for.
    fn used(&self, payload: Bytes);

    /// Hears that something was revoked.
    fn revoked(&self);

    /// Hears that all subscriptions are in effect on a new connection: anything may have been
    /// missed before.
    fn resumed(&self);
}
