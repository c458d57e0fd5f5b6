//! Choice of the allocations that are sampled: one in n, at random.

use core::sync::atomic::Ordering;

use crate::atomic::AtomicUsize;
use crate::quota::Quota;

/// Default number of allocations of which one is sampled.
pub(super) const DEFAULT: u32 = 5000;

/// Rate at which allocations are sampled. Zeroed at first, as the rest of the heap.
#[derive(Debug)]
pub(super) struct Rate {
    /// 1 + the number of allocations of which one is sampled; 0: the default.
    rate: AtomicUsize,
    /// State of the generator of pseudo-random numbers; 0: it has not begun.
    random: AtomicUsize,
    /// [`Quota`] of a heap that counts none, as a word.
    quota: AtomicUsize,
}

impl Rate {
    pub(super) const fn new() -> Self {
        Self { rate: AtomicUsize::new(0), random: AtomicUsize::new(0), quota: AtomicUsize::new(0) }
    }

    /// Samples one allocation in `every` from now on; 0: none. `seed` chooses which.
    pub(super) fn set(&self, every: u32, seed: usize) {
        self.rate.store((every as usize).saturating_add(1), Ordering::Relaxed);
        // Seeds that are close to each other must not lead to the same choices.
        let random = (0..4).fold(seed.wrapping_add(GOLDEN), |random, _| scramble(random | 1));
        self.random.store(random, Ordering::Relaxed);
        self.quota.store(0, Ordering::Relaxed);
    }

    /// Counts an allocation. Returns whether it is sampled. `count` lets the heap count it; `None`:
    /// the heap does not count.
    pub(super) fn is_due(
        &self,
        count: impl FnOnce(&mut dyn FnMut() -> u32) -> Option<bool>,
    ) -> bool {
        let mut next = || self.next();
        let is_due = count(&mut next).unwrap_or_else(|| {
            let mut quota = Quota::from_word(self.quota.load(Ordering::Relaxed));
            let is_due = quota.count(&mut next);
            self.quota.store(quota.to_word(), Ordering::Relaxed);
            is_due
        });
        is_due && self.every() > 0
    }

    /// Returns the number of allocations of which one is sampled; 0: none.
    fn every(&self) -> u64 {
        match self.rate.load(Ordering::Relaxed) {
            0 => u64::from(DEFAULT),
            rate => rate as u64 - 1,
        }
    }

    /// Returns the next pseudo-random number. Two callers at a time may get the same one.
    pub(super) fn random(&self) -> usize {
        let word = self.random.load(Ordering::Relaxed);
        let next = scramble(if word == 0 { GOLDEN } else { word });
        self.random.store(next, Ordering::Relaxed);
        next.wrapping_mul(GOLDEN)
    }

    /// Returns the number of allocations that come before the next one that is sampled: up to
    /// 2 (n - 1), with the same probability for each.
    fn next(&self) -> u32 {
        match self.every() {
            0 => u32::MAX,
            every => {
                let random = (self.random() >> (usize::BITS - 32)) as u64;
                let most = (2 * every - 1).min(u64::from(u32::MAX));
                ((random * most) >> 32) as u32
            }
        }
    }
}

/// Odd number near the golden ratio, as a fraction of all numbers.
const GOLDEN: usize =
    if usize::BITS == 64 { 0x9E37_79B9_7F4A_7C15_u64 as usize } else { 0x9E37_79B9 };

/// Returns the number after another one than 0, in a sequence of all of them. Source: G. Marsaglia,
/// "Xorshift RNGs", 2003.
const fn scramble(mut word: usize) -> usize {
    let (left, right, again) = if usize::BITS == 64 { (13, 7, 17) } else { (13, 17, 5) };
    word ^= word << left;
    word ^= word >> right;
    word ^ word << again
}
