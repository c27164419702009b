//! What went wrong in Postgres, by SQLSTATE.

use chat_domain::{BoxError, ChatError};

use crate::ports::JournalError;

/// A failed storage operation.
#[derive(Debug, thiserror::Error)]
pub(super) enum PgError {
    /// The driver or the server refused.
    #[error("query failed")]
    Driver(#[from] sqlx::Error),

    /// A stored row breaks an invariant of the domain.
    #[error("inconsistent row in {table}")]
    Inconsistent {
        /// The table the row came from.
        table: &'static str,
        /// The invariant that does not hold.
        #[source]
        source: BoxError,
    },
}

/// Builds the error of a row that is no valid value of the domain.
pub(super) fn inconsistent<E: Into<BoxError>>(table: &'static str) -> impl Fn(E) -> PgError {
    move |source| PgError::Inconsistent {
        table,
        source: source.into(),
    }
}

/// What a caller can do about a failure.
enum Class {
    /// What was asked cannot be done.
    Refused,
    /// Others were in the way; nothing was done.
    Conflict,
    /// The server is not there, or going.
    Unavailable,
}

impl PgError {
    fn class(&self) -> Class {
        let Self::Driver(error) = self else {
            return Class::Refused;
        };
        let sqlx::Error::Database(refusal) = error else {
            let unreachable = matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            );
            return if unreachable {
                Class::Unavailable
            } else {
                Class::Refused
            };
        };
        let code = refusal.code().unwrap_or_default();
        match code.get(..2) {
            // Transaction rollback: serialization failure, deadlock.
            Some("40") => Class::Conflict,
            // Connection exception, insufficient resources (disk full, too many connections), operator
            // intervention (shutdown), system error.
            Some("08" | "53" | "57" | "58") => Class::Unavailable,
            // A server that became read-only is being replaced.
            Some("25") => Class::Unavailable,
            _ => Class::Refused,
        }
    }
}

impl From<PgError> for ChatError {
    fn from(error: PgError) -> Self {
        match error.class() {
            Class::Refused => Self::Internal(error.into()),
            Class::Conflict | Class::Unavailable => Self::Unavailable {
                dependency: "postgres",
                source: error.into(),
            },
        }
    }
}

impl From<PgError> for JournalError {
    fn from(error: PgError) -> Self {
        match error.class() {
            Class::Refused => Self::Poison(error.into()),
            Class::Conflict => Self::Conflict(error.into()),
            Class::Unavailable => Self::Unknown(error.into()),
        }
    }
}
