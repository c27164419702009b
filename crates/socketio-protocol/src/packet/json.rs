//! Checks JSON without decoding it. Says nothing about what the JSON means.

use serde_json::value::RawValue;

use super::{MAX_DEPTH, PacketError};

/// Checks that `text` is JSON, and returns it without the space around it.
pub(super) fn check(text: &str) -> Result<&RawValue, PacketError> {
    serde_json::from_str(text).map_err(|_| PacketError::InvalidJson)
}

/// Tells whether JSON is nested deeper than [`MAX_DEPTH`].
///
/// Events of any depth are packets: checking them takes no stack. Whoever looks into their arguments
/// asks first, and answers the client instead of closing its connection.
#[must_use]
pub fn is_too_deep(text: &str) -> bool {
    let mut bytes = text.bytes();
    let (mut depth, mut in_string) = (0_usize, false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                if MAX_DEPTH < depth {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
