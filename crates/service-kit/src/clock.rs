//! The one place that reads the wall clock.

use std::time::SystemTime;

use chat_domain::Timestamp;
use time::OffsetDateTime;

/// Returns the present time.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_datetime(OffsetDateTime::now_utc())
}

/// Returns the present time as precisely as it is known.
pub(crate) fn system_now() -> SystemTime {
    SystemTime::now()
}
