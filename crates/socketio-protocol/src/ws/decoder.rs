//! From bytes to messages: unmasking, fragments, limits. Answers nothing: pings and closes are
//! handed to the caller like every message.

use std::mem;

use super::{
    CloseCode, WsError,
    header::{self, Header, OpCode},
};

/// A message, or a control frame, borrowed from where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, valid UTF-8.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// Asks for a [`Message::Pong`] with the same payload, of at most 125 bytes.
    Ping(&'a [u8]),
    /// Answers a ping.
    Pong(&'a [u8]),
    /// The peer is done. Nothing follows.
    Close(Option<CloseCode>),
}

/// Decodes the frames of one connection.
///
/// It owns memory only while a message is incomplete: everything that arrives in one piece is
/// unmasked where the caller read it and lent to the caller from there. Ten thousand idle
/// connections can therefore share one read buffer per thread.
///
/// # Examples
///
/// ```
/// use socketio_protocol::ws::{Decoder, Message, OpCode, client};
///
/// let mut decoder = Decoder::new(1_000_000);
/// let mut read = client::frame(OpCode::Text, b"40", [1, 2, 3, 4]);
///
/// decoder.decode(&mut read, |message| assert_eq!(message, Message::Text("40")))?;
/// # Ok::<_, socketio_protocol::ws::WsError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// The unmasked fragments of the message so far, then the raw bytes of an incomplete frame.
    pending: Vec<u8>,
    /// How many bytes of `pending` are fragments.
    assembled: usize,
    max_message: usize,
    /// What the fragments will be, while there are any.
    fragmented: Option<Kind>,
    n_empty_fragments: u8,
    peer: Peer,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Client,
    Server,
}

impl Decoder {
    /// The most empty fragments of one message. They cost the sender next to nothing, and the
    /// limit on the size does not see them.
    const MAX_EMPTY_FRAGMENTS: u8 = 16;

