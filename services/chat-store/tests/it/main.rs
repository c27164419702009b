//! The store's behaviour, on a real Postgres and through its own doors.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod append;
mod calls_log;
mod calls_phones;
mod calls_race;
mod calls_rpc;
mod calls_state;
mod calls_subject;
mod calls_wired;
mod conversations;
mod directory;
mod history;
mod http_calls;
mod http_connections;
mod http_conversations;
mod http_ice_servers;
mod http_internal;
mod http_messages;
mod http_presence;
mod http_requests;
mod http_site;
mod intake;
mod migrate;
mod out_messages;
mod outbox;
mod pairs;
mod plans;
mod presence_audience;
mod presence_out;
mod presence_state;
mod presence_subject;
mod presence_wired;
mod receipts;
mod resume;
mod rpc;
mod world;
