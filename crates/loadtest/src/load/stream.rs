//! What one device heard of one conversation, and what is wrong with that. No sockets and no clock.

use std::collections::BTreeSet;

/// The messages of a conversation as one device heard them, by sequence number.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    heard: BTreeSet<u64>,
    last: u64,
    /// Heard again, though the connection had not been lost.
    pub(crate) n_doubled: u64,
    /// Heard behind one that comes after it.
    pub(crate) n_disordered: u64,
}

impl Stream {
    /// Hears a message as an event. Returns whether it is new.
    pub(crate) fn hear(&mut self, seq: u64) -> bool {
        let is_new = self.heard.insert(seq);
        self.n_doubled += u64::from(!is_new);
        self.n_disordered += u64::from(is_new && seq < self.last);
        self.last = self.last.max(seq);
        is_new
    }

    /// Reads a message that was asked for, which may be known. Returns whether it is new.
    pub(crate) fn read(&mut self, seq: u64) -> bool {
        self.last = self.last.max(seq);
        self.heard.insert(seq)
    }

    /// Returns the greatest number heard of; 0 before any.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// Counts the messages of `confirmed` that never came.
    pub(crate) fn n_lost(&self, confirmed: &[u64]) -> u64 {
        let is_lost = |seq: &&u64| !self.heard.contains(seq);
        confirmed.iter().filter(is_lost).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(seqs: &[u64]) -> Stream {
        let mut stream = Stream::default();
        for seq in seqs {
            stream.hear(*seq);
        }
        stream
    }

    #[test]
    fn each_once_and_in_order_is_right() {
        let stream = heard(&[3, 4, 5]);

        let wrong = (stream.n_doubled, stream.n_disordered);
        assert_eq!((wrong, stream.n_lost(&[3, 4, 5])), ((0, 0), 0));
        assert_eq!(stream.last(), 5);
    }

    #[test]
    fn what_was_confirmed_and_never_came_is_lost() {
        assert_eq!(heard(&[1, 3]).n_lost(&[1, 2, 3, 4]), 2);
    }

    #[test]
    fn what_comes_twice_is_doubled_and_not_out_of_order() {
        let stream = heard(&[1, 2, 1]);

        assert_eq!((stream.n_doubled, stream.n_disordered), (1, 0));
    }

    #[test]
    fn what_comes_behind_a_later_one_is_out_of_order() {
        let stream = heard(&[1, 3, 2]);

        assert_eq!((stream.n_doubled, stream.n_disordered), (0, 1));
    }

    #[test]
    fn what_was_asked_for_is_neither() {
        let mut stream = heard(&[1, 2]);

        assert_eq!([2, 3, 4].map(|seq| stream.read(seq)), [false, true, true]);
        assert_eq!((stream.n_doubled, stream.n_disordered), (0, 0));
        assert!(!stream.hear(4), "it is no news any more");
        assert_eq!(stream.n_doubled, 1);
    }
}
