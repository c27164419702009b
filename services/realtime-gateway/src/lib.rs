//! realtime-gateway.
