//! Feeds every parser with what nobody would send: `tests/it`. Nothing to link to.
