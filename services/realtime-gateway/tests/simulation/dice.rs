//! Randomness that a seed repeats.

/// A `SplitMix64`.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `n`.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// Returns an index of something with `n` entries.
    pub(crate) fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap()
    }

    /// Is true in so many of a hundred cases.
    pub(crate) const fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }
}
