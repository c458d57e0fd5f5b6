//! Number of blocks that a heap may put at hand until an allocation is sampled. Arithmetic only.
//!
//! A heap that is sampled counts blocks when it puts them at hand, so that taking one needs no
//! test. The list of blocks at hand is no longer than the quota: the allocation that is sampled
//! finds none there.

/// Number of allocations until the one that is sampled. Zeroed at no time: see
/// [`NONE`](Quota::NONE).
#[derive(Debug)]
pub struct Quota(u64);

/// Highest value of a quota. Those above are of heaps that are not sampled.
const MOST: u64 = u32::MAX as u64;

impl Quota {
    /// The quota of a heap that is not sampled. It lasts: at one block per nanosecond, centuries.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// Quota of a layer that has none: all zero, as the rest of the layer.
    pub(crate) const UNUSED: Self = Self(0);

    /// Returns a quota from what [`to_word`](Quota::to_word) returned, or from 0.
    pub(crate) const fn from_word(word: usize) -> Self {
        match word {
            0 => Self::NONE,
            _ => Self(word as u64 - 1),
        }
    }

    /// Returns a word for a quota: 0 for a heap that is not sampled.
    pub(crate) const fn to_word(&self) -> usize {
        if self.0 < MOST { self.0 as usize + 1 } else { 0 }
    }

    /// Counts an allocation for which no block was at hand. Returns `true` if it is the one that is
    /// sampled: `next` then tells the number of allocations until the one after it.
    pub(crate) fn count(&mut self, next: &mut dyn FnMut() -> u32) -> bool {
        if self.is_none() {
            self.0 = u64::from(next());
        }
        let is_due = self.0 == 0;
        self.0 = if is_due { u64::from(next()) } else { self.0 - 1 };
        is_due
    }

    /// Returns whether the heap is not sampled.
    #[inline(always)]
    pub(crate) const fn is_none(&self) -> bool {
        self.0 > MOST
    }

    /// Returns the maximum number of blocks that the next list of blocks at hand may have, with the
    /// one that is being allocated, and was counted.
    #[inline(always)]
    pub(crate) const fn most(&self) -> u16 {
        if self.0 < u16::MAX as u64 { self.0 as u16 + 1 } else { u16::MAX }
    }

    /// Notes that a list of `blocks` blocks was put at hand, with the one that is being allocated:
    /// at least one, and at most [`most`](Quota::most).
    #[inline(always)]
    pub(crate) const fn spend(&mut self, blocks: u16) {
        self.0 -= blocks as u64 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allocation_in_n_is_due_however_they_are_put_at_hand() {
        for every in [1, 2, 7, 100] {
            for longest in [1, 3, 64] {
                let mut quota = Quota::NONE;
                let (mut sampled, mut served) = (0, 0);
                while sampled < 1000 {
                    if quota.count(&mut || every - 1) {
                        sampled += 1;
                        continue;
                    }
                    let blocks = quota.most().min(longest);
                    quota.spend(blocks);
                    served += u32::from(blocks);
                }
                assert_eq!(served, 1000 * (every - 1), "{every} {longest}");
            }
        }
    }

    #[test]
    fn a_heap_that_is_not_sampled_has_no_limit() {
        let mut quota = Quota::NONE;
        for _ in 0..1000 {
            assert_eq!(quota.most(), u16::MAX);
            quota.spend(u16::MAX);
        }
        assert_eq!(quota.to_word(), 0);
        assert_eq!(Quota::from_word(Quota(0).to_word()).0, 0);
    }
}
