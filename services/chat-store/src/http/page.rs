//! Which part of a history a query string asks for.

use chat_domain::{Direction, PageRequest, Seq};
use dialects::describe::{Kind, Property, optional};

use super::{error::RestError, fields::Fields};

/// How many, in what describes it.
pub(super) const LIMIT: [Property; 1] = [optional("limit", Kind::Integer(1, 200))];
/// Which part, in what describes it; how many is left out is in the dialect's words.
pub(super) const PART: [Property; 3] = [
    optional("beforeSeq", Kind::Integer(0, MAX_SEQ)),
    optional("afterSeq", Kind::Integer(0, MAX_SEQ)),
    optional("order", Kind::OneOf(&["asc", "desc"])),
];
pub(super) const OFFSET: [Property; 1] = [optional("offset", Kind::Integer(0, MAX_SEQ))];
pub(super) const SKIP: [Property; 1] = [optional("skip", Kind::Integer(0, MAX_SEQ))];
/// What a bigint holds.
pub(super) const MAX_SEQ: u64 = i64::MAX.unsigned_abs();

/// A page, and which way the answer lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) request: PageRequest,
    pub(super) order: Order,
}

/// How a dialect spells a page.
pub(super) struct Spelling {
    /// What the number of messages to leave out is called.
    pub(super) offset: &'static str,
    /// The longest page.
    pub(super) max_limit: u32,
}

impl Default for Spelling {
    fn default() -> Self {
        Self {
            offset: "offset",
            max_limit: PageRequest::MAX_LIMIT,
        }
    }
}

/// Which way an answer lists messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    OldestFirst,
    NewestFirst,
}

impl Page {
    /// Reads `limit` (1 to 200, else `default_limit`), one of `offset`, `beforeSeq` and `afterSeq`,
    /// and `order` (`asc` or `desc`, else `default_order`; what follows a place ascends).
    pub(super) fn read(
        query: Fields,
        default_limit: u32,
        default_order: Order,
    ) -> Result<Self, RestError> {
        Self::read_as(query, &Spelling::default(), default_limit, default_order)
    }

    /// Reads the same in another dialect's words.
    pub(super) fn read_as(
        mut query: Fields,
        spelling: &Spelling,
        default_limit: u32,
        default_order: Order,
    ) -> Result<Self, RestError> {
        let limit = read_limit_to(&mut query, spelling.max_limit);
        let offset = query.optional(spelling.offset, "must be an integer from 0", integer);
        let before = query.optional("beforeSeq", "must be an integer from 0", seq);
        let after = query.optional("afterSeq", "must be an integer from 0", seq);
        let order = query.optional("order", "must be asc or desc", order);
        if before.is_some() && after.is_some() {
            query.note("beforeSeq", "cannot be combined with afterSeq");
        }
        if (before.is_some() || after.is_some()) && offset.is_some_and(|offset| 0 < offset) {
            query.note(
                spelling.offset,
                "cannot be combined with beforeSeq or afterSeq",
            );
        }
        query.check()?;

        let direction = match (before, after) {
            (Some(before), _) => Direction::Before(before),
            (None, Some(after)) => Direction::After(after),
            (None, None) => Direction::Newest {
                // No conversation has that many messages: either finds none.
                offset: u32::try_from(offset.unwrap_or(0)).unwrap_or(u32::MAX),
            },
        };
        let default_order = match direction {
            Direction::After(_) => Order::OldestFirst,
            Direction::Newest { .. } | Direction::Before(_) => default_order,
        };
        Ok(Self {
            request: PageRequest::new(direction, limit.unwrap_or(default_limit))?,
            order: order.unwrap_or(default_order),
        })
    }

    /// Puts messages that came in the request's direction into the order of the answer.
    pub(super) fn arrange<T>(self, messages: &mut [T]) {
        let found = match self.request.direction {
            Direction::After(_) => Order::OldestFirst,
            Direction::Newest { .. } | Direction::Before(_) => Order::NewestFirst,
        };
        if found != self.order {
            messages.reverse();
        }
    }
}

/// Reads `limit` alone, for lists that have one page.
pub(super) fn read_limit(query: &mut Fields) -> Option<u32> {
    read_limit_to(query, PageRequest::MAX_LIMIT)
}

pub(super) fn read_limit_to(query: &mut Fields, most: u32) -> Option<u32> {
    let rule = format!("must be an integer from 1 to {most}");
    query.optional("limit", &rule, |text| {
        let limit = u32::try_from(integer(text)?).ok()?;
        (1..=most).contains(&limit).then_some(limit)
    })
}

fn order(text: &str) -> Option<Order> {
    match text {
        "asc" => Some(Order::OldestFirst),
        "desc" => Some(Order::NewestFirst),
        _ => None,
    }
}

fn seq(text: &str) -> Option<Seq> {
    integer(text).map(Seq)
}

/// Reads digits alone, up to what a bigint holds.
pub(super) fn integer(text: &str) -> Option<u64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let value: i64 = is_digits.then(|| text.parse().ok())??;
    u64::try_from(value).ok()
}
