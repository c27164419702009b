//! socketio-protocol.
