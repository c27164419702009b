//! The names of this service's metrics. Labels come from closed sets, never from clients.

/// A metric, by what it measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has its description below")]
pub enum Metric {
    Sockets,
    Users,
    Conversations,
    Connects,
    Events,
    EventSeconds,
    FanoutSeconds,
    Deliveries,
    Duplicates,
    GapRepairs,
    Refills,
    Recoveries,
    Resyncs,
    BadEnvelopes,
    RpcSeconds,
    RpcRetries,
    ReceiptsDropped,
    SignalsDropped,
    CallWorkDropped,
    CallNewsFound,
    InterestReconnects,
    SocketsEvicted,
    SocketsRevoked,
    HandshakesRefused,
    Forwards,
    Tunnels,
    JournalDropped,
    Draining,
}

impl Metric {
    const ALL: [Self; 28] = [
        Self::Sockets,
        Self::Users,
        Self::Conversations,
        Self::Connects,
        Self::Events,
        Self::EventSeconds,
        Self::FanoutSeconds,
        Self::Deliveries,
        Self::Duplicates,
        Self::GapRepairs,
        Self::Refills,
        Self::Recoveries,
        Self::Resyncs,
        Self::BadEnvelopes,
        Self::RpcSeconds,
        Self::RpcRetries,
        Self::ReceiptsDropped,
        Self::SignalsDropped,
        Self::CallWorkDropped,
        Self::CallNewsFound,
        Self::InterestReconnects,
        Self::SocketsEvicted,
        Self::SocketsRevoked,
        Self::HandshakesRefused,
        Self::Forwards,
        Self::Tunnels,
        Self::JournalDropped,
        Self::Draining,
    ];

    /// Returns the name under which it is scraped.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sockets => "chat_gateway_sockets",
            Self::Users => "chat_gateway_users",
            Self::Conversations => "chat_gateway_conversations",
            Self::Connects => "chat_gateway_connects_total",
            Self::Events => "chat_gateway_events_total",
            Self::EventSeconds => "chat_gateway_event_seconds",
            Self::FanoutSeconds => "chat_gateway_fanout_seconds",
            Self::Deliveries => "chat_gateway_deliveries_total",
            Self::Duplicates => "chat_gateway_duplicates_dropped_total",
            Self::GapRepairs => "chat_gateway_gap_repairs_total",
            Self::Refills => "chat_gateway_refills_total",
            Self::Recoveries => "chat_gateway_recoveries_total",
            Self::Resyncs => "chat_gateway_resyncs_total",
            Self::BadEnvelopes => "chat_gateway_bad_envelopes_total",
            Self::RpcSeconds => "chat_gateway_rpc_seconds",
            Self::RpcRetries => "chat_gateway_rpc_retries_total",
            Self::ReceiptsDropped => "chat_gateway_receipts_dropped_total",
            Self::SignalsDropped => "chat_gateway_signals_dropped_total",
            Self::CallWorkDropped => "chat_gateway_call_work_dropped_total",
            Self::CallNewsFound => "chat_gateway_call_news_found_total",
            Self::InterestReconnects => "chat_gateway_interest_reconnects_total",
            Self::SocketsEvicted => "chat_gateway_sockets_evicted_total",
            Self::SocketsRevoked => "chat_gateway_sockets_revoked_total",
            Self::HandshakesRefused => "chat_gateway_handshakes_refused_total",
            Self::Forwards => "chat_gateway_forwards_total",
            Self::Tunnels => "chat_gateway_tunnels",
            Self::JournalDropped => "chat_gateway_journal_dropped_total",
            Self::Draining => "chat_gateway_draining",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Sockets => "Sockets in a namespace",
            Self::Users => "Users with a socket here",
            Self::Conversations => "Conversations whose order is kept here",
            Self::Connects => "Answers to CONNECT, by outcome",
            Self::Events => "Clients' events, by event and outcome",
            Self::EventSeconds => "Time to handle a client's event, by event",
            Self::FanoutSeconds => "From the commit of a message to its sockets' queues",
            Self::Deliveries => "Messages queued for a socket",
            Self::Duplicates => "Message events that had been delivered before",
            Self::GapRepairs => "Ranges fetched because something was missing, by outcome",
            Self::Refills => "Ranges fetched for a socket that is behind, by outcome",
            Self::Recoveries => "Clients that came back to a session, by outcome",
            Self::Resyncs => "Gaps too large to stream, of which clients were told",
            Self::BadEnvelopes => "Envelopes dropped because they mean nothing",
            Self::RpcSeconds => "Requests to chat-stores, by request and outcome",
            Self::RpcRetries => "Requests to chat-stores repeated, by request",
            Self::ReceiptsDropped => "Delivery receipts that found no room",
            Self::SignalsDropped => "Signals to or from other gateways that found no room",
            Self::CallWorkDropped => {
                "Announcements and questions of devices in calls that found no room"
            }
            Self::CallNewsFound => "News of calls that a device heard only because it asked again",
            Self::InterestReconnects => "Lost connections for users' events",
            Self::SocketsEvicted => "Sockets closed because their user has too many",
            Self::SocketsRevoked => "Sockets ended because their token was revoked",
            Self::HandshakesRefused => {
                "Clients turned away because too many came from their address"
            }
            Self::Forwards => "Requests for sessions of other gateways, by outcome",
            Self::Tunnels => "WebSockets here whose sessions are at other gateways",
            Self::JournalDropped => "Notes of what became of messages that found no room",
            Self::Draining => "Connections that a drain has still to send away",
        }
    }
}

/// Describes every metric to the recorder. Called once, after it is installed.
pub fn describe() {
    for metric in Metric::ALL {
        let (name, description) = (metric.name(), metric.description());
        if name.ends_with("_total") {
            metrics::describe_counter!(name, description);
        } else if name.ends_with("_seconds") {
            metrics::describe_histogram!(name, description);
        } else {
            metrics::describe_gauge!(name, description);
        }
    }
}
