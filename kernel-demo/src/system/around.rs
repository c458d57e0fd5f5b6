//! Fault-around: which pages a fault brings in besides the one that was touched.
//!
//! ```text
//!      │ window of 2^n pages, aligned    │
//!   ───┼────┬────┬────┬──X─┬────┬────┬───┼───
//!           │  the VMA                       │
//!           └────────── range ───────────┘
//! ```
//!
//! More pages a fault mean fewer faults for who touches all of them, and frames wasted on who does
//! not. Off unless asked for.

use core::ops::Range;

use crate::memory::layout::PAGE_SIZE;

/// How many pages a fault may bring in: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultAround(u64);

impl FaultAround {
    /// Only the page that was touched.
    pub const OFF: Self = Self(1);

    /// So many pages; `None` if that is no power of two.
    pub const fn pages(count: u64) -> Option<Self> {
        if count.is_power_of_two() { Some(Self(count)) } else { None }
    }

    /// The pages that a fault at the address may bring in: those of the aligned window around it
    /// that lie in the VMA `[start, end)`, which holds the address. Constant time.
    pub const fn range(self, address: u64, start: u64, end: u64) -> Range<u64> {
        let window = self.0 * PAGE_SIZE;
        let low = address - address % window;
        let high = low.saturating_add(window);
        (if low > start { low } else { start })..(if high < end { high } else { end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn off_is_the_page_alone() {
        assert_eq!(FaultAround::OFF.range(0x5678, 0x1000, 0x9000), 0x5000..0x6000);
        assert_eq!(FaultAround::pages(3), None);
        assert_eq!(FaultAround::pages(0), None);
    }

    #[test]
    fn the_window_is_aligned_and_cut_to_the_vma() {
        let around = FaultAround::pages(16).unwrap();
        assert_eq!(around.range(0x2_5678, 0, 0x10_0000), 0x2_0000..0x3_0000);
        assert_eq!(around.range(0x2_5678, 0x2_4000, 0x2_9000), 0x2_4000..0x2_9000);
    }

    proptest! {
        #[test]
        fn the_page_touched_is_always_in_it(exponent in 0..8_u32, start in 0..64_u64, len in 1..64_u64, at in 0..64 * PAGE_SIZE) {
            let (start, end) = (start * PAGE_SIZE, (start + len) * PAGE_SIZE);
            let address = start + at % (end - start);
            let range = FaultAround::pages(1 << exponent).unwrap().range(address, start, end);
            prop_assert!(range.contains(&address) && start <= range.start && range.end <= end);
            prop_assert!(range.end - range.start <= PAGE_SIZE << exponent);
            prop_assert!((range.start | range.end).is_multiple_of(PAGE_SIZE));
        }
    }
}
