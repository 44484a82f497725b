//! Numbers that look random and are the same in every run.

/// A source of them, made from a seed.
#[derive(Debug)]
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        // An odd constant of 64 bits spreads small seeds; zero would stay zero for ever.
        Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1))
    }

    /// From 0 to `bound`, exclusive.
    pub fn below(&mut self, bound: usize) -> usize {
        // xorshift64: three shifts of full period.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}
