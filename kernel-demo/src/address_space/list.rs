//! The list of areas: a sorted vector that is asked for room before anything changes.
//!
//! ```text
//!     0 1 2 3 …        len                 capacity        a binary search finds an address;
//!   ┌─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┐             an insertion moves what lies above
//!   └─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//! ```
//!
//! Why a vector: it is found through and moved in one piece, and a limit on its length (Linux's `max_map_count`) bounds both.
//! Why fallible: a process with four areas should not pay for a thousand, and a kernel whose heap is full must answer `ENOMEM`,
//! not stop. [`reserve`](VmaList::reserve) is the one place that can fail; whoever has called it can finish. Serving a page fault adds no
//! area, so it needs no heap.

use alloc::vec::Vec;

use super::errno::Errno;
use super::vma::{Kind, Vma};
use crate::memory::Permissions;

/// Sums over all areas, in pages, as `status` and the limits want them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All pages.
    pub pages: u64,
    /// Private, writable, not stack.
    pub data: u64,
    /// Stack.
    pub stack: u64,
    /// Executable.
    pub executable: u64,
    /// Charged to the system's account.
    pub accounted: u64,
}

impl Totals {
    fn change(&mut self, vma: &Vma, by: impl Fn(&mut u64, u64)) {
        let pages = vma.pages();
        by(&mut self.pages, pages);
        for (applies, sum) in [
            (vma.is_data(), &mut self.data),
            (vma.kind == Kind::Stack, &mut self.stack),
            (vma.permissions.contains(Permissions::EXECUTE), &mut self.executable),
            (vma.accounted, &mut self.accounted),
        ] {
            if applies {
                by(sum, pages);
            }
        }
    }
}

/// All areas of an address space.
///
/// # Invariants
///
/// * Sorted by address, none overlaps another, each meets its own invariants.
/// * No two neighbours could be one.
/// * `len ≤ limit`; `totals` are the sums.
#[derive(Debug)]
pub struct VmaList {
    vmas: Vec<Vma>,
    limit: usize,
    totals: Totals,
}

impl VmaList {
    /// An empty list that will hold `limit` areas at most.
    pub const fn new(limit: usize) -> Self {
        Self { vmas: Vec::new(), limit, totals: Totals { pages: 0, data: 0, stack: 0, executable: 0, accounted: 0 } }
    }

    /// All areas, from low to high.
    pub fn as_slice(&self) -> &[Vma] {
        &self.vmas
    }

