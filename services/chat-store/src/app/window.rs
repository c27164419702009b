//! When an app lets people write: some apps open a conversation only around its appointment.

use chat_domain::{Booking, ChatError, Timestamp};
use service_kit::apps::TimeWindow;

const MINUTE_MS: i64 = 60_000;

/// Refuses what lies outside `[start - before, end + after]` of a booking. One without a start has
/// no window; one without an end ends when it starts.
pub(super) fn check(
    window: TimeWindow,
    booking: &Booking,
    now: Timestamp,
) -> Result<(), ChatError> {
    let Some(starts_at) = booking.starts_at else {
        return Ok(());
    };
    let opens = starts_at.0 - i64::from(window.before_minutes) * MINUTE_MS;
    let ends_at = booking.ends_at.unwrap_or(starts_at);
    let closes = ends_at.0 + i64::from(window.after_minutes) * MINUTE_MS;
    if now.0 < opens {
        // Rounded up, so that who waits as told is not told to wait again.
        return Err(ChatError::WindowNotOpen {
            before_minutes: window.before_minutes,
            wait_minutes: (opens - now.0 + MINUTE_MS - 1) / MINUTE_MS,
        });
    }
    if closes < now.0 {
        return Err(ChatError::WindowExpired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chat_domain::{SubjectId, UserId};

    use super::*;

    const WINDOW: TimeWindow = TimeWindow {
        before_minutes: 30,
        after_minutes: 60,
    };

    fn booking(starts: Option<i64>, ends: Option<i64>) -> Booking {
        Booking {
            id: SubjectId::new("b").unwrap(),
            professional: UserId::new("c").unwrap(),
            client: UserId::new("p").unwrap(),
            starts_at: starts.map(|minute| Timestamp(minute * MINUTE_MS)),
            ends_at: ends.map(|minute| Timestamp(minute * MINUTE_MS)),
            status: None,
        }
    }

    fn at(minute: i64, booking: &Booking) -> Result<(), ChatError> {
        check(WINDOW, booking, Timestamp(minute * MINUTE_MS))
    }

    #[test]
    fn opens_before_and_closes_after_the_appointment() {
        let booking = booking(Some(1_000), Some(1_045));

        assert!(at(970, &booking).is_ok());
        assert!(at(1_105, &booking).is_ok());
        assert_eq!(
            at(960, &booking).unwrap_err().to_string(),
            "Conversation can only be started 30 minutes before the appointment. \
             Please wait 10 more minute(s)."
        );
        assert!(matches!(at(1_106, &booking), Err(ChatError::WindowExpired)));
    }

    #[test]
    fn the_wait_is_rounded_up() {
        let booking = booking(Some(1_000), None);

        let early = check(WINDOW, &booking, Timestamp(970 * MINUTE_MS - 1)).unwrap_err();

        assert!(matches!(
            early,
            ChatError::WindowNotOpen {
                wait_minutes: 1,
                ..
            }
        ));
    }

    #[test]
    fn an_unplanned_booking_has_no_window() {
        assert!(at(0, &booking(None, None)).is_ok());
    }
}
