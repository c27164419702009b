//! Pings and pongs as a function of time.

use std::time::Instant;

use super::Config;

/// Whether the client is alive.
#[derive(Debug)]
pub(super) enum Heartbeat {
    /// The next ping is due at the instant.
    Resting(Instant),
    /// The pong must be there by the instant.
    AwaitingPong(Instant),
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    Wait,
    /// A ping.
    Ping,
    /// The end: the pong did not come in time.
    Dead,
}

impl Heartbeat {
    pub(super) const fn new(first_ping: Instant) -> Self {
        Self::Resting(first_ping)
    }

    pub(super) const fn due(&self) -> Instant {
        match self {
            Self::Resting(due) => *due,
            Self::AwaitingPong(due) => *due,
        }
    }

    pub(super) fn tick(&mut self, now: Instant, config: &Config) -> Beat {
        match self {
            Self::Resting(due) if *due <= now => {
                // A timer is always a little late. Only a long delay, in which nobody could have
                // answered, counts for the client.
                let late = now.saturating_duration_since(*due);
                let sent = if late < config.ping_timeout / 4 {
                    *due
                } else {
                    now
                };
                *self = Self::AwaitingPong(sent + config.ping_timeout);
                Beat::Ping
            }
            Self::AwaitingPong(due) if *due <= now => Beat::Dead,
            Self::Resting(_) | Self::AwaitingPong(_) => Beat::Wait,
        }
    }

    /// Takes a pong. One that nobody asked for changes nothing.
    pub(super) fn pong(&mut self, now: Instant, config: &Config) {
        if let Self::AwaitingPong(_) = self {
            *self = Self::Resting(now + config.ping_interval);
        }
    }
}
