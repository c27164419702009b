//! The NATS client protocol, as far as one subscriber needs it: bytes in, operations out.
//!
//! Sans-IO. What is deliberately absent: headers (skipped: envelopes carry all they need), replies,
//! and any memory of what was subscribed.

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest control line accepted; nats-server's own limit is 4 KiB.
const MAX_LINE: usize = 4_096;

/// The longest `INFO`: it lists the addresses of the whole cluster.
const MAX_INFO: usize = 65_536;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The server's description of itself, as JSON.
    Info(Bytes),
    /// A message for the subscription `sid`.
    Message {
        /// Which subscription.
        sid: u64,
        /// What was published, without headers.
        payload: Bytes,
    },
    /// It wants a `PONG`.
    Ping,
    /// It answers a `PING`: all that was sent before it has taken effect.
    Pong,
    /// A confirmation that was not asked for.
    Ok,
    /// It refuses something, and closes the connection in most cases.
    Error(String),
}

/// Bytes that no nats-server sends. The caller closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A control line does not end within its limit.
    #[error("control line is too long")]
    LineTooLong,
    /// A control line is none that the protocol knows.
    #[error("unknown or malformed control line")]
    BadLine,
    /// A message is larger than the limit.
    #[error("payload of {0} bytes is too large")]
    TooLarge(usize),
    /// A payload is not followed by a line end.
    #[error("payload does not end where it should")]
    Unterminated,
}

/// Reads operations off a byte stream, however it is cut.
#[derive(Debug)]
pub struct Parser {
    max_payload: usize,
    /// The message whose payload has not arrived in full.
    pending: Option<Header>,
}

/// The control line of a message.
#[derive(Debug, Clone, Copy)]
struct Header {
    sid: u64,
    /// Bytes of headers in front of the payload.
    n_headers: usize,
    /// Bytes of headers and payload.
    n_total: usize,
}

impl Parser {
    /// Makes a parser that refuses payloads (headers included) above `max_payload` bytes.
    #[must_use]
    pub const fn new(max_payload: usize) -> Self {
        Self {
            max_payload,
            pending: None,
        }
    }

    /// Takes the next operation off the front of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// Returns a [`ProtocolError`] for what no server sends; the stream is useless from there on.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Operation>, ProtocolError> {
        if let Some(header) = self.pending {
            return self.payload(header, buffer);
        }
        let Some(line) = take_line(buffer)? else {
            return Ok(None);
        };
        let (verb, rest) = split_verb(&line);
        if verb.eq_ignore_ascii_case(b"MSG") {
            let header = self.header(rest, false)?;
            return self.payload(header, buffer);
        }
        if verb.eq_ignore_ascii_case(b"HMSG") {
            let header = self.header(rest, true)?;
            return self.payload(header, buffer);
        }
        let operation = if verb.eq_ignore_ascii_case(b"PING") {
            Operation::Ping
        } else if verb.eq_ignore_ascii_case(b"PONG") {
            Operation::Pong
        } else if verb.eq_ignore_ascii_case(b"+OK") {
            Operation::Ok
        } else if verb.eq_ignore_ascii_case(b"INFO") {
            Operation::Info(line.slice_ref(rest))
        } else if verb.eq_ignore_ascii_case(b"-ERR") {
            let text = String::from_utf8_lossy(rest);
            Operation::Error(text.trim_matches('\'').to_owned())
        } else {
            return Err(ProtocolError::BadLine);
        };
        Ok(Some(operation))
    }

    /// Reads `<subject> <sid> [reply] [header bytes] <total bytes>`.
    fn header(&self, line: &[u8], has_headers: bool) -> Result<Header, ProtocolError> {
        let mut fields = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|field| !field.is_empty());
        let _subject = fields.next();
        let sid = fields.next().and_then(number);
        let sizes: Vec<&[u8]> = fields.collect();
        let (n_headers, n_total) = match (has_headers, sizes.as_slice()) {
            (false, [total] | [_, total]) => (Some(0), number(total)),
            (true, [headers, total] | [_, headers, total]) => (number(headers), number(total)),
            _ => return Err(ProtocolError::BadLine),
        };
        let (Some(sid), Some(n_headers), Some(n_total)) = (sid, n_headers, n_total) else {
            return Err(ProtocolError::BadLine);
        };
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let header = Header {
            sid,
            n_headers: size(n_headers),
            n_total: size(n_total),
        };
        if header.n_total < header.n_headers {
            return Err(ProtocolError::BadLine);
        }
        if self.max_payload < header.n_total {
            return Err(ProtocolError::TooLarge(header.n_total));
        }
        Ok(header)
    }

    fn payload(
        &mut self,
        header: Header,
        buffer: &mut BytesMut,
    ) -> Result<Option<Operation>, ProtocolError> {
        if buffer.len() < header.n_total + 2 {
            self.pending = Some(header);
            return Ok(None);
        }
        self.pending = None;
        let mut payload = buffer.split_to(header.n_total).freeze();
        if !buffer.starts_with(b"\r\n") {
            return Err(ProtocolError::Unterminated);
        }
        buffer.advance(2);
        payload.advance(header.n_headers);
        Ok(Some(Operation::Message {
            sid: header.sid,
            payload,
        }))
    }
}

