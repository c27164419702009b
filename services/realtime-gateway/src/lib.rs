//! realtime-gateway.

pub mod transport;
