//! What the use cases need to know of users, bookings, businesses and associations: the mirror of what
//! other services tell.
//!
//! Not here: conversations, which are the chat's own ([`crate::ports::Store`]).

use chat_domain::{AppId, Booking, Business, Role, SubjectId, User, UserId};

use crate::ports::Answer;

/// What the directory says of two users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// Those of the two that it knows.
    pub known: Vec<User>,
    /// Whether they are a doctor and a patient who are associated.
    pub associated: bool,
}

/// What makes users contacts, who see each other's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// A conversation.
    Conversation,
    /// A conversation with a message in it.
    Exchange,
    /// An association, with or without a conversation.
    Association,
}

/// The mirror. Writes are idempotent; with a `version` the last one wins.
pub trait Directory: Send + Sync {
    /// Writes a user, unless a newer `version` is there.
    fn put_user<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a User,
        version: Option<i64>,
    ) -> Answer<'a, ()>;

    /// Writes a user that the directory does not know yet.
    fn add_user<'a>(&'a self, app: &'a AppId, user: &'a User) -> Answer<'a, ()>;

    /// Writes a booking, unless a newer `version` is there.
    fn put_booking<'a>(
        &'a self,
        app: &'a AppId,
        booking: &'a Booking,
        version: Option<i64>,
    ) -> Answer<'a, ()>;

    /// Writes a business, unless a newer `version` is there.
    fn put_business<'a>(
        &'a self,
        app: &'a AppId,
        business: &'a Business,
        version: Option<i64>,
    ) -> Answer<'a, ()>;

    /// Lets a doctor and a patient write to each other.
    fn put_association<'a>(
        &'a self,
        app: &'a AppId,
        doctor: &'a UserId,
        patient: &'a UserId,
        version: Option<i64>,
    ) -> Answer<'a, ()>;

    /// Ends what [`Self::put_association`] began, unless a newer `version` is there.
    fn remove_association<'a>(
        &'a self,
        app: &'a AppId,
        doctor: &'a UserId,
        patient: &'a UserId,
        version: Option<i64>,
    ) -> Answer<'a, ()>;

    /// Returns what is known of two users.
    fn find_acquaintance<'a>(
        &'a self,
        app: &'a AppId,
        one: &'a UserId,
        other: &'a UserId,
    ) -> Answer<'a, Acquaintance>;

    /// Returns those of the users that the directory knows.
    fn find_users<'a>(&'a self, app: &'a AppId, ids: &'a [&'a UserId]) -> Answer<'a, Vec<User>>;

    /// Returns the name of a user, if it is known.
    fn find_name<'a>(&'a self, app: &'a AppId, user: &'a UserId) -> Answer<'a, Option<String>>;

    /// Returns at most `limit` contacts of each user: pairs of user and contact.
    fn list_contacts<'a>(
        &'a self,
        app: &'a AppId,
        relation: Relation,
        users: &'a [&'a UserId],
        limit: u32,
    ) -> Answer<'a, Vec<(UserId, UserId)>>;

    /// Returns those of `users` who are contacts of `user`.
    fn contacts_among<'a>(
        &'a self,
        app: &'a AppId,
        relation: Relation,
        user: &'a UserId,
        users: &'a [UserId],
    ) -> Answer<'a, Vec<UserId>>;

    /// Returns a booking.
    fn find_booking<'a>(&'a self, app: &'a AppId, id: &'a SubjectId)
    -> Answer<'a, Option<Booking>>;

    /// Returns a business.
    fn find_business<'a>(&'a self, app: &'a AppId, id: &'a UserId) -> Answer<'a, Option<Business>>;

    /// Returns those of the bookings that are known, each with its business.
    fn find_bookings<'a>(
        &'a self,
        app: &'a AppId,
        ids: &'a [&'a SubjectId],
    ) -> Answer<'a, Vec<(Booking, Option<Business>)>>;

    /// Returns at most `limit` users whose id, e-mail or name holds `text`, whatever its case, by name.
    fn search_users<'a>(
        &'a self,
        app: &'a AppId,
        text: &'a str,
        role: Option<Role>,
        limit: u32,
    ) -> Answer<'a, Vec<User>>;
}
