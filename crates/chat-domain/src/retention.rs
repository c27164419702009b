//! For how long messages are kept.

use std::time::Duration;

use crate::Timestamp;

/// How long after it was sent a message is gone, to everybody and for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(Duration);

impl Retention {
    const DAY: Duration = Duration::from_hours(24);

    /// Keeps messages for so many days.
    #[must_use]
    pub const fn of_days(days: u32) -> Self {
        Self(Self::DAY.saturating_mul(days))
    }

    /// Returns when a message of `sent_at` is gone.
    #[must_use]
    pub fn expiry_of(self, sent_at: Timestamp) -> Timestamp {
        sent_at.after(self.0)
    }

    /// Returns when the oldest message that is still there at `now` can have been sent: what was sent
    /// before is gone.
    #[must_use]
    pub fn horizon(self, now: Timestamp) -> Timestamp {
        let millis = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_sub(millis).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_there_until_the_moment_it_expires() {
        let retention = Retention::of_days(90);
        let sent_at = Timestamp(1_768_401_000_042);

        let expiry = retention.expiry_of(sent_at);

        assert_eq!(expiry.0 - sent_at.0, 90 * 86_400_000);
        assert!(retention.horizon(Timestamp(expiry.0 - 1)) <= sent_at);
        assert!(sent_at < retention.horizon(expiry));
    }
}
