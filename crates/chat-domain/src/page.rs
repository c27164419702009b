//! Which part of a history a reader asks for.

use crate::{ChatError, Seq};

/// Where a page starts and which way it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The newest messages, after leaving out `offset` of them; newest first.
    Newest {
        /// How many of the newest are left out.
        offset: u32,
    },
    /// Those right before a place; newest first.
    Before(Seq),
    /// Those right after a place; oldest first.
    After(Seq),
}

/// A checked request for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct PageRequest {
    pub direction: Direction,
    pub limit: u32,
}

impl PageRequest {
    /// The longest page.
    pub const MAX_LIMIT: u32 = 200;

    /// Checks a request.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::InvalidPage`] when `limit` is not in 1..=200.
    pub const fn new(direction: Direction, limit: u32) -> Result<Self, ChatError> {
        if limit == 0 || limit > Self::MAX_LIMIT {
            return Err(ChatError::InvalidPage);
        }
        Ok(Self { direction, limit })
    }
}