/// Takes one line off the front, without its end.
fn take_line(buffer: &mut BytesMut) -> Result<Option<Bytes>, ProtocolError> {
    let limit = match buffer.first() {
        Some(b'I' | b'i') => MAX_INFO,
        _ => MAX_LINE,
    };
    match memchr::memchr(b'\n', buffer) {
        Some(end) if end <= limit => {
            let mut line = buffer.split_to(end + 1);
            line.truncate(end);
            if line.ends_with(b"\r") {
                line.truncate(end - 1);
            }
            Ok(Some(line.freeze()))
        }
        Some(_) => Err(ProtocolError::LineTooLong),
        None if limit < buffer.len() => Err(ProtocolError::LineTooLong),
        None => Ok(None),
    }
}

fn split_verb(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| matches!(byte, b' ' | b'\t')) {
        Some(end) => {
            let (verb, rest) = line.split_at(end);
            (verb, rest.trim_ascii())
        }
        None => (line, &[]),
    }
}

/// Reads decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Operation>, ProtocolError> {
        let mut parser = Parser::new(1_000);
        let mut buffer = BytesMut::from(bytes);
        let mut operations = Vec::new();
        while let Some(operation) = parser.next(&mut buffer)? {
            operations.push(operation);
        }
        Ok(operations)
    }

    #[test]
    fn every_operation_is_read() {
        let operations = all(
            b"INFO {\"max_payload\":1048576} \r\n+OK\r\nPING\r\nPONG\r\n-ERR 'Stale Connection'\r\n\
              MSG a.b 7 5\r\nhello\r\nMSG a.b 8 reply.to 2\r\n\r\n\r\n\
              HMSG a.b 9 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        );

        let message = |sid, payload: &'static [u8]| Operation::Message {
            sid,
            payload: Bytes::from_static(payload),
        };
        assert_eq!(
            operations.unwrap(),
            [
                Operation::Info(Bytes::from_static(b"{\"max_payload\":1048576}")),
                Operation::Ok,
                Operation::Ping,
                Operation::Pong,
                Operation::Error("Stale Connection".to_owned()),
                message(7, b"hello"),
                message(8, b"\r\n"),
                message(9, b"hi"),
            ]
        );
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        for (bytes, error) in [
            (b"HELLO\r\n".as_slice(), ProtocolError::BadLine),
            (b"\r\n", ProtocolError::BadLine),
            (b"MSG a 1\r\n", ProtocolError::BadLine),
            (b"MSG a -1 2\r\n", ProtocolError::BadLine),
            (b"MSG a 1 +2\r\n", ProtocolError::BadLine),
            (b"MSG a 1 99999999999999999999\r\n", ProtocolError::BadLine),
            (b"HMSG a 1 5 4\r\n", ProtocolError::BadLine),
            (b"MSG a 1 1001\r\n", ProtocolError::TooLarge(1_001)),
            (b"MSG a 1 2\r\nabcd\r\n", ProtocolError::Unterminated),
        ] {
            assert_eq!(all(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        assert_eq!(all(&[b'x'; MAX_LINE + 1]), Err(ProtocolError::LineTooLong));
        let mut info = vec![b' '; MAX_LINE + 1];
        info[..5].copy_from_slice(b"INFO ");
        assert_eq!(all(&info), Ok(vec![]));
        info.resize(MAX_INFO + 1, b' ');
        assert_eq!(all(&info), Err(ProtocolError::LineTooLong));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cuts_change_nothing(operations in stream(), cuts in cuts()) {
            let bytes: Vec<u8> = operations.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let expected: Vec<Operation> =
                operations.into_iter().map(|(_, operation)| operation).collect();

            prop_assert_eq!(read_cut(&bytes, &cuts).unwrap(), expected);
        }

        #[test]
        fn no_input_panics(bytes in any::<Vec<u8>>(), cuts in cuts()) {
            let _ = read_cut(&bytes, &cuts);
        }

        #[test]
        fn no_almost_valid_input_panics(
            operations in stream(),
            cuts in cuts(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes: Vec<u8> = operations.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let index = at.index(bytes.len());
            bytes[index] = byte;

            let _ = read_cut(&bytes, &cuts);
        }
    }

    fn read_cut(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Operation>, ProtocolError> {
        let mut parser = Parser::new(1_000);
        let mut buffer = BytesMut::new();
        let mut operations = Vec::new();
        let mut rest = bytes;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = cuts.next().copied().unwrap_or(1).min(rest.len());
            let (piece, after) = rest.split_at(cut);
            buffer.extend_from_slice(piece);
            rest = after;
            while let Some(operation) = parser.next(&mut buffer)? {
                operations.push(operation);
            }
        }
        Ok(operations)
    }

    fn cuts() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(1_usize..40, 1..8)
    }

    fn stream() -> impl Strategy<Value = Vec<(Vec<u8>, Operation)>> {
        prop::collection::vec(operation(), 1..12)
    }

    fn operation() -> impl Strategy<Value = (Vec<u8>, Operation)> {
        prop_oneof![
            Just((b"PING\r\n".to_vec(), Operation::Ping)),
            Just((b"pong\r\n".to_vec(), Operation::Pong)),
            Just((b"+OK\n".to_vec(), Operation::Ok)),
            (any::<u64>(), any::<Vec<u8>>()).prop_map(|(sid, payload)| {
                let mut bytes =
                    format!("MSG  some.subject {sid} {}\r\n", payload.len()).into_bytes();
                bytes.extend_from_slice(&payload);
                bytes.extend_from_slice(b"\r\n");
                let payload = payload.into();
                (bytes, Operation::Message { sid, payload })
            }),
        ]
    }
}
