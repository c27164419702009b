//! The port of the directory on Postgres: which function answers which question.

use chat_domain::{AppId, Booking, Business, Role, SubjectId, User, UserId};

use super::{Pg, answer, contacts, directory, people};
use crate::ports::{Acquaintance, Answer, Directory, Relation};

impl Directory for Pg {
    fn put_user<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a User,
        version: Option<i64>,
    ) -> Answer<'a, ()> {
        answer(directory::put_user(&self.pool, app, user, version))
    }

    fn add_user<'a>(&'a self, app: &'a AppId, user: &'a User) -> Answer<'a, ()> {
        answer(directory::add_user(&self.pool, app, user))
    }

    fn put_booking<'a>(
        &'a self,
        app: &'a AppId,
        booking: &'a Booking,
        version: Option<i64>,
    ) -> Answer<'a, ()> {
        answer(directory::put_booking(&self.pool, app, booking, version))
    }

    fn put_business<'a>(
        &'a self,
        app: &'a AppId,
        business: &'a Business,
        version: Option<i64>,
    ) -> Answer<'a, ()> {
        answer(directory::put_business(&self.pool, app, business, version))
    }

    fn put_association<'a>(
        &'a self,
        app: &'a AppId,
        doctor: &'a UserId,
        patient: &'a UserId,
        version: Option<i64>,
    ) -> Answer<'a, ()> {
        let pool = &self.pool;
        answer(directory::put_association(
            pool, app, doctor, patient, version,
        ))
    }

    fn remove_association<'a>(
        &'a self,
        app: &'a AppId,
        doctor: &'a UserId,
        patient: &'a UserId,
        version: Option<i64>,
    ) -> Answer<'a, ()> {
        let pool = &self.pool;
        answer(directory::remove_association(
            pool, app, doctor, patient, version,
        ))
    }

    fn find_acquaintance<'a>(
        &'a self,
        app: &'a AppId,
        one: &'a UserId,
        other: &'a UserId,
    ) -> Answer<'a, Acquaintance> {
        answer(people::find_acquaintance(&self.pool, app, one, other))
    }

    fn find_users<'a>(&'a self, app: &'a AppId, ids: &'a [&'a UserId]) -> Answer<'a, Vec<User>> {
        answer(people::find(&self.pool, app, ids))
    }

    fn find_name<'a>(&'a self, app: &'a AppId, user: &'a UserId) -> Answer<'a, Option<String>> {
        answer(directory::find_name(&self.pool, app, user))
    }

    fn list_contacts<'a>(
        &'a self,
        app: &'a AppId,
        relation: Relation,
        users: &'a [&'a UserId],
        limit: u32,
    ) -> Answer<'a, Vec<(UserId, UserId)>> {
        answer(contacts::list(&self.pool, app, relation, (users, limit)))
    }

    fn contacts_among<'a>(
        &'a self,
        app: &'a AppId,
        relation: Relation,
        user: &'a UserId,
        users: &'a [UserId],
    ) -> Answer<'a, Vec<UserId>> {
        answer(contacts::among(&self.pool, app, relation, (user, users)))
    }

    fn find_booking<'a>(
        &'a self,
        app: &'a AppId,
        id: &'a SubjectId,
    ) -> Answer<'a, Option<Booking>> {
        answer(directory::find_booking(&self.pool, app, id))
    }

    fn find_business<'a>(&'a self, app: &'a AppId, id: &'a UserId) -> Answer<'a, Option<Business>> {
        answer(directory::find_business(&self.pool, app, id))
    }

    fn find_bookings<'a>(
        &'a self,
        app: &'a AppId,
        ids: &'a [&'a SubjectId],
    ) -> Answer<'a, Vec<(Booking, Option<Business>)>> {
        answer(directory::find_bookings(&self.pool, app, ids))
    }

    fn search_users<'a>(
        &'a self,
        app: &'a AppId,
        text: &'a str,
        role: Option<Role>,
        limit: u32,
    ) -> Answer<'a, Vec<User>> {
        answer(people::search(&self.pool, app, text, (role, limit)))
    }
}
