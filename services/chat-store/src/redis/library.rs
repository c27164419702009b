//! Runs the functions of `functions/`, and puts back what a server lacks: the library, or the calls.

use chat_domain::call::DeviceId;
use redis::{Cmd, FromRedisValue, RedisError as Driver, ToRedisArgs};

use super::{
    RedisState,
    error::{RedisError, inconsistent},
};
use crate::ports_calls::CallState as _;

const SOURCE: &str = concat!(
    include_str!("functions/state.lua"),
    "\n",
    include_str!("functions/parked.lua"),
    "\n",
    include_str!("functions/changes.lua"),
    "\n",
    include_str!("functions/signals.lua"),
    "\n",
    include_str!("functions/upkeep.lua"),
    "\n",
    include_str!("functions/presence.lua"),
);
/// That of [`SOURCE`]. A newer library on the server stays: it serves this release, too.
const VERSION: u32 = 8;

/// How often a request is repeated after something was put back.
const ATTEMPTS: usize = 4;
/// Calls read from the history at once.
const PAGE: u32 = 256;

/// A function and what it is given.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) function: &'static str,
    command: Cmd,
}

impl Request {
    pub(super) fn new(function: &'static str, keys: &[String]) -> Self {
        let mut command = redis::cmd("FCALL");
        command.arg(function).arg(keys.len()).arg(keys);
        Self { function, command }
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// Ends the arguments with who asks and the number of what it asks.
    pub(super) fn numbered(self, device: DeviceId, n: u64) -> Self {
        self.text(&device).text(&n)
    }

    /// Adds an argument as the text that it displays as.
    pub(super) fn text(self, argument: &impl ToString) -> Self {
        self.arg(argument.to_string())
    }
}

impl RedisState {
    /// Loads the library, unless it or a newer one is there.
    ///
    /// # Errors
    ///
    /// Returns the failure of the server to answer.
    pub(super) async fn load_library(&self) -> Result<(), RedisError> {
        let mut version = redis::cmd("FCALL");
        version.arg("calls_version").arg(0);
        let loaded: Option<u32> = match version.query_async(&mut self.commands.clone()).await {
            Ok(version) => Some(version),
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(error.into()),
        };
        if loaded.is_some_and(|version| VERSION <= version) {
            return Ok(());
        }
        tracing::info!(version = VERSION, "loading the functions into Redis");
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(SOURCE);
        let _name: String = load.query_async(&mut self.commands.clone()).await?;
        Ok(())
    }

    /// Runs a function that decides: only once the calls are there.
    pub(super) async fn run<T: FromRedisValue>(&self, request: &Request) -> Result<T, RedisError> {
        for _ in 0..ATTEMPTS {
            match self.run_unguarded(request).await {
                Err(RedisError::Driver(error)) if error.code() == Some("CALLSLOST") => {
                    self.restore_lost().await?;
                }
                outcome => return outcome,
            }
        }
        Err(inconsistent(request.function)(
            "the calls are lost again and again",
        ))
    }

    /// Runs a function that does not care whether the calls are there.
    pub(super) async fn run_unguarded<T: FromRedisValue>(
        &self,
        request: &Request,
    ) -> Result<T, RedisError> {
        for _ in 0..ATTEMPTS {
            match request
                .command
                .query_async(&mut self.commands.clone())
                .await
            {
                Err(error) if is_missing(&error) => self.load_library().await?,
                outcome => return Ok(outcome?),
            }
        }
        Err(inconsistent(request.function)(
            "the library is missing again and again",
        ))
    }

    /// Puts back every call that goes on, or whose end may not have been told, newest first.
    /// Replicas may do so at the same time.
    async fn restore_lost(&self) -> Result<(), RedisError> {
        let one_at_a_time = self.restoring.acquire().await;
        let ready = self.key("ready");
        let mut exists = redis::cmd("EXISTS");
        exists.arg(&ready);
        if exists.query_async(&mut self.commands.clone()).await? {
            return Ok(());
        }
        tracing::warn!("Redis has lost the calls; putting them back from the history");
        let mut before = None;
        loop {
            let page = self.history.list_unfinished(before, PAGE).await;
            let page = page.map_err(RedisError::Restore)?;
            let Some(last) = page.last() else {
                break;
            };
            before = Some(last.transition.call.id);
            self.restore(&page).await.map_err(RedisError::Restore)?;
        }
        let _: String = self
            .run_unguarded(&Request::new("calls_ready", &[ready]))
            .await?;
        drop(one_at_a_time);
        Ok(())
    }
}

fn is_missing(error: &Driver) -> bool {
    error.code() == Some("ERR")
        && error
            .detail()
            .is_some_and(|detail| detail.contains("Function not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a of the source of [`VERSION`].
    const CHECKSUM: u64 = 0xc122_0f4d_583c_5aac;

    #[test]
    fn a_changed_library_has_a_new_version() {
        let checksum = SOURCE
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });

        assert_eq!(
            checksum, CHECKSUM,
            "servers keep the library of a version they have: give this one a new VERSION (twice), \
             then put its checksum here"
        );
    }

    #[test]
    fn the_library_says_the_version_that_is_expected_of_it() {
        assert!(SOURCE.contains(&format!("local VERSION = {VERSION}\n")));
    }
}
