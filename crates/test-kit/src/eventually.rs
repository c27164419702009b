//! Waiting for a condition, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take. Far more than it does; only a failure waits so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long to leave a condition alone before it is looked at again.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value, and returns it.
///
/// # Panics
///
/// Panics after 20 s, saying that `what` did not happen.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "did not happen: {what} (waited for at {place})"
            );
            sleep(PAUSE).await;
        }
    }
}
