//! How long to wait for the end state: as long as it comes nearer. What is on its way on a busy
//! machine is not lost, and what is lost never arrives; this tells one from the other, and judges
//! neither.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What stays away for so long, on a machine that has time, is lost. A hole that nothing else shows
/// is found by a gateway's comparison of positions within 25 s.
const LOST: Duration = Duration::from_secs(40);
/// However near it came meanwhile.
const AT_MOST: Duration = Duration::from_mins(10);
/// How often a wait looks.
const PAUSE: Duration = Duration::from_millis(100);
/// The most that passes for anybody between two looks: one that comes later than this shows that the
/// machine had no time, for the system as little as for the suite.
const FAIR: Duration = Duration::from_millis(150);

/// The end state came nearer until the suite could wait no longer: nothing can be said.
#[derive(Debug, Clone, Copy)]
pub struct GaveUp {
    /// What it waited for.
    what: &'static str,
    /// How much of it was still missing.
    missing: u64,
}

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, missing } = self;
        let minutes = AT_MOST.as_secs() / 60;
        write!(
            f,
            "gave up waiting for {what} after {minutes} min: {missing} are missing, and there were \
             more; the machine is too busy for a verdict"
        )
    }
}

impl std::error::Error for GaveUp {}

/// Looks until nothing is `missing`; `false` says that what is will never come.
///
/// # Errors
///
/// Returns [`GaveUp`], or why it can't be told what is missing.
pub async fn until_none(
    what: &'static str,
    mut missing: impl AsyncFnMut() -> anyhow::Result<u64>,
) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut patience = Patience::default();
    loop {
        let missing = missing().await?;
        match patience.look(began.elapsed(), missing) {
            Sight::Nearer => sleep(PAUSE).await,
            Sight::There => return Ok(true),
            Sight::Lost => return Ok(false),
            Sight::Endless => return Err(GaveUp { what, missing }.into()),
        }
    }
}

/// What a look tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// It may come: look again.
    Nearer,
    /// Nothing is missing.
    There,
    /// What is missing will not come.
    Lost,
    /// It came nearer all the time, and is not there.
    Endless,
}

#[derive(Debug, Default)]
struct Patience {
    least: Option<u64>,
    last: Duration,
    /// For how long it did not come nearer, counted in time that the machine had.
    still: Duration,
}

impl Patience {
    /// Takes how much is missing, `elapsed` after the beginning.
    fn look(&mut self, elapsed: Duration, missing: u64) -> Sight {
        let passed = elapsed.saturating_sub(self.last).min(FAIR);
        self.last = elapsed;
        if self.least.is_none_or(|least| missing < least) {
            self.least = Some(missing);
            self.still = Duration::ZERO;
        } else {
            self.still += passed;
        }
        match missing {
            0 => Sight::There,
            _ if LOST <= self.still => Sight::Lost,
            _ if AT_MOST <= elapsed => Sight::Endless,
            _ => Sight::Nearer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks each `pause`, `missing` being told the time, until a look ends it.
    fn wait(pause: Duration, missing: impl Fn(Duration) -> u64) -> (Sight, Duration) {
        let mut patience = Patience::default();
        let mut elapsed = Duration::ZERO;
        loop {
            let sight = patience.look(elapsed, missing(elapsed));
            if sight != Sight::Nearer {
                return (sight, elapsed);
            }
            elapsed += pause;
        }
    }

    #[test]
    fn what_comes_slowly_is_waited_for() {
        let one_in_half_a_minute = |elapsed: Duration| 10 - elapsed.as_secs() / 30;

        let (end, elapsed) = wait(PAUSE, one_in_half_a_minute);

        assert_eq!((end, elapsed.as_secs()), (Sight::There, 300));
    }

    #[test]
    fn what_stays_away_is_lost_though_the_rest_came() {
        let all_but_one = |elapsed: Duration| 10 - elapsed.as_secs().min(9);

        let (end, elapsed) = wait(PAUSE, all_but_one);

        assert_eq!((end, elapsed.as_secs()), (Sight::Lost, 49));
    }

    #[test]
    fn what_comes_and_goes_is_not_nearer_for_it() {
        let now_and_then = |elapsed: Duration| 1 + elapsed.as_secs() % 2;

        assert_eq!(wait(PAUSE, now_and_then).0, Sight::Lost);
    }

    #[test]
    fn nothing_is_called_lost_while_the_machine_has_no_time() {
        // Ten looks in a minute, in which nothing came nearer.
        let starved = Duration::from_secs(6);

        let (end, elapsed) = wait(starved, |_| 1);

        assert_eq!((end, elapsed), (Sight::Endless, AT_MOST));
    }

    #[test]
    fn it_ends_though_it_comes_nearer() {
        let endless = |elapsed: Duration| 10_000 - elapsed.as_secs();

        let (end, elapsed) = wait(PAUSE, endless);

        assert_eq!((end, elapsed), (Sight::Endless, AT_MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_without_an_end_says_so_in_words_of_its_own() {
        let mut left = 10_000;

        let error = until_none("messages", async || {
            left -= 1;
            Ok(left)
        });

        let error = error.await.unwrap_err();
        assert!(error.is::<GaveUp>(), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("gave up waiting for messages")
        );
    }
}
