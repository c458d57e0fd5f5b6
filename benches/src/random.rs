//! Random numbers that are the same in every run, on every machine, in every version of this
//! program.
//!
//! A library's generator may change its sequence with its version; a workload must not.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`. The bias, below 2⁻³² for the bounds used here, is of no concern.
    ///
    /// # Panics
    ///
    /// If `bound` is 0 (only with debug assertions; the answer is 0 otherwise).
    pub const fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0);
        ((self.bits() as u128 * bound as u128) >> 64) as usize
    }

    /// True once in `n` times, on average.
    pub const fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A size in `low..=high` whose logarithm is uniform: each doubling is as likely as any other.
    pub fn log_uniform(&mut self, low: usize, high: usize) -> usize {
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        let size = low as f64 * ((high + 1) as f64 / low as f64).powf(unit);
        (size as usize).clamp(low, high)
    }

    /// A size in `low..=high`, each as likely as any other.
    pub const fn uniform(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Brings `items` into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(1);
        let mut seen = [0; 7];
        for _ in 0..7000 {
            seen[random.below(7)] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
    }

    #[test]
    fn each_doubling_of_a_log_uniform_size_is_as_likely() {
        let mut random = Random::new(2);
        let mut seen = [0; 5];
        for _ in 0..10_000 {
            let size = random.log_uniform(8, 255);
            assert!((8..=255).contains(&size));
            seen[size.ilog2() as usize - 3] += 1;
        }
        assert!(seen.iter().all(|&count| (1800..2200).contains(&count)), "{seen:?}");
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(3).shuffle(&mut items);
        assert_ne!(items[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
