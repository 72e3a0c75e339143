//! Numbers from a seed, the same on every machine and in every release: SplitMix64 (Steele, Lea and Flood 2014).

/// A stream of numbers.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream of `seed` for one purpose.
    pub(super) fn new(purpose: &str, seed: u64) -> Self {
        purpose.bytes().fold(Self(seed), |mut dice, byte| Self(dice.roll() ^ u64::from(byte)))
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `n`, which is small: the bias of a remainder is of no matter here.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for i in (1..things.len()).rev() {
            things.swap(i, self.below(i + 1));
        }
    }
}
