//! Frames that are charged for areas: pages, and the page tables that cover them.
//!
//! ```text
//!   ranges        ├──┤   ├────────────┤                  ├─┤
//!   level 1      │▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒│        │▒▒▒▒▒▒▒▒│       2 MiB each
//!   level 2      │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒…    1 GiB
//! ```
//!
//! A page that is mapped needs a table of each level, so a table that covers no area is not needed,
//! and one for each that does is enough, whatever is touched and in whatever order.

use core::ops::Range;

use super::list::{List, Storage};
use super::vma::{Charge, Vma};

impl<T: Storage> List<T> {
    /// Frames that would be charged for these areas, in place of whatever lies in `[start, end)`,
    /// and only for them: their pages, and the page tables that cover nothing else. `within` is
    /// what lies there.
    pub fn charge_of(
        &self,
        within: &Range<usize>,
        (start, end): (u64, u64),
        areas: impl Iterator<Item = Vma> + Clone,
    ) -> u64 {
        let list = self.as_slice();
        let below = list[..within.end].iter().rev().filter(|vma| vma.start < start);
        let below = below.into_iter().find(|vma| vma.charge != Charge::Nothing);
        let above = list[within.start..].iter().filter(|vma| vma.end > end);
        let above = above.into_iter().find(|vma| vma.charge != Charge::Nothing);
        let below = below.map(|vma| vma.end.min(start) - 1);
        let above = above.map(|vma| vma.start.max(end));
        let pages = areas.clone().filter(|vma| vma.charge == Charge::Pages);
        let pages = pages.map(|vma| vma.pages()).sum::<u64>();
        // Most areas end under a table that is there for the one below.
        if below.is_some_and(|below| below >> LEVELS[0] == (end - 1) >> LEVELS[0]) {
            return pages;
        }
        let ranges = areas.filter(|vma| vma.charge != Charge::Nothing);
        pages + tables_of(below, above, ranges.map(|vma| (vma.start, vma.end)))
    }
}

/// Binary logarithm of what a table of level 1, 2, 3 covers, in bytes.
const LEVELS: [u32; 3] = [21, 30, 39];

/// How many page tables cover the ranges, which are sorted, and nothing else: neither the highest
/// address that is covered below them, nor the lowest one above. Linear in the ranges.
pub fn tables_of(
    below: Option<u64>,
    above: Option<u64>,
    ranges: impl Iterator<Item = (u64, u64)> + Clone,
) -> u64 {
    let of_level = |level: u32| {
        let (mut last, mut count) = (below.map(|below| below >> level), 0);
        for (start, end) in ranges.clone() {
            let (start, end) = (start >> level, (end - 1) >> level);
            let first = last.map_or(start, |last| start.max(last + 1));
            if first <= end {
                count += end - first + 1;
                last = Some(end);
            }
        }
        let shared = count > 0 && last == above.map(|above| above >> level);
        count - u64::from(shared)
    };
    LEVELS.into_iter().map(of_level).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_share_tables() {
        let tables =
            |below, above, ranges: &[(u64, u64)]| tables_of(below, above, ranges.iter().copied());
        const MIB: u64 = 1 << 20;
        assert_eq!(tables(None, None, &[]), 0);
        assert_eq!(tables(None, None, &[(0, 4096)]), 3);
        assert_eq!(tables(None, None, &[(0, 4096), (8192, 12288)]), 3);
        assert_eq!(tables(None, None, &[(2 * MIB - 1, 2 * MIB + 1)]), 4);
        assert_eq!(tables(Some(MIB), None, &[(2 * MIB - 1, 2 * MIB + 1)]), 1);
        assert_eq!(tables(Some(MIB), Some(3 * MIB), &[(2 * MIB - 1, 2 * MIB + 1)]), 0);
        assert_eq!(tables(None, Some(1 << 30), &[((1 << 30) - 1, 1 << 30)]), 2);
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_a_set(borders in prop::collection::btree_set(0..4000_u64, 2..20)) {
            // In units of 1/4 of a level-1 table, with gaps of zero and more.
            let borders: Vec<u64> = borders.into_iter().map(|border| border << 19).collect();
            let ranges: Vec<(u64, u64)> = borders.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            let all = |ranges: &[(u64, u64)]| {
                [21, 30, 39].into_iter().map(|level| {
                    let tables = ranges.iter().flat_map(|(start, end)| start >> level..=(end - 1) >> level);
                    tables.collect::<BTreeSet<_>>().len() as u64
                }).sum::<u64>()
            };
            for from in 0..ranges.len() {
                for to in from..=ranges.len() {
                    let below = from.checked_sub(1).map(|at| ranges[at].1 - 1);
                    let above = ranges.get(to).map(|range| range.0);
                    let others: Vec<_> = ranges[..from].iter().chain(&ranges[to..]).copied().collect();
                    prop_assert_eq!(tables_of(below, above, ranges[from..to].iter().copied()), all(&ranges) - all(&others));
                }
            }
        }
    }
}
