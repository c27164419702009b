//! Messages: what may be sent, and what was stored.

use std::fmt;

use crate::{
    AttachmentId, ChatError, ClientKey, ConversationId, Dialect, FileType, MessageId, Role, Seq,
    Timestamp, UserId,
};

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the contract's message types")]
pub enum MessageKind {
    Text,
    File,
    Image,
    Voice,
    System,
}

impl MessageKind {
    /// Returns the wire's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::File => "file",
            Self::Image => "image",
            Self::Voice => "voice",
            Self::System => "system",
        }
    }

    /// Parses the wire's spelling.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::UnknownMessageType`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        match text {
            "text" => Ok(Self::Text),
            "file" => Ok(Self::File),
            "image" => Ok(Self::Image),
            "voice" => Ok(Self::Voice),
            "system" => Ok(Self::System),
            _ => Err(ChatError::UnknownMessageType),
        }
    }
}

/// A file that a message points to.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Attachment {
    pub url: String,
    pub name: Option<String>,
}

impl Attachment {
    /// The longest URL or name accepted, in bytes.
    pub const MAX_BYTES: usize = 2_048;

    /// How the URL begins that names a file which was uploaded here, until the store has found it.
    const UPLOADED: &str = "attachment:";

    /// Returns the URL of a file that was uploaded here under an id, which [`Self::new`] checks.
    #[must_use]
    pub fn reference(id: &str) -> String {
        format!("{}{id}", Self::UPLOADED)
    }

    /// Returns the file that was uploaded here, if it names one.
    #[must_use]
    pub fn upload(&self) -> Option<AttachmentId> {
        let id = self.url.strip_prefix(Self::UPLOADED)?;
        AttachmentId::parse(id).ok()
    }

    /// Returns the type that its name tells, or that of the URL where it has none.
    #[must_use]
    pub fn told_type(&self) -> Option<FileType> {
        let path = self.url.split(['?', '#']).next();
        let name = self.name.as_deref().filter(|name| name.contains('.'));
        FileType::of_name(name.or(path)?)
    }

    /// Tells whether a message of `kind` may carry it in an app of `dialect`, as far as its name tells.
    /// Only care asks.
    #[must_use]
    pub fn suits(&self, kind: MessageKind, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Care => self
                .told_type()
                .is_some_and(|told| told.suits(kind, dialect)),
            Dialect::Consult | Dialect::Clinic | Dialect::Booking => true,
        }
    }

    /// Checks the URL (`https`, or `http` for development, or a [`Self::reference`]) and the
    /// lengths.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::InvalidFileUrl`] otherwise.
    pub fn new(url: &str, name: Option<&str>) -> Result<Self, ChatError> {
        let upload = url.strip_prefix(Self::UPLOADED);
        let web = url.starts_with("https://")
            || url.starts_with("http://")
            || upload.is_some_and(|id| AttachmentId::parse(id).is_ok());
        let short =
            url.len() <= Self::MAX_BYTES && name.is_none_or(|name| name.len() <= Self::MAX_BYTES);
        let clean = |text: &str| !text.chars().any(char::is_control);
        if !web || !short || !clean(url) || !name.is_none_or(clean) {
            return Err(ChatError::InvalidFileUrl);
        }
        Ok(Self {
            url: url.to_owned(),
            name: name.map(str::to_owned),
        })
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attachment([redacted])")
    }
}

/// The checked content of a message. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    kind: MessageKind,
    text: String,
    attachment: Option<Attachment>,
}

impl Content {
    /// The longest text accepted unless the app sets less, in Unicode scalar values.
    pub const MAX_CHARS: usize = 4_000;

    /// Checks what a user wants to send; `text` is trimmed.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::ContentEmpty`], [`ChatError::ContentTooLong`] past `max_chars`,
    /// [`ChatError::ContentHasNul`], [`ChatError::FileMissing`] for a file or image without one, and
    /// [`ChatError::UnknownMessageType`] for `system`, which users cannot send.
    pub fn new(
        kind: MessageKind,
        text: &str,
        attachment: Option<Attachment>,
        max_chars: usize,
    ) -> Result<Self, ChatError> {
        if kind == MessageKind::System {
            return Err(ChatError::UnknownMessageType);
        }
        Self::checked(kind, text, attachment, max_chars)
    }

    /// Checks the text of a message that the system itself writes.
    ///
    /// # Errors
    ///
    /// Returns what [`Content::new`] does for the text.
    pub fn system(text: &str) -> Result<Self, ChatError> {
        Self::checked(MessageKind::System, text, None, Self::MAX_CHARS)
    }

