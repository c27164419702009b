//! chat-store.
