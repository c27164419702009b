//! Query strings: no panic, and no empty session id.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socketio_protocol::engine::Query;

fuzz_target!(|query: &str| {
    if let Ok(query) = Query::parse(query) {
        assert!(query.sid.is_none_or(|sid| !sid.is_empty()));
    }
});