    /// Sums over all areas.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// A copy.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the heap has no room.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut vmas = Vec::new();
        vmas.try_reserve_exact(self.vmas.len()).map_err(|_| Errno::ENOMEM)?;
        vmas.extend_from_slice(&self.vmas);
        Ok(Self { vmas, limit: self.limit, totals: self.totals })
    }

    /// The area that holds the address. Logarithmic.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.vmas.get(self.after(address)).filter(|vma| vma.start <= address)
    }

    /// The areas that have an address in `[start, end)`, from low to high.
    pub fn overlapping(&self, start: u64, end: u64) -> &[Vma] {
        &self.vmas[self.after(start)..self.before(end)]
    }

    /// The highest area that ends at or below the address.
    pub fn below(&self, address: u64) -> Option<&Vma> {
        self.vmas[..self.after(address)].last()
    }

    /// The lowest area that starts at or above the address.
    pub fn above(&self, address: u64) -> Option<&Vma> {
        self.vmas.get(self.before(address))
    }

    /// Makes sure of room for `more` areas.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the list would exceed its limit, or the heap has no room.
    pub fn reserve(&mut self, more: usize) -> Result<(), Errno> {
        if self.vmas.len() + more > self.limit {
            return Err(Errno::ENOMEM);
        }
        self.vmas.try_reserve(more).map_err(|_| Errno::ENOMEM)
    }

    /// How many borders of `[start, end)` lie inside an area: as many as would be added if the range became areas of its own.
    pub fn cuts(&self, start: u64, end: u64) -> usize {
        [start, end].into_iter().filter(|at| self.find(*at).is_some_and(|vma| vma.start < *at)).count()
    }

    /// Whether the range lies strictly inside one area, so that taking it out leaves two.
    pub fn splits(&self, start: u64, end: u64) -> bool {
        self.find(start).is_some_and(|vma| vma.start < start && end < vma.end)
    }

    /// Enters an area where nothing is, as part of a neighbour if that goes on there. Room for one was reserved.
    pub fn insert(&mut self, vma: Vma) {
        debug_assert!(self.overlapping(vma.start, vma.end).is_empty());
        self.totals.change(&vma, |sum, pages| *sum += pages);
        let at = self.before(vma.start);
        self.vmas.insert(at, vma);
        self.join(at, at + 1);
    }

    /// Takes out whatever lies in `[start, end)`. If that [splits](Self::splits) an area, room for one was reserved.
    pub fn remove(&mut self, start: u64, end: u64) {
        if self.splits(start, end) {
            self.cut(start);
        }
        let (mut from, mut to) = (self.after(start), self.before(end));
        for vma in &self.vmas[from..to] {
            self.totals.change(&vma.part(start, end), |sum, pages| *sum -= pages);
        }
        if let Some(low) = self.vmas[from..to].first_mut().filter(|low| low.start < start) {
            *low = low.part(low.start, start);
            from += 1;
        }
        if let Some(high) = self.vmas[from..to].last_mut().filter(|high| high.end > end) {
            *high = high.part(end, high.end);
            to -= 1;
        }
        self.vmas.drain(from..to);
    }

    /// Changes whatever lies in `[start, end)`; what is alike afterwards becomes one. Room for the [cuts](Self::cuts) was reserved.
    pub fn rewrite(&mut self, start: u64, end: u64, change: impl Fn(&mut Vma)) {
        self.cut(start);
        self.cut(end);
        let (from, to) = (self.after(start), self.before(end));
        for vma in &mut self.vmas[from..to] {
            self.totals.change(vma, |sum, pages| *sum -= pages);
            change(vma);
            self.totals.change(vma, |sum, pages| *sum += pages);
        }
        self.join(from, to);
    }

    /// Moves the start of the area that starts at `old` down to `new`, where nothing is.
    pub fn extend_down(&mut self, old: u64, new: u64) {
        let at = self.after(old);
        let Some(vma) = self.vmas.get_mut(at) else { return };
        debug_assert!(vma.start == old && new <= old);
        self.totals.change(vma, |sum, pages| *sum -= pages);
        vma.start = new;
        self.totals.change(vma, |sum, pages| *sum += pages);
        self.join(at, at);
    }

    /// Index of the first area that ends above the address.
    fn after(&self, address: u64) -> usize {
        self.vmas.partition_point(|vma| vma.end <= address)
    }

    /// Index of the first area that starts at or above the address.
    fn before(&self, address: u64) -> usize {
        self.vmas.partition_point(|vma| vma.start < address)
    }

    /// Makes two of the area that has the address inside.
    fn cut(&mut self, at: u64) {
        let index = self.after(at);
        let Some(vma) = self.vmas.get(index).copied().filter(|vma| vma.start < at) else { return };
        self.vmas[index] = vma.part(vma.start, at);
        self.vmas.insert(index + 1, vma.part(at, vma.end));
    }

    /// Makes one of neighbours that can be, among the areas from the one before `from` to the one at `to`. Moves what lies above once.
    fn join(&mut self, from: usize, to: usize) {
        let (from, to) = (from.saturating_sub(1), (to + 1).min(self.vmas.len()));
        let mut kept = from;
        for next in from + 1..to {
            if self.vmas[kept].continues_in(&self.vmas[next]) {
                self.vmas[kept].end = self.vmas[next].end;
            } else {
                kept += 1;
                self.vmas[kept] = self.vmas[next];
            }
        }
        if kept + 1 < to {
            self.vmas.drain(kept + 1..to);
        }
    }

    /// Whether the invariants hold, for tests.
    ///
    /// # Errors
    ///
    /// Says which one does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let mut totals = Totals::default();
        for vma in &self.vmas {
            totals.change(vma, |sum, pages| *sum += pages);
        }
        let pairs = || self.vmas.windows(2);
        let rules = [
            (self.vmas.iter().all(|vma| vma.start < vma.end), "an area is empty"),
            (self.vmas.iter().all(|vma| (vma.start | vma.end).is_multiple_of(4096)), "an area is not page-aligned"),
            (pairs().all(|pair| pair[0].end <= pair[1].start), "areas overlap or are not sorted"),
            (!pairs().any(|pair| pair[0].continues_in(&pair[1])), "two neighbours should be one"),
            (self.vmas.len() <= self.limit, "more areas than the limit"),
            (totals == self.totals, "the totals are not the sums"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
    }
}
