//! Up to where a device knows a conversation.

use std::collections::BTreeSet;

/// The messages that are known, by place.
#[derive(Debug, Default)]
pub(super) struct Place {
    whole_until: u64,
    beyond: BTreeSet<u64>,
}

impl Place {
    /// Notes that a message is known.
    pub(super) fn learn(&mut self, seq: u64) {
        if self.whole_until < seq {
            self.beyond.insert(seq);
        }
        while self.beyond.remove(&(self.whole_until + 1)) {
            self.whole_until += 1;
        }
    }

    /// Returns the place up to which nothing is missing.
    pub(super) const fn whole_until(&self) -> u64 {
        self.whole_until
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_hole_is_where_it_ends_until_the_hole_is_filled() {
        let mut place = Place::default();
        for seq in [1, 2, 5, 4] {
            place.learn(seq);
        }
        assert_eq!(place.whole_until(), 2);

        place.learn(3);
        assert_eq!(place.whole_until(), 5);
    }
}
