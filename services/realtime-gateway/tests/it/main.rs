//! The gateway from outside.

mod chat;
mod chat_connect;
mod chat_delivery;
mod chat_messages;
mod chat_rooms;
