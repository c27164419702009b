//! What follows from what is known of a message and a user: one reason, and what to do.
//!
//! Sans-IO. The reason is that of the device that is worst off among those that should have it.

use super::devices::{Connection, Device, State};
use crate::ports_journey::{Stored, Way};

/// What the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Facts {
    pub stored: Stored,
    pub is_participant: bool,
    pub is_sender: bool,
    pub is_expired: bool,
}

/// Why a user's devices have or have not got a message. Names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says what it means in `text`")]
pub enum Verdict {
    NotAParticipant,
    Expired,
    Read,
    Delivered,
    DeliveredAfterLoss,
    WrittenNotAcknowledged,
    Fetched,
    NotPublishedYet,
    EventMissing,
    CatchingUp,
    HeldBackSlowReader,
    WaitingForClient,
    NotJoined,
    ToldToFetch,
    Revoked,
    ClosedBeforeWritten,
    CameLater,
    NoDeviceConnected,
    JournalIncomplete,
}

impl Verdict {
    /// Returns the stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAParticipant => "not_a_participant",
            Self::Expired => "expired",
            Self::Read => "read",
            Self::Delivered => "delivered",
            Self::DeliveredAfterLoss => "delivered_after_loss",
            Self::WrittenNotAcknowledged => "written_not_acknowledged",
            Self::Fetched => "fetched",
            Self::NotPublishedYet => "not_published_yet",
            Self::EventMissing => "event_missing",
            Self::CatchingUp => "catching_up",
            Self::HeldBackSlowReader => "held_back_slow_reader",
            Self::WaitingForClient => "waiting_for_client",
            Self::NotJoined => "not_joined",
            Self::ToldToFetch => "told_to_fetch",
            Self::Revoked => "revoked",
            Self::ClosedBeforeWritten => "closed_before_written",
            Self::CameLater => "came_later",
            Self::NoDeviceConnected => "no_device_connected",
            Self::JournalIncomplete => "journal_incomplete",
        }
    }

    /// Returns the hop that it is about: where the message is, or what it got to last.
    #[must_use]
    pub const fn hop(self) -> &'static str {
        match self {
            Self::NotAParticipant => "membership",
            Self::Expired => "store",
            Self::NotPublishedYet => "outbox",
            Self::DeliveredAfterLoss | Self::EventMissing => "nats",
            Self::CatchingUp | Self::JournalIncomplete => "gateway",
            Self::NotJoined | Self::ToldToFetch | Self::CameLater => "session",
            Self::Revoked => "token",
            Self::HeldBackSlowReader
            | Self::WaitingForClient
            | Self::ClosedBeforeWritten
            | Self::NoDeviceConnected => "socket",
            Self::Read | Self::Delivered | Self::WrittenNotAcknowledged | Self::Fetched => "client",
        }
    }

    /// Says what it means and what to do.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotAParticipant => {
                "The user takes no part in the conversation. Check the booking, pair or association."
            }
            Self::Expired => {
                "The app keeps messages no longer than that: nobody is shown it any more."
            }
            Self::Read => "The user has read it.",
            Self::Delivered => {
                "It was written to the devices. If it is not shown, look in the client's log."
            }
            Self::DeliveredAfterLoss => {
                "Its event was lost between store and gateway; the gateway noticed, fetched it and wrote \
                 it. If that is frequent, see GapsMany in the runbook."
            }
            Self::WrittenNotAcknowledged => {
                "It was written to the devices, and nothing says that it arrived. If the device lost its \
                 network then, it gets it when it comes back to its session."
            }
            Self::Fetched => "No event brought it, but the user was shown it by an answer.",
            Self::NotPublishedYet => {
                "It is stored, and it is not certain that gateways were told. The outbox is swept every \
                 second; if this lasts, see OutboxStuck in the runbook."
            }
            Self::EventMissing => {
                "The gateway that has the device has not heard of it: the event is on its way or was \
                 lost. Gateways compare with the store every 20 seconds."
            }
            Self::CatchingUp => {
                "The device is behind in the conversation, and what it misses is being fetched. If this \
                 lasts, see GapsStay in the runbook."
            }
            Self::HeldBackSlowReader => {
                "The client does not read what waits for it, so the message was left out. It is sent when \
                 the client reads; one that reads nothing for 30 seconds is disconnected."
            }
            Self::WaitingForClient => {
                "It is queued, and the client's connection has not taken it. One that takes nothing for \
                 30 seconds is disconnected."
            }
            Self::NotJoined => "The device is not in the room: its client has to join, or left.",
            Self::ToldToFetch => {
                "The device had missed more than is sent, and was told to fetch (resync). Its client has \
                 not done so."
            }
            Self::Revoked => {
                "The token was revoked, and its connections ended. The user has to sign in."
            }
            Self::ClosedBeforeWritten => {
                "The connection ended before it was written, and the device was not seen since. It gets \
                 it when it comes back."
            }
            Self::CameLater => {
                "The device began a session after the message was sent: its client has to fetch history."
            }
            Self::NoDeviceConnected => {
                "The user had no device connected, then or since. It is fetched with the next visit; other \
                 services were told to push."
            }
            Self::JournalIncomplete => {
                "What a gateway did is not known: it ended without saying, its notes were lost, or they \
                 are older than a day. What the database knows is above."
            }
        }
    }
}

