//! chat-proto.
