//! Whether an address space is in order, for tests.

use super::cover::Neighbours;
use super::list::VmaList;
use super::totals::Totals;
use super::{AddressSpace, MIN_ADDRESS, USER_END, may_be};

impl VmaList {
    /// Whether the invariants hold, for tests.
    ///
    /// # Errors
    ///
    /// Says which one does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let mut totals = Totals::default();
        for vma in &self.vmas {
            totals.add(vma, vma.pages());
        }
        let ranges = self.vmas.iter().filter(|vma| vma.has_tables());
        let ranges = ranges.map(|vma| (vma.start, vma.end));
        let tables = Neighbours::NONE.tables_of(ranges);
        let pairs = || self.vmas.windows(2);
        let rules = [
            (self.vmas.iter().all(|vma| vma.start < vma.end), "an area is empty"),
            (
                self.vmas.iter().all(|vma| (vma.start | vma.end).is_multiple_of(4096)),
                "an area is not page-aligned",
            ),
            (pairs().all(|pair| pair[0].end <= pair[1].start), "areas overlap or are not sorted"),
            (!pairs().any(|pair| pair[0].continues_in(&pair[1])), "two neighbours should be one"),
            (self.vmas.len() <= self.limit, "more areas than the limit"),
            (totals == self.totals, "the totals are not the sums"),
            (tables == self.tables, "the page tables are not those that cover the areas"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
    }
}

impl AddressSpace {
    /// Whether the invariants hold, for tests. Linear.
    ///
    /// # Errors
    ///
    /// Says which one does not.
    pub fn check(&self) -> Result<(), &'static str> {
        self.vmas.check()?;
        let rules = [
            (
                self.vmas().first().is_none_or(|vma| vma.start >= MIN_ADDRESS),
                "an area lies too low",
            ),
            (
                self.vmas().last().is_none_or(|vma| vma.end <= USER_END),
                "an area lies beyond user memory",
            ),
            (
                self.vmas().iter().all(|vma| may_be(vma.permissions)),
                "an area is writable and executable",
            ),
            (
                self.layout.start_brk <= self.brk && self.brk <= self.highest_brk,
                "the break is out of order",
            ),
            (self.totals().pages <= self.most_pages, "more pages than the most there ever were"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
    }
}
