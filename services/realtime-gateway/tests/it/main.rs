//! The gateway from outside.
#![cfg(test)]

mod calls_devices;
mod calls_events;
mod calls_signals;
mod chat;
mod chat_connect;
mod chat_delivery;
mod chat_messages;
mod chat_recovery;
mod chat_rooms;
mod declared;
mod demo;
mod dialects;
mod journal;
mod limits;
mod notify;
mod peers_nats;
mod presence;
mod revocation;
mod tls;
mod transport;
mod transport_affinity;
mod transport_polling;
mod transport_websocket;
