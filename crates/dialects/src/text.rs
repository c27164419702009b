//! Ids and instants as JSON strings, without an intermediate `String`.

use std::fmt::Display;

use serde::{Serialize, Serializer};

/// A value whose JSON is the string that it displays as.
#[derive(Debug)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Serialises a list whose items are [`Text`].
pub(crate) fn texts<S: Serializer>(
    items: &[impl Display],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(Text))
}
