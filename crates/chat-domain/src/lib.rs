//! chat-domain.
