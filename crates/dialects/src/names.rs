//! Which event names mean something already, so that nobody else uses them for something else.

/// The names that stock clients of Socket.IO keep for themselves.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// What events of every dialect are called, in either direction. [`crate::ServerEvent`] checks that
/// it has no other name.
const EVENTS: [&str; 42] = [
    "auth",
    "error",
    "join_conversation",
    "joinBooking",
    "joined_conversation",
    "joinedBooking",
    "leave_conversation",
    "left_conversation",
    "mark_message_read",
    "mark_read",
    "markAsRead",
    "marked_as_read",
    "message",
    "message_delivered",
    "message_read_receipt",
    "message_sent",
    "message_sent_confirmed",
    "messages_read",
    "messagesMarkedAsRead",
    "new_message",
    "newMessage",
    "presence.changed",
    "ready",
    "receive_message",
    "resync",
    "send_message",
    "sendMessage",
    "set_status",
    "socketError",
    "status",
    "sync",
    "sync_result",
    "typing",
    "typing_start",
    "typing_stop",
    "typing_stopped",
    "user_joined",
    "user_offline",
    "user_online",
    "user_status_change",
    "user_stopped_typing",
    "user_typing",
];

/// How the names of whole families begin.
const FAMILIES: [&str; 3] = ["auth:", "call:", "webrtc:"];

/// Tells whether a name is Socket.IO's own or an event's of any dialect, in either direction.
#[must_use]
pub fn is_taken(name: &str) -> bool {
    RESERVED.contains(&name)
        || EVENTS.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clients_of_sockets_and_of_dialects_are_taken() {
        for taken in [
            "connect",
            "send_message",
            "newMessage",
            "webrtc:offer",
            "call:new",
        ] {
            assert!(is_taken(taken), "{taken}");
        }
        for free in ["booking_updated", "Connect", "calls", ""] {
            assert!(!is_taken(free), "{free}");
        }
    }
}
