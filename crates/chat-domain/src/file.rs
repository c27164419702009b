//! Files that users attach: which there may be, and whether one is what it is said to be.
//!
//! Not here: where they are kept, and who may have them.

use crate::{AppId, AttachmentId, ChatError, ConversationId, Dialect, MessageKind, UserId};

/// A type of file that may be attached: nothing that a browser would run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileType(&'static Known);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Known {
    name: &'static str,
    /// How names of such files end.
    extensions: &'static [&'static str],
    signature: Signature,
}

/// How files of a type begin.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Signature {
    /// With one of these.
    Start(&'static [&'static [u8]]),
    /// With this at that place.
    At(usize, &'static [u8]),
    /// With `RIFF`, a length, and this.
    Riff(&'static [u8]),
    /// With text.
    Text,
}

const EBML: Signature = Signature::Start(&[b"\x1a\x45\xdf\xa3"]);
const ISO_MEDIA: Signature = Signature::At(4, b"ftyp");
const MPEG_AUDIO: Signature = Signature::Start(&[b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"]);

const PDF: &str = "application/pdf";

const KNOWN: [Known; 14] = [
    known(
        "image/jpeg",
        &["jpg", "jpeg"],
        Signature::Start(&[b"\xff\xd8\xff"]),
    ),
    known(
        "image/png",
        &["png"],
        Signature::Start(&[b"\x89PNG\r\n\x1a\n"]),
    ),
    known(
        "image/gif",
        &["gif"],
        Signature::Start(&[b"GIF87a", b"GIF89a"]),
    ),
    known("image/webp", &["webp"], Signature::Riff(b"WEBP")),
    known(PDF, &["pdf"], Signature::Start(&[b"%PDF-"])),
    known("text/plain", &["txt"], Signature::Text),
    known("audio/mpeg", &["mp3"], MPEG_AUDIO),
    known(
        "audio/ogg",
        &["ogg", "oga", "opus"],
        Signature::Start(&[b"OggS"]),
    ),
    known("audio/wav", &["wav"], Signature::Riff(b"WAVE")),
    known("audio/webm", &["weba", "webm"], EBML),
    known("audio/mp4", &["m4a", "mp4"], ISO_MEDIA),
    known("video/webm", &["webm"], EBML),
    known("video/mp4", &["mp4"], ISO_MEDIA),
    known("video/quicktime", &["mov"], ISO_MEDIA),
];

const fn known(
    name: &'static str,
    extensions: &'static [&'static str],
    signature: Signature,
) -> Known {
    Known {
        name,
        extensions,
        signature,
    }
}

impl FileType {
    /// How many bytes of a file tell what it is.
    pub const HEAD: usize = 512;

    /// Parses a media type; parameters are left out.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::FileTypeNotAllowed`] for one that may not be attached.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        KNOWN
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(essence))
            .map(Self)
            .ok_or(ChatError::FileTypeNotAllowed)
    }

    /// Returns the first type whose files have names that end like `name`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        KNOWN.iter().map(Self).find(|known| known.fits_name(name))
    }

    /// Returns the media type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }

    /// Tells whether a message of `kind` may carry it in an app of `dialect`: care takes documents and
    /// pictures alone, and sounds for voice messages.
    #[must_use]
    pub fn suits(self, kind: MessageKind, dialect: Dialect) -> bool {
        let is_image = self.0.name.starts_with("image/");
        match (kind, dialect) {
            (MessageKind::Image, _) => is_image,
            (MessageKind::Voice, _) => self.0.name.starts_with("audio/"),
            (_, Dialect::Care) => is_image || self.0.name == PDF,
            (_, Dialect::Consult | Dialect::Clinic | Dialect::Booking) => true,
        }
    }

    /// Tells whether a file of this type may have that name: what is saved under it is opened as it.
    #[must_use]
    pub fn fits_name(self, name: &str) -> bool {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let known = self.0.extensions.iter();
        known
            .into_iter()
            .any(|one| one.eq_ignore_ascii_case(extension))
    }

    /// Tells whether a file that begins with `head` can be of this type.
    #[must_use]
    pub fn begins_with(self, head: &[u8]) -> bool {
        match &self.0.signature {
            Signature::Start(starts) => starts.iter().any(|start| head.starts_with(start)),
            Signature::At(place, text) => head
                .get(*place..)
                .is_some_and(|rest| rest.starts_with(text)),
            Signature::Riff(kind) => {
                head.starts_with(b"RIFF")
                    && head.get(8..).is_some_and(|rest| rest.starts_with(kind))
            }
            Signature::Text => is_text(head),
        }
    }
}

