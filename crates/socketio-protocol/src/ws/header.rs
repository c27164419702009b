//! Frame headers (RFC 6455, section 5.2), both ways. Which frame may follow which is decided in
//! the decoder.

use super::WsError;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further part of the message before it.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end, with an optional code and reason.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xA,
}

impl OpCode {
    pub(crate) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The length follows in two bytes.
const LEN_16: u8 = 126;
/// The length follows in eight bytes.
const LEN_64: u8 = 127;

/// Encodes the header of an unmasked frame that is a whole message of `len` bytes.
///
/// Returns the bytes and how many of them count: 2, 4 or 10.
#[must_use]
pub const fn header(opcode: OpCode, len: usize) -> ([u8; 10], usize) {
    let first = FIN | opcode as u8;
    let l = (len as u64).to_be_bytes();
    match len {
        0..126 => ([first, l[7], 0, 0, 0, 0, 0, 0, 0, 0], 2),
        126..65_536 => ([first, LEN_16, l[6], l[7], 0, 0, 0, 0, 0, 0], 4),
        _ => (
            [
                first, LEN_64, l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7],
            ],
            10,
        ),
    }
}

/// A frame header as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: OpCode,
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of the header itself.
    pub(crate) len: usize,
    /// Bytes of the payload.
    pub(crate) payload_len: u64,
}

impl Header {
    /// Parses the header at the start of `bytes`; `None` when more bytes are needed.
    ///
    /// A header is refused as early as the bytes that break a rule are there.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, WsError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(WsError::ReservedBits);
        }
        let fin = first & FIN != 0;
        let opcode = OpCode::from_bits(first & 0x0F).ok_or(WsError::ReservedOpCode)?;
        if opcode.is_control() && !fin {
            return Err(WsError::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let short_len = second & 0x7F;
        if opcode.is_control() && short_len >= LEN_16 {
            return Err(WsError::ControlTooLong);
        }
        let (payload_len, rest) = match short_len {
            LEN_16 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            LEN_64 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (u64::from(len), rest),
        };
        if (short_len == LEN_16 && payload_len < 126)
            || (short_len == LEN_64 && payload_len < 65_536)
        {
            return Err(WsError::NonMinimalLength);
        }

        let (mask, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            match rest.split_first_chunk() {
                Some((mask, rest)) => (Some(*mask), rest),
                None => return Ok(None),
            }
        };
        Ok(Some(Self {
            fin,
            opcode,
            mask,
            len: bytes.len() - rest.len(),
            payload_len,
        }))
    }
}

/// Applies a mask, or takes it off again: the two are one operation (section 5.3).
pub(crate) fn mask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
