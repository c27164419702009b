//! Who writes: users, their roles, and the dialect of their app.

use uuid::Uuid;

use crate::{ChatError, SubjectId, UserId};

/// How the clients of an app talk; fixes namespace, event names and shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Consultant and patient, conversation per booking, namespace `/chat`, calls.
    Consult,
    /// Doctor and patient, conversation per pair.
    Care,
    /// Clinic staff, conversation per pair, identity by e-mail.
    Clinic,
    /// Client and business, conversation per booking.
    Booking,
}

impl Dialect {
    /// Reads the id of a user in the one spelling that tokens and other services mean by it.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::InvalidId`] for what is none: the consult dialect knows UUIDs alone.
    pub fn user_id(self, text: &str) -> Result<UserId, ChatError> {
        match self {
            Self::Consult => UserId::new(&uuid(text, "UserId")?),
            Self::Clinic => UserId::new(&text.to_lowercase()),
            Self::Care | Self::Booking => UserId::new(text),
        }
    }

    /// Reads the id of a booking in such a spelling.
    ///
    /// # Errors
    ///
    /// As [`Self::user_id`].
    pub fn booking_id(self, text: &str) -> Result<SubjectId, ChatError> {
        match self {
            Self::Consult => SubjectId::new(&uuid(text, "SubjectId")?),
            Self::Care | Self::Clinic | Self::Booking => SubjectId::new(text),
        }
    }
}

/// Reads a UUID in its hyphenated form; letters of either case are the same id.
fn uuid(text: &str, what: &'static str) -> Result<String, ChatError> {
    let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    Ok(uuid.ok_or(ChatError::InvalidId(what))?.to_string())
}

/// What a user is to the others of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the contract's roles")]
pub enum Role {
    Consultant,
    Patient,
    Doctor,
    Admin,
    Client,
    Business,
}

impl Role {
    /// Returns the role as tokens and the wire spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consultant => "consultant",
            Self::Patient => "patient",
            Self::Doctor => "doctor",
            Self::Admin => "admin",
            Self::Client => "client",
            Self::Business => "business",
        }
    }

    /// Parses the wire's spelling.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::UnknownRole`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        match text {
            "consultant" => Ok(Self::Consultant),
            "patient" => Ok(Self::Patient),
            "doctor" => Ok(Self::Doctor),
            "admin" => Ok(Self::Admin),
            "client" => Ok(Self::Client),
            "business" => Ok(Self::Business),
            _ => Err(ChatError::UnknownRole),
        }
    }

    /// Tells whether the dialect knows the role.
    #[must_use]
    pub const fn belongs_to(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Consult => matches!(self, Self::Consultant | Self::Patient),
            Dialect::Care => matches!(self, Self::Doctor | Self::Patient),
            Dialect::Clinic => matches!(self, Self::Admin | Self::Doctor),
            Dialect::Booking => matches!(self, Self::Client | Self::Business),
        }
    }
}

/// A user as the directory knows it. Name and e-mail are personal: never log a `User`.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct User {
    pub id: UserId,
    pub role: Role,
    pub name: Option<String>,
    pub email: Option<String>,
    pub avatar_url: Option<String>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_in_its_dialect() {
        let upper = "0199A7DE-0000-7000-8000-000000000001";
        let id = |dialect: Dialect, text| dialect.user_id(text).unwrap();

        assert_eq!(id(Dialect::Consult, upper).as_str(), upper.to_lowercase());
        assert!(Dialect::Consult.user_id("42").is_err());
        assert!(Dialect::Consult.booking_id("42").is_err());
        assert_eq!(id(Dialect::Clinic, "A@X.example").as_str(), "a@x.example");
        assert_eq!(id(Dialect::Care, "A").as_str(), "A");
    }
}
