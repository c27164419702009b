//! Who writes: users, their roles, and the dialect of their app.

use crate::{ChatError, UserId};

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
