//! How many page tables cover a set of ranges of addresses.
//!
//! ```text
//!   ranges        ├──┤   ├────────────┤                  ├─┤
//!   level 1      │▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒│        │▒▒▒▒▒▒▒▒│       2 MiB each
//!   level 2      │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒…    1 GiB
//! ```
//!
//! A page that is mapped needs a table of each level, so a table that covers no area is not needed,
//! and one for each that does is enough, whatever is touched and in whatever order.

use core::iter;

use super::list::VmaList;
use super::vma::{Charge, Vma};
use super::within::Within;

/// Binary logarithm of what a table of level 1, 2, 3 covers, in bytes.
const LEVELS: [u32; 3] = [21, 30, 39];

/// Whether tables of all levels that cover one address cover the other.
const fn share(one: u64, other: u64) -> bool {
    one >> LEVELS[0] == other >> LEVELS[0]
}

/// Neighbours of the ranges that have tables of their own.
#[derive(Clone, Copy, Debug)]
pub struct Neighbours {
    /// The highest address below them.
    pub below: Option<u64>,
    /// The lowest address above them.
    pub above: Option<u64>,
}

impl Neighbours {
    /// Nothing.
    pub const NONE: Self = Self { below: None, above: None };

    /// Tables that cover the ranges, which are sorted, and nothing else. Linear in the ranges.
    pub fn tables_of(&self, ranges: impl Iterator<Item = (u64, u64)> + Clone) -> u64 {
        let of_level = |level: u32| {
            let (mut last, mut count) = (self.below.map(|below| below >> level), 0);
            for (start, end) in ranges.clone() {
                let (start, end) = (start >> level, (end - 1) >> level);
                let first = last.map_or(start, |last| start.max(last + 1));
                if first <= end {
                    count += end - first + 1;
                    last = Some(end);
                }
            }
            let shared = count > 0 && last == self.above.map(|above| above >> level);
            count - u64::from(shared)
        };
        LEVELS.into_iter().map(of_level).sum()
    }
}

impl VmaList {
    /// Frames that would be charged for these areas, in place of whatever lies in the range, and
    /// only for them.
    pub fn charge_of(&self, within: &Within, areas: impl Iterator<Item = Vma> + Clone) -> u64 {
        let pages = areas.clone().filter(|vma| vma.charge == Charge::Pages);
        pages.map(|vma| vma.pages()).sum::<u64>() + self.tables_of(within, areas)
    }

    /// Page tables that an area needs for which this is the place in the list, where nothing is.
    pub fn tables_for(&self, at: usize, vma: &Vma) -> u64 {
        let below = at.checked_sub(1).and_then(|below| self.vmas.get(below));
        if below.is_some_and(|below| below.has_tables() && share(below.end - 1, vma.end - 1)) {
            return 0;
        }
        self.tables_of(&Within::gap(at, vma), iter::once(*vma))
    }

    /// Page tables that cover nothing but what lies in the range.
    pub(super) fn tables_in(&self, within: &Within) -> u64 {
        let Within { start, end, ref areas } = *within;
        if let [vma] = &self.vmas[areas.clone()]
            && (vma.start < start && share(start - 1, vma.end.min(end) - 1) || !vma.has_tables())
        {
            return 0;
        }
        self.tables_of(within, self.parts(within))
    }

    /// Page tables that cover these areas, and nothing outside of the range.
    pub(super) fn tables_of(
        &self,
        within: &Within,
        areas: impl Iterator<Item = Vma> + Clone,
    ) -> u64 {
        let ranges = areas.filter(Vma::has_tables).map(|vma| (vma.start, vma.end));
        self.neighbours(within).tables_of(ranges)
    }

    /// Neighbours of the range that have page tables.
    fn neighbours(&self, within: &Within) -> Neighbours {
        let Within { start, end, ref areas } = *within;
        let below = self.vmas[..areas.end].iter().rev();
        let below = below.filter(|vma| vma.start < start).find(|vma| vma.has_tables());
        let above = self.vmas[areas.start..].iter().filter(|vma| vma.end > end);
        let above = above.into_iter().find(|vma| vma.has_tables());
        Neighbours {
            below: below.map(|vma| vma.end.min(start) - 1),
            above: above.map(|vma| vma.start.max(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_share_tables() {
        let tables = |below, above, ranges: &[(u64, u64)]| {
            Neighbours { below, above }.tables_of(ranges.iter().copied())
        };
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
                LEVELS.into_iter().map(|level| {
                    let tables = ranges.iter().flat_map(|(start, end)| start >> level..=(end - 1) >> level);
                    tables.collect::<BTreeSet<_>>().len() as u64
                }).sum::<u64>()
            };
            for from in 0..ranges.len() {
                for to in from..=ranges.len() {
                    let neighbours = Neighbours {
                        below: from.checked_sub(1).map(|at| ranges[at].1 - 1),
                        above: ranges.get(to).map(|range| range.0),
                    };
                    let others: Vec<_> = ranges[..from].iter().chain(&ranges[to..]).copied().collect();
                    prop_assert_eq!(neighbours.tables_of(ranges[from..to].iter().copied()), all(&ranges) - all(&others));
                }
            }
        }
    }
}
