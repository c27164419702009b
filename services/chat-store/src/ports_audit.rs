//! The log of who did what with whose messages, which is only added to.
//!
//! Not here: what is logged when, which is the use cases'. Nothing in it is what somebody wrote.

use std::{fmt, str::FromStr};

use chat_domain::{AppId, ConversationId, Seq, UserId};

use crate::ports::Answer;

/// What was done, or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "described where they are recorded")]
pub enum Action {
    SignIn,
    Resume,
    Read,
    Sync,
    Search,
    List,
    Download,
    Enter,
    Open,
    Send,
    Call,
    PutUser,
    PutBooking,
    PutBusiness,
    Associate,
    Dissociate,
    Revoke,
    Account,
    Trace,
    Export,
    Hold,
    Release,
    Erase,
}

impl Action {
    /// Returns the name that is stored and hashed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Resume => "resume",
            Self::Read => "read",
            Self::Sync => "sync",
            Self::Search => "search",
            Self::List => "list",
            Self::Download => "download",
            Self::Enter => "enter",
            Self::Open => "open",
            Self::Send => "send",
            Self::Call => "call",
            Self::PutUser => "put_user",
            Self::PutBooking => "put_booking",
            Self::PutBusiness => "put_business",
            Self::Associate => "associate",
            Self::Dissociate => "dissociate",
            Self::Revoke => "revoke",
            Self::Account => "account",
            Self::Trace => "trace",
            Self::Export => "export",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Erase => "erase",
        }
    }
}

/// Something to be logged.
#[derive(Debug, Clone)]
pub struct Access {
    /// The app it happened in.
    pub app: AppId,
    /// The user, the person that an internal service acted for, or the way by which that service came.
    pub actor: String,
    /// What was done or asked for.
    pub action: Action,
    /// It was not allowed, and not done.
    pub is_refused: bool,
    /// The connection, as [`chat_domain::call::DeviceId`] prints it.
    pub device: Option<String>,
    /// The user that it was about.
    pub subject: Option<UserId>,
    /// The conversation that it was about, or the id that was named in vain.
    pub conversation: Option<ConversationId>,
    /// The first and the last message that was shown.
    pub seqs: Option<(Seq, Seq)>,
    /// Counts and reasons.
    pub detail: Option<String>,
}

impl Access {
    /// Says that `actor` did `action`.
    #[must_use]
    pub fn new(app: &AppId, actor: impl Into<String>, action: Action) -> Self {
        Self {
            app: app.clone(),
            actor: actor.into(),
            action,
            is_refused: false,
            device: None,
            subject: None,
            conversation: None,
            seqs: None,
            detail: None,
        }
    }

    /// Says of which conversation, and which of its messages were shown, in whatever order.
    #[must_use]
    pub fn of(self, conversation: ConversationId, shown: impl IntoIterator<Item = Seq>) -> Self {
        let mut seqs: Option<(Seq, Seq)> = None;
        for seq in shown {
            let (first, last) = seqs.unwrap_or((seq, seq));
            seqs = Some((first.min(seq), last.max(seq)));
        }
        Self {
            conversation: Some(conversation),
            seqs,
            ..self
        }
    }
}

/// SHA-256.
pub type Hash = [u8; 32];

/// A place of an app's chain, and what is there: who knows it notices when what is before it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The place: 1, 2, 3, …; 0 is the beginning.
    pub place: u64,
    /// The hash of the row there, and so of all before it.
    pub hash: Hash,
}

/// A [`Link`] of an app's chain, to be kept where who can write the database cannot: `app:place:hash`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Head {
    pub app: AppId,
    pub link: Link,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.app, self.link.place)?;
        self.link
            .hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a head is app:place:hash, as it was logged";
        let mut parts = text.rsplitn(3, ':');
        let (hash, place, app) = (parts.next(), parts.next(), parts.next());
        let hash = hash
            .filter(|hash| hash.len() == 64 && hash.is_ascii())
            .ok_or(FORM)?;
        let mut bytes = Hash::default();
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = hash.get(2 * at..2 * at + 2).ok_or(FORM)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| FORM)?;
        }
        Ok(Self {
            app: AppId::new(app.unwrap_or_default()).map_err(|_| FORM)?,
            link: Link {
                place: place.and_then(|place| place.parse().ok()).ok_or(FORM)?,
                hash: bytes,
            },
        })
    }
}

/// A row as it is stored, whatever happened to it since it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields, as in Access")]
pub struct Recorded {
    pub place: u64,
    /// Microseconds since 1970.
    pub at_us: i64,
    pub actor: String,
    pub action: String,
    pub outcome: String,
    pub device: Option<String>,
    pub subject: Option<String>,
    pub conversation: Option<ConversationId>,
    pub first_seq: Option<i64>,
    pub last_seq: Option<i64>,
    pub detail: Option<String>,
    pub hash: Vec<u8>,
}

/// Adds to the log, and reads it.
pub trait AuditLog: Send + Sync {
    /// Stores entries in one transaction and returns where each is, in order.
    fn record<'a>(&'a self, entries: &'a [Access]) -> Answer<'a, Vec<Link>>;

    /// Returns at most `limit` rows of an app behind a place, oldest first.
    fn list_recorded<'a>(
        &'a self,
        app: &'a AppId,
        after: u64,
        limit: u32,
    ) -> Answer<'a, Vec<Recorded>>;

    /// Returns every app that has rows, or an end.
    fn list_chains(&self) -> Answer<'_, Vec<AppId>>;

    /// Returns the end of each app's chain, as the log itself has it.
    fn list_ends(&self) -> Answer<'_, Vec<(AppId, Link)>>;

    /// Returns at most `limit` rows before a place that concern a user: what was done in one of its
    /// conversations, or with its data; newest first.
    fn list_accesses<'a>(
        &'a self,
        app: &'a AppId,
        user: &'a UserId,
        before: u64,
        limit: u32,
    ) -> Answer<'a, Vec<Recorded>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_logged() {
        let head = Head {
            app: AppId::new("consult").unwrap(),
            link: Link {
                place: 17,
                hash: std::array::from_fn(|at| u8::try_from(at * 7).unwrap()),
            },
        };

        assert_eq!(head.to_string().parse(), Ok(head));
        for text in [
            "",
            "a:1",
            "a:x:00",
            ":1:",
            "a:1:zz",
            &format!("a:1:{}", "é".repeat(32)),
        ] {
            assert!(text.parse::<Head>().is_err(), "{text}");
        }
    }
}
