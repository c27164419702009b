//! How much one socket may ask for: token buckets by class, fed with time.
//!
//! Not here: limits of size (the transport's and the domain's), of sockets (the registry's), and of
//! what all sockets of a user ask for together ([`crate::quotas`]).

use std::time::Duration;

use service_kit::{
    apps::Limits,
    limits::{Bucket, Rate},
};

/// What an event counts as. Each class has its own bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A message to store.
    Message,
    /// A typing signal.
    Typing,
    /// Anything else, also what nobody knows.
    Other,
}

/// The rates of every class.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "named after the classes")]
pub struct Rates {
    pub messages: Rate,
    pub typing: Rate,
    pub others: Rate,
    /// Refusals that are borne; a client that is refused more often has to go.
    pub refusals: Rate,
    /// Of one user, on all sockets.
    pub user_messages: Rate,
    /// Of one user, on all sockets.
    pub user_calls: Rate,
}

impl Rates {
    /// Returns those of an app whose file says `limits`.
    #[must_use]
    pub fn of(&self, limits: &Limits) -> Self {
        Self {
            messages: limits.messages.unwrap_or(self.messages),
            typing: limits.typing.unwrap_or(self.typing),
            others: limits.events.unwrap_or(self.others),
            refusals: self.refusals,
            user_messages: limits.user_messages.unwrap_or(self.user_messages),
            user_calls: limits.user_calls.unwrap_or(self.user_calls),
        }
    }
}

/// Why an event is not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// Once may happen: the client is told when to try again.
    Retry {
        /// After how long an event of the class is taken again.
        after: Duration,
    },
    /// The client keeps on: it is disconnected.
    Disconnect,
}

/// The buckets of one socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Buckets {
    messages: Bucket,
    typing: Bucket,
    others: Bucket,
    refusals: Bucket,
}

impl Buckets {
    /// Counts one event at `now`, the time since any fixed moment.
    ///
    /// # Errors
    ///
    /// Returns [`Exceeded`] when the event may not be handled.
    pub fn take(&mut self, class: Class, rates: &Rates, now: Duration) -> Result<(), Exceeded> {
        let (bucket, rate) = match class {
            Class::Message => (&mut self.messages, rates.messages),
            Class::Typing => (&mut self.typing, rates.typing),
            Class::Other => (&mut self.others, rates.others),
        };
        let Err(after) = bucket.take(rate, now) else {
            return Ok(());
        };
        Err(self.refuse(after, rates, now))
    }

    /// Counts an event that is refused until `after`.
    pub fn refuse(&mut self, after: Duration, rates: &Rates, now: Duration) -> Exceeded {
        match self.refusals.take(rates.refusals, now) {
            Ok(()) => Exceeded::Retry { after },
            Err(_) => Exceeded::Disconnect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        Rates {
            messages: Rate::new(10, 3),
            typing: Rate::new(5, 1),
            others: Rate::new(20, 2),
            refusals: Rate::new(1, 4),
            user_messages: Rate::new(1, 1),
            user_calls: Rate::new(1, 1),
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut buckets = Buckets::default();
        let mut take = |ms| buckets.take(Class::Message, &rates(), Duration::from_millis(ms));

        for _ in 0..3 {
            assert_eq!(take(0), Ok(()));
        }
        let after = Duration::from_millis(100);
        assert_eq!(take(0), Err(Exceeded::Retry { after }));
        assert_eq!(take(100), Ok(()));
        assert!(take(101).is_err());
    }

    #[test]
    fn classes_do_not_share() {
        let mut buckets = Buckets::default();
        let mut take = |class| buckets.take(class, &rates(), Duration::ZERO);

        assert_eq!(take(Class::Typing), Ok(()));
        assert!(take(Class::Typing).is_err());
        assert_eq!(take(Class::Message), Ok(()));
        assert_eq!(take(Class::Other), Ok(()));
    }

    #[test]
    fn an_app_has_its_own_rates_where_it_says_so() {
        let limits = Limits {
            typing: Some(Rate::new(1, 1)),
            ..Limits::default()
        };

        let own = rates().of(&limits);

        assert_eq!(
            (own.typing, own.messages),
            (Rate::new(1, 1), rates().messages)
        );
    }

    #[test]
    fn who_keeps_on_has_to_go() {
        let mut buckets = Buckets::default();
        let mut take = || buckets.take(Class::Typing, &rates(), Duration::ZERO);

        assert_eq!(take(), Ok(()));
        for _ in 0..4 {
            assert!(matches!(take(), Err(Exceeded::Retry { .. })));
        }
        assert_eq!(take(), Err(Exceeded::Disconnect));
    }
}