/// The head may end within a character.
fn is_text(head: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !head.contains(&0)
}

/// A file that somebody attaches to a conversation.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain fields")]
pub struct File {
    pub id: AttachmentId,
    pub app: AppId,
    pub conversation: ConversationId,
    pub uploader: UserId,
    pub name: String,
    pub file_type: FileType,
    /// In bytes.
    pub size: u64,
}

impl File {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 255;

    /// Checks the name of a file of a type: one part of a path that ends like the type, and nothing in
    /// it that does not print or that turns the rest of it round.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::FileNameNotAllowed`] otherwise.
    pub fn check_name(name: &str, file_type: FileType) -> Result<(), ChatError> {
        let is_bad = |c: char| c.is_control() || is_direction(c) || matches!(c, '/' | '\\');
        let is_good = name.len() <= Self::MAX_NAME && !name.chars().any(is_bad);
        if is_good && file_type.fits_name(name) {
            return Ok(());
        }
        Err(ChatError::FileNameNotAllowed)
    }

    /// Tells whether `size` bytes that begin with `head` are this file.
    #[must_use]
    pub fn is(&self, size: u64, head: &[u8]) -> bool {
        size == self.size && self.file_type.begins_with(head)
    }
}

/// Marks that change the direction of the text after them: `gpj.exe` reads as `exe.jpg` with one.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({}, {})", self.id, self.file_type.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_begins_with() {
        for (name, head) in [
            ("image/png", &b"\x89PNG\r\n\x1a\n...."[..]),
            ("image/webp", b"RIFF\x01\x02\x03\x04WEBPVP8 "),
            ("video/mp4", b"\0\0\0\x18ftypisom"),
            ("Application/PDF; charset=binary", b"%PDF-1.7"),
            ("text/plain", "grüß dich".as_bytes()),
            ("text/plain", &"ü".as_bytes()[..1]),
        ] {
            assert!(FileType::parse(name).unwrap().begins_with(head), "{name}");
        }
        for (name, head) in [
            ("image/png", &b"<script>"[..]),
            ("image/png", b""),
            ("image/webp", b"RIFF"),
            ("audio/wav", b"RIFF\x01\x02\x03\x04WEBP"),
            ("text/plain", b"a\0b"),
            ("text/plain", b"\xff\xfe"),
        ] {
            assert!(!FileType::parse(name).unwrap().begins_with(head), "{name}");
        }
    }

    #[test]
    fn what_a_browser_would_run_is_no_attachment() {
        for name in ["text/html", "image/svg+xml", "application/javascript", ""] {
            assert!(FileType::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path_and_ends_like_its_type() {
        let png = FileType::parse("image/png").unwrap();

        assert!(File::check_name("Röntgen 1.PNG", png).is_ok());
        let long = format!("{}.png", "a".repeat(252));
        for name in [
            "",
            "png",
            "../a.png",
            "a\\b.png",
            "a\nb.png",
            "a.exe",
            "a.png.",
            "gnp.\u{202e}x.png",
            &long,
        ] {
            assert!(File::check_name(name, png).is_err(), "{name}");
        }
    }

    #[test]
    fn care_carries_documents_and_pictures() {
        use MessageKind::{File, Image, Text, Voice};

        for (name, kind, care, booking) in [
            ("application/pdf", File, true, true),
            ("application/pdf", Image, false, false),
            ("image/png", Image, true, true),
            ("image/png", Text, true, true),
            ("video/mp4", File, false, true),
            ("audio/ogg", Voice, true, true),
            ("audio/ogg", File, false, true),
            ("text/plain", File, false, true),
        ] {
            let known = FileType::parse(name).unwrap();
            assert_eq!(known.suits(kind, Dialect::Care), care, "{name}");
            assert_eq!(known.suits(kind, Dialect::Booking), booking, "{name}");
        }
    }

    #[test]
    fn a_name_tells_a_type() {
        let told = |name| FileType::of_name(name).map(FileType::as_str);

        assert_eq!(told("a.JPEG"), Some("image/jpeg"));
        assert_eq!(told("a.b.pdf"), Some("application/pdf"));
        for name in ["a.exe", "a.html", "pdf", "a.", ""] {
            assert_eq!(told(name), None, "{name}");
        }
    }
}
