//! Checks JSON without decoding it. Says nothing about what the JSON means.

use serde_json::value::RawValue;

use super::{MAX_DEPTH, PacketError};

/// Checks that `text` is JSON of bounded depth, and returns it without the space around it.
pub(super) fn check(text: &str) -> Result<&RawValue, PacketError> {
    // Before the parser, which keeps a stack on the heap.
    if is_too_deep(text) {
        return Err(PacketError::TooDeep);
    }
    serde_json::from_str(text).map_err(|_| PacketError::InvalidJson)
}

/// Whether brackets are nested deeper than [`MAX_DEPTH`], strings left out.
fn is_too_deep(text: &str) -> bool {
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
