//! What went wrong in Redis.

use chat_domain::{BoxError, ChatError};
use redis::{ErrorKind, RedisError as Driver, ServerErrorKind};

/// A failed operation on the shared state.
#[derive(Debug, thiserror::Error)]
pub(super) enum RedisError {
    /// The driver or the server refused.
    #[error("command failed")]
    Driver(#[from] Driver),
    /// An answer or a stored value that these functions never give.
    #[error("inconsistent answer of {function}")]
    Inconsistent {
        /// The function that gave it.
        function: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// Something else failed on the way.
    #[error("the calls could not be restored")]
    Restore(#[source] ChatError),
}

/// Builds the error of an answer that makes no sense.
pub(super) fn inconsistent<E: Into<BoxError>>(
    function: &'static str,
) -> impl Fn(E) -> RedisError + Copy {
    move |source| RedisError::Inconsistent {
        function,
        source: source.into(),
    }
}

impl From<RedisError> for ChatError {
    fn from(error: RedisError) -> Self {
        match error {
            RedisError::Restore(source) => source,
            RedisError::Driver(ref driver) if is_passing(driver) => Self::Unavailable {
                dependency: "redis",
                source: error.into(),
            },
            RedisError::Driver(_) | RedisError::Inconsistent { .. } => Self::Internal(error.into()),
        }
    }
}

/// Tells whether the server is not there, or cannot answer for now.
fn is_passing(error: &Driver) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::ClusterDown
            )
        )
        // Writes are stopped: no memory, no disk, too few replicas, or a script that hangs.
        || matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS" | "BUSY"))
}