    fn checked(
        kind: MessageKind,
        text: &str,
        attachment: Option<Attachment>,
        max_chars: usize,
    ) -> Result<Self, ChatError> {
        let text = text.trim();
        let needs_file = matches!(kind, MessageKind::File | MessageKind::Image);
        if needs_file && attachment.is_none() {
            return Err(ChatError::FileMissing);
        }
        if text.is_empty() && attachment.is_none() {
            return Err(ChatError::ContentEmpty);
        }
        if text.contains('\0') {
            return Err(ChatError::ContentHasNul);
        }
        // A text of n bytes has at most n characters: most need no counting.
        if max_chars < text.len() && max_chars < text.chars().count() {
            return Err(ChatError::ContentTooLong { max_chars });
        }
        Ok(Self {
            kind,
            text: text.to_owned(),
            attachment,
        })
    }

    /// Wraps what was checked when it was stored.
    #[must_use]
    pub fn stored(kind: MessageKind, text: String, attachment: Option<Attachment>) -> Self {
        Self {
            kind,
            text,
            attachment,
        }
    }

    /// Returns the type of the message.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns the text, which may be empty beside an attachment.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the file the message points to, if any.
    #[must_use]
    pub const fn attachment(&self) -> Option<&Attachment> {
        self.attachment.as_ref()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({:?}, [redacted])", self.kind)
    }
}

/// A message on its way into a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The conversation it goes to.
    pub conversation: ConversationId,
    /// Who sends it.
    pub sender: UserId,
    /// What makes a repeated send the same message.
    pub key: ClientKey,
    /// What it says.
    pub content: Content,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct Message {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub seq: Seq,
    pub sender: UserId,
    pub sender_role: Role,
    /// The sender's own id of it, when the client gave one.
    pub client_key: Option<ClientKey>,
    pub content: Content,
    pub created_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
}

/// What happened to messages on their reader's side; never undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Receipt {
    /// Written to a live socket of the recipient, or read by it through REST.
    Delivered,
    /// Marked by the recipient.
    Read,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Result<Content, ChatError> {
        Content::new(MessageKind::Text, text, None, Content::MAX_CHARS)
    }

    #[test]
    fn text_is_trimmed_and_bounded() {
        assert_eq!(text("  hello \n").unwrap().text(), "hello");
        assert!(text(&"é".repeat(4_000)).is_ok());
        assert!(matches!(
            text(&"é".repeat(4_001)),
            Err(ChatError::ContentTooLong { .. })
        ));
        assert!(matches!(text(" \n\t"), Err(ChatError::ContentEmpty)));
        assert!(matches!(text("a\0b"), Err(ChatError::ContentHasNul)));
    }

    #[test]
    fn a_file_needs_a_file_and_no_text() {
        let file = Attachment::new("https://files.example/a.pdf", Some("a.pdf")).unwrap();

        assert!(Content::new(MessageKind::File, "", Some(file), 10).is_ok());
        assert!(matches!(
            Content::new(MessageKind::Image, "look", None, 10),
            Err(ChatError::FileMissing)
        ));
    }

    #[test]
    fn the_name_of_a_file_or_its_url_tells_its_type() {
        let told = |url, name| {
            let file = Attachment::new(url, name).unwrap();
            file.told_type().map(FileType::as_str)
        };

        assert_eq!(
            told("https://a.b/c", Some("d.pdf")),
            Some("application/pdf")
        );
        assert_eq!(told("https://a.b/c.png?d=e.exe", None), Some("image/png"));
        assert_eq!(told("https://a.b/c.png", Some("d")), Some("image/png"));
        assert_eq!(told("https://a.b/c.png", Some("d.exe")), None);
        assert_eq!(told("https://a.b/c#d.png", None), None);
    }

    #[test]
    fn only_an_id_names_what_was_uploaded_here() {
        let id = AttachmentId(uuid::Uuid::from_u128(7));
        let reference = Attachment::reference(&id.to_string());

        let named = Attachment::new(&reference, None).unwrap();
        assert_eq!(named.upload(), Some(id));
        assert!(Attachment::new(&Attachment::reference("../7"), None).is_err());
        let elsewhere = Attachment::new("https://a.b/c.png", None).unwrap();
        assert_eq!(elsewhere.upload(), None);
    }

    #[test]
    fn users_cannot_send_system_messages() {
        assert!(Content::new(MessageKind::System, "x", None, 10).is_err());
        assert!(Content::system("call ended").is_ok());
    }

    #[test]
    fn content_never_prints() {
        assert!(!format!("{:?}", text("secret").unwrap()).contains("secret"));
    }
}