/// Decides. `is_complete` says that no notes are known to be missing.
#[must_use]
pub fn judge(facts: &Facts, devices: &[Device], is_complete: bool) -> Verdict {
    if !facts.is_participant {
        return Verdict::NotAParticipant;
    }
    if facts.is_expired {
        return Verdict::Expired;
    }
    let worst = devices
        .iter()
        .map(|device| (rank(device.state), device.state))
        .max_by_key(|(rank, _)| *rank);
    let verdict = match worst {
        None => without_device(facts, is_complete),
        Some((_, state)) => of_state(state, facts, devices, is_complete),
    };
    let is_missing = matches!(
        verdict,
        Verdict::NotJoined
            | Verdict::ToldToFetch
            | Verdict::ClosedBeforeWritten
            | Verdict::CameLater
            | Verdict::NoDeviceConnected
            | Verdict::JournalIncomplete
    );
    let is_written = matches!(
        verdict,
        Verdict::Delivered | Verdict::WrittenNotAcknowledged
    );
    let is_read = !facts.is_sender && facts.stored.read_at.is_some();
    if (is_missing || is_written) && is_read {
        Verdict::Read
    } else if is_missing && !facts.stored.shown.is_empty() {
        Verdict::Fetched
    } else {
        verdict
    }
}

/// How much a device's state is the reason. Devices that had no claim to the message come last.
const fn rank(state: State) -> u8 {
    match state {
        State::GoneBefore => 0,
        State::Revoked => 1,
        State::CameLater => 2,
        State::Silent => 3,
        State::Past | State::Written(Way::Event | Way::Refill) => 4,
        State::Written(Way::Repair) => 5,
        State::Closed => 6,
        State::ToldToFetch => 7,
        State::NotJoined => 8,
        State::Unheard => 9,
        State::CatchingUp => 10,
        State::Waiting => 11,
        State::HeldBack => 12,
    }
}

fn of_state(state: State, facts: &Facts, devices: &[Device], is_complete: bool) -> Verdict {
    let stored = &facts.stored;
    let is_acknowledged = facts.is_sender || stored.delivered_at.is_some();
    match state {
        State::GoneBefore => without_device(facts, is_complete),
        State::CameLater => Verdict::CameLater,
        State::Written(Way::Repair) => Verdict::DeliveredAfterLoss,
        State::Past | State::Written(Way::Event | Way::Refill) if is_acknowledged => {
            Verdict::Delivered
        }
        State::Past | State::Written(Way::Event | Way::Refill) => Verdict::WrittenNotAcknowledged,
        State::Closed if !is_complete && !has_outcome(devices) => Verdict::JournalIncomplete,
        State::Closed => Verdict::ClosedBeforeWritten,
        State::Silent => Verdict::JournalIncomplete,
        State::ToldToFetch => Verdict::ToldToFetch,
        State::Revoked => Verdict::Revoked,
        State::NotJoined => Verdict::NotJoined,
        State::Unheard if stored.is_untold => Verdict::NotPublishedYet,
        State::Unheard => Verdict::EventMissing,
        State::CatchingUp => Verdict::CatchingUp,
        State::Waiting => Verdict::WaitingForClient,
        State::HeldBack => Verdict::HeldBackSlowReader,
    }
}

/// Decides for a user none of whose devices was there.
fn without_device(facts: &Facts, is_complete: bool) -> Verdict {
    let stored = &facts.stored;
    if stored.is_untold {
        return Verdict::NotPublishedYet;
    }
    if stored
        .revoked_until
        .is_some_and(|until| stored.created_at <= until)
    {
        return Verdict::Revoked;
    }
    if is_complete {
        Verdict::NoDeviceConnected
    } else {
        Verdict::JournalIncomplete
    }
}

fn has_outcome(devices: &[Device]) -> bool {
    let mut connections = devices.iter().flat_map(|device| &device.connections);
    connections.any(Connection::has_outcome)
}

#[cfg(test)]
mod tests;
