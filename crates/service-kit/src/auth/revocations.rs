//! Tokens that are good no more, as far as this process knows.
//!
//! It decides and remembers; how a process learns of revocations is its service's.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use chat_domain::{AppId, Revocation, RevocationPage, Revoked, Timestamp, UserId};
use parking_lot::RwLock;

/// What revocations recognise a token by. Small, because every socket keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    user: u64,
    /// Zero when the token names none; so is the next.
    session: u64,
    token: u64,
    /// The least when the token does not say.
    issued_at: Timestamp,
}

/// The revocations of all apps.
#[derive(Debug, Default)]
pub struct Revocations {
    /// Drawn at random, so that nobody can make marks that are alike.
    hasher: RandomState,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    last: u64,
    by_mark: HashMap<u64, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Later tokens are good.
    issued_until: Timestamp,
    expires_at: Timestamp,
}

/// Where the name of a mark comes from.
#[derive(Hash)]
enum Kind {
    User,
    Session,
    Token,
}

impl Revocations {
    /// Returns the number after which to ask for more.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.known.read().last
    }

    /// Takes what was revoked after [`Self::last`]. Returns whether to ask again.
    #[must_use]
    pub fn take(&self, page: &RevocationPage) -> bool {
        let mut known = self.known.write();
        if known.epoch != page.epoch {
            known.epoch = page.epoch;
            // What was asked for was meant in other numbers.
            if std::mem::take(&mut known.last) != 0 {
                return true;
            }
        }
        for (number, revocation) in &page.revocations {
            let (mark, entry) = self.entry(revocation);
            let known_entry = known.by_mark.entry(mark).or_insert(entry);
            known_entry.issued_until = known_entry.issued_until.max(entry.issued_until);
            known_entry.expires_at = known_entry.expires_at.max(entry.expires_at);
            known.last = known.last.max(*number);
        }
        page.more
    }

    /// Tells whether a token is revoked.
    #[must_use]
    pub fn cover(&self, marks: Marks) -> bool {
        let known = self.known.read();
        [marks.user, marks.session, marks.token].iter().any(|mark| {
            let entry = known.by_mark.get(mark);
            entry.is_some_and(|entry| marks.issued_at <= entry.issued_until)
        })
    }

    /// Forgets revocations of tokens that have ended by themselves by `now`.
    pub fn forget(&self, now: Timestamp) {
        let mut known = self.known.write();
        known.by_mark.retain(|_, entry| now < entry.expires_at);
    }

    /// Returns the marks of a user who has no token. For such a one a revocation of the user holds for as
    /// long as it is kept: nothing was issued later.
    #[must_use]
    pub fn marks_of(&self, app: &AppId, user: &UserId) -> Marks {
        self.marks(app, user, (None, None), None)
    }

    /// Returns the marks of a token.
    #[must_use]
    pub(super) fn marks(
        &self,
        app: &AppId,
        user: &UserId,
        (session, token): (Option<&str>, Option<&str>),
        issued_at: Option<Timestamp>,
    ) -> Marks {
        let named = |kind, name: Option<&str>| name.map_or(0, |name| self.mark(app, &kind, name));
        Marks {
            user: self.mark(app, &Kind::User, user.as_str()),
            session: named(Kind::Session, session),
            token: named(Kind::Token, token),
            issued_at: issued_at.unwrap_or(Timestamp(i64::MIN)),
        }
    }

    fn entry(&self, revocation: &Revocation) -> (u64, Entry) {
        let ever = Timestamp(i64::MAX);
        let (kind, name, issued_until) = match &revocation.revoked {
            Revoked::User { user, issued_until } => (Kind::User, user.as_str(), *issued_until),
            Revoked::Session(name) => (Kind::Session, name.as_str(), ever),
            Revoked::Token(name) => (Kind::Token, name.as_str(), ever),
        };
        let entry = Entry {
            issued_until,
            expires_at: revocation.expires_at.unwrap_or(ever),
        };
        (self.mark(&revocation.app, &kind, name), entry)
    }

    fn mark(&self, app: &AppId, kind: &Kind, name: &str) -> u64 {
        self.hasher.hash_one((app.as_str(), kind, name)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::IssuedName;

    use super::*;

    fn app(name: &str) -> AppId {
        AppId::new(name).unwrap()
    }

    fn user(issued_until: i64) -> Revoked {
        Revoked::User {
            user: UserId::new("ann").unwrap(),
            issued_until: Timestamp(issued_until),
        }
    }

    fn name(text: &str) -> IssuedName {
        IssuedName::new(text).unwrap()
    }

    fn page(epoch: u64, revocations: &[(u64, Revoked, Option<i64>)]) -> RevocationPage {
        let revocations = revocations.iter().map(|(number, revoked, expires_at)| {
            let revocation = Revocation {
                app: app("a"),
                revoked: revoked.clone(),
                expires_at: expires_at.map(Timestamp),
            };
            (*number, revocation)
        });
        RevocationPage {
            epoch,
            revocations: revocations.collect(),
            more: false,
        }
    }

    fn token(revocations: &Revocations, of: &str, issued_at: Option<i64>) -> Marks {
        let names = (Some("s1"), Some("t1"));
        let user = UserId::new("ann").unwrap();
        revocations.marks(&app(of), &user, names, issued_at.map(Timestamp))
    }

    #[test]
    fn a_user_keeps_what_was_issued_later() {
        let all = Revocations::default();
        assert!(!all.cover(token(&all, "a", Some(5))));

        assert!(!all.take(&page(1, &[(1, user(9), None)])));

        assert!(all.cover(token(&all, "a", Some(9))));
        assert!(all.cover(token(&all, "a", None)), "who knows when");
        assert!(!all.cover(token(&all, "a", Some(10))));
        assert!(!all.cover(token(&all, "b", Some(9))), "of another app");
    }

    #[test]
    fn sessions_and_tokens_are_revoked_by_their_names() {
        for revoked in [Revoked::Session(name("s1")), Revoked::Token(name("t1"))] {
            let all = Revocations::default();
            assert!(!all.take(&page(1, &[(1, revoked, None)])));
            assert!(all.cover(token(&all, "a", Some(i64::MAX - 1))));
        }
        for other in [Revoked::Session(name("t1")), Revoked::Token(name("s1"))] {
            let all = Revocations::default();
            assert!(!all.take(&page(1, &[(1, other.clone(), None)])));
            assert!(!all.cover(token(&all, "a", Some(5))), "{other:?}");
        }
    }

    #[test]
    fn who_has_no_token_is_revoked_while_the_user_is() {
        let all = Revocations::default();
        let named = |user: &str| all.marks_of(&app("a"), &UserId::new(user).unwrap());
        assert!(!all.take(&page(1, &[(1, Revoked::Session(name("ann")), None)])));
        assert!(!all.cover(named("ann")));

        assert!(!all.take(&page(1, &[(2, user(9), Some(20))])));

        assert!(all.cover(named("ann")) && !all.cover(named("bob")));
        all.forget(Timestamp(20));
        assert!(!all.cover(named("ann")));
    }

    #[test]
    fn an_older_revocation_takes_nothing_back() {
        let all = Revocations::default();

        assert!(!all.take(&page(1, &[(1, user(9), None), (2, user(3), Some(1))])));
        all.forget(Timestamp(5));

        assert!(all.cover(token(&all, "a", Some(9))));
        assert_eq!(all.last(), 2);
    }

    #[test]
    fn what_has_ended_by_itself_is_forgotten() {
        let all = Revocations::default();
        assert!(!all.take(&page(1, &[(1, user(9), Some(20))])));

        all.forget(Timestamp(19));
        assert!(all.cover(token(&all, "a", Some(9))));
        all.forget(Timestamp(20));

        assert!(!all.cover(token(&all, "a", Some(9))));
    }

    #[test]
    fn other_numbers_are_read_from_the_start() {
        let all = Revocations::default();
        assert!(!all.take(&page(1, &[(7, user(9), None)])));

        assert!(all.take(&page(2, &[])), "numbers of another generation");

        assert_eq!(all.last(), 0);
        assert!(!all.take(&page(2, &[(1, Revoked::Token(name("t1")), None)])));
        assert!(all.cover(token(&all, "a", Some(10))));
    }
}
