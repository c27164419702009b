//! The one place that reads the wall clock.

use chat_domain::Timestamp;
use time::OffsetDateTime;

/// Returns the present time.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_datetime(OffsetDateTime::now_utc())
}