    /// Creates the decoder of a server: frames must be masked, messages have at most
    /// `max_message` bytes.
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        Self::with_peer(max_message, Peer::Client)
    }

    /// Creates the decoder of a client: frames must not be masked.
    #[must_use]
    pub const fn for_client(max_message: usize) -> Self {
        Self::with_peer(max_message, Peer::Server)
    }

    const fn with_peer(max_message: usize, peer: Peer) -> Self {
        Self {
            pending: Vec::new(),
            assembled: 0,
            max_message,
            fragmented: None,
            n_empty_fragments: 0,
            peer,
            closed: false,
        }
    }

    /// Decodes what was read and hands each complete message to `sink`, in order.
    ///
    /// `input` is scratch afterwards. Bytes after a close frame are ignored.
    ///
    /// # Errors
    ///
    /// Returns the first rule that the peer breaks; messages before it were handed on. The caller
    /// closes the connection with [`WsError::close_code`]. A message over the limit is refused by
    /// its header, before anything is stored.
    pub fn decode(
        &mut self,
        mut input: &mut [u8],
        mut sink: impl FnMut(Message<'_>),
    ) -> Result<(), WsError> {
        while !self.closed && !input.is_empty() {
            let decoded = if self.tail().is_empty() {
                self.decode_in_place(input, &mut sink)
            } else {
                self.decode_tail(input, &mut sink)
            };
            input = decoded.inspect_err(|_| self.close())?;
        }
        Ok(())
    }

    /// Returns how many bytes the decoder holds on the heap.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.pending.capacity()
    }

    /// Takes one frame from the start of `input`, or keeps the part of a frame that it is.
    fn decode_in_place<'a>(
        &mut self,
        input: &'a mut [u8],
        sink: &mut impl FnMut(Message<'_>),
    ) -> Result<&'a mut [u8], WsError> {
        match self.accept(input)? {
            Some((header, frame_len)) if frame_len <= input.len() => {
                let (frame, rest) = input.split_at_mut(frame_len);
                self.finish(header, frame, sink)?;
                Ok(rest)
            }
            _ => {
                self.pending.extend_from_slice(input);
                Ok(&mut [])
            }
        }
    }

    /// Adds to the incomplete frame, and takes it once it is complete.
    fn decode_tail<'a>(
        &mut self,
        mut input: &'a mut [u8],
        sink: &mut impl FnMut(Message<'_>),
    ) -> Result<&'a mut [u8], WsError> {
        let (header, frame_len) = loop {
            if let Some(accepted) = self.accept(self.tail())? {
                break accepted;
            }
            let Some((byte, rest)) = input.split_first_mut() else {
                return Ok(&mut []);
            };
            self.pending.push(*byte);
            input = rest;
        };

        let n_missing = frame_len - self.tail().len();
        let (more, rest) = input.split_at_mut(n_missing.min(input.len()));
        self.pending.extend_from_slice(more);
        if more.len() == n_missing {
            let mut frame = match self.assembled {
                0 => mem::take(&mut self.pending),
                assembled => self.pending.split_off(assembled),
            };
            self.finish(header, &mut frame, sink)?;
        }
        Ok(rest)
    }

    /// Returns what is there of an incomplete frame.
    fn tail(&self) -> &[u8] {
        self.pending.get(self.assembled..).unwrap_or_default()
    }

    /// Parses a header and checks it against what came before. Returns it with the length of the
    /// whole frame, or `None` when more bytes are needed.
    fn accept(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, WsError> {
        let Some(header) = Header::parse(bytes)? else {
            return Ok(None);
        };
        if header.mask.is_some() != (self.peer == Peer::Client) {
            return Err(WsError::WrongMasking);
        }
        match (header.opcode, self.fragmented) {
            (OpCode::Continuation, None) => return Err(WsError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(WsError::InterleavedMessage),
            _ => {}
        }

        let payload_len = usize::try_from(header.payload_len).map_err(|_| WsError::TooBig)?;
        if !header.opcode.is_control()
            && self.max_message.saturating_sub(self.assembled) < payload_len
        {
            return Err(WsError::TooBig);
        }
        Ok(Some((header, header.len + payload_len)))
    }

    /// Unmasks a complete frame, and hands on what it completes.
    fn finish(
        &mut self,
        header: Header,
        frame: &mut [u8],
        sink: &mut impl FnMut(Message<'_>),
    ) -> Result<(), WsError> {
        let payload = frame.get_mut(header.len..).unwrap_or_default();
        if let Some(mask) = header.mask {
            header::mask(payload, mask);
        }

        let kind = match (header.opcode, self.fragmented) {
            (OpCode::Ping, _) => {
                sink(Message::Ping(payload));
                return Ok(());
            }
            (OpCode::Pong, _) => {
                sink(Message::Pong(payload));
                return Ok(());
            }
            (OpCode::Close, _) => {
                sink(Message::Close(close_code(payload)?));
                self.close();
                return Ok(());
            }
            (OpCode::Text, _) => Kind::Text,
            (OpCode::Binary, _) => Kind::Binary,
            (OpCode::Continuation, Some(kind)) => kind,
            (OpCode::Continuation, None) => return Err(WsError::UnexpectedContinuation),
        };

        if header.fin && self.fragmented.is_none() {
            sink(message(kind, payload)?);
            return Ok(());
        }
        if header.fin {
            self.fragmented = None;
            self.assembled = 0;
            self.n_empty_fragments = 0;
            let mut assembled = mem::take(&mut self.pending);
            assembled.extend_from_slice(payload);
            sink(message(kind, &assembled)?);
            return Ok(());
        }
        if payload.is_empty() {
            self.n_empty_fragments += 1;
            if Self::MAX_EMPTY_FRAGMENTS < self.n_empty_fragments {
                return Err(WsError::TooManyFragments);
            }
        }
        self.fragmented = Some(kind);
        self.pending.extend_from_slice(payload);
        self.assembled = self.pending.len();
        Ok(())
    }

    fn close(&mut self) {
        self.closed = true;
        self.assembled = 0;
        self.pending = Vec::new();
    }
}

fn message(kind: Kind, payload: &[u8]) -> Result<Message<'_>, WsError> {
    match kind {
        Kind::Text => text(payload).map(Message::Text),
        Kind::Binary => Ok(Message::Binary(payload)),
    }
}

fn text(payload: &[u8]) -> Result<&str, WsError> {
    str::from_utf8(payload).map_err(|_| WsError::InvalidUtf8)
}

/// Checks the payload of a close frame (section 5.5.1). The reason is for people, and dropped.
fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, WsError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload.split_first_chunk().ok_or(WsError::InvalidClose)?;
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(WsError::InvalidClose)?;
    text(reason)?;
    Ok(Some(code))
}
