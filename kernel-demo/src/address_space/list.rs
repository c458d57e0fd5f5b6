//! The list of areas: a sorted vector that is asked for room before anything changes.
//!
//! ```text
//!     0 1 2 3 …        len                 capacity        a binary search finds an address;
//!   ┌─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┐             an insertion moves what lies above
//!   └─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//! ```
//!
//! Why a vector: it is found through and moved in one piece, and a limit on its length (Linux's
//! `max_map_count`) bounds both. Why fallible: a process with four areas should not pay for a
//! thousand, and a kernel whose heap is full must answer `ENOMEM`,
//! not stop. [`reserve`](VmaList::reserve) is the one place that can fail; whoever has called it
//! can finish. Serving a page fault adds no area, so it needs no heap.

use super::errno::Errno;
use super::lowest;
use super::totals::Totals;
use super::vma::Vma;
use super::within::Within;
use crate::memory::layout::PAGE_SIZE;
use alloc::vec::Vec;

/// All areas of an address space.
///
/// # Invariants
///
/// * Sorted by address, none overlaps another, each meets its own invariants.
/// * No two neighbours could be one.
/// * `len ≤ limit`; `totals` are the sums, and `tables` is the number of page tables that cover the
///   areas for which tables are charged.
#[derive(Debug)]
pub struct VmaList {
    pub(super) vmas: Vec<Vma>,
    pub(super) limit: usize,
    pub(super) totals: Totals,
    pub(super) tables: u64,
}

impl VmaList {
    /// An empty list that will hold `limit` areas at most.
    pub const fn new(limit: usize) -> Self {
        Self { vmas: Vec::new(), limit, totals: Totals::NONE, tables: 0 }
    }

    /// All areas, from low to high.
    pub fn as_slice(&self) -> &[Vma] {
        &self.vmas
    }

    /// Sums over all areas.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Frames that are charged for all areas.
    pub const fn charged(&self) -> u64 {
        self.totals.accounted + self.tables
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
        Ok(Self { vmas, ..*self })
    }

    /// The area that holds the address. Logarithmic.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.position(address).map(|at| &self.vmas[at])
    }

    /// Where in the list it is. Logarithmic.
    pub fn position(&self, address: u64) -> Option<usize> {
        let at = self.after(address);
        self.vmas.get(at).is_some_and(|vma| vma.start <= address).then_some(at)
    }

    /// The areas that have an address in `[start, end)`, from low to high.
    pub fn overlapping(&self, start: u64, end: u64) -> &[Vma] {
        &self.vmas[self.within(start, end).areas]
    }

    /// Which these are. Logarithmic in the number of all areas, and linear in the number of these.
    pub fn within(&self, start: u64, end: u64) -> Within {
        let first = self.after(start);
        let count = self.vmas[first..].iter().take_while(|vma| vma.start < end).count();
        Within { start, end, areas: first..first + count }
    }

    /// Where in the list an area `[start, end)` would be, if nothing lies there, nor within the
    /// guard gap of a stack above it.
    pub fn gap(&self, start: u64, end: u64) -> Option<usize> {
        let at = self.after(start);
        self.vmas.get(at).is_none_or(|next| end <= lowest(next)).then_some(at)
    }

    /// The parts of areas in the range.
    pub fn parts<'a>(&'a self, within: &Within) -> impl Iterator<Item = Vma> + Clone + use<'a> {
        let Within { start, end, ref areas } = *within;
        self.vmas[areas.clone()].iter().map(move |vma| vma.part(start, end))
    }

    /// The highest area that ends at or below the address.
    pub fn below(&self, address: u64) -> Option<&Vma> {
        self.vmas[..self.after(address)].last()
    }

    /// The lowest area that starts at or above the address.
    pub fn above(&self, address: u64) -> Option<&Vma> {
        self.vmas.get(self.before(address))
    }

    /// Bytes that [`reserve`](Self::reserve) may ask the heap for.
    pub const fn growth(&self) -> Option<usize> {
        /// Areas that a call adds at most: a new one, and one that is split.
        const MOST: usize = 2;
        let (len, capacity) = (self.vmas.len(), self.vmas.capacity());
        let twice = if capacity < MOST { 2 * MOST } else { 2 * capacity };
        if len + MOST <= capacity { None } else { Some(twice * size_of::<Vma>()) }
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

    /// How many borders of `[start, end)` lie inside an area: as many as would be added if the
    /// range became areas of its own.
    pub fn cuts(&self, start: u64, end: u64) -> usize {
        [start, end]
            .into_iter()
            .filter(|at| self.find(*at).is_some_and(|vma| vma.start < *at))
            .count()
    }

    /// Whether the range lies strictly inside one area, so that taking it out leaves two.
    pub fn splits(&self, within: &Within) -> bool {
        let Within { start, end, ref areas } = *within;
        areas.len() == 1
            && self.vmas.get(areas.start).is_some_and(|vma| vma.start < start && end < vma.end)
    }

    /// Enters an area where nothing is, at its place in the list, as part of a neighbour if that
    /// goes on there. Room for one was reserved. `tables` is what [`tables_for`](Self::tables_for)
    /// says.
    pub fn insert_at(&mut self, at: usize, vma: Vma, tables: u64) {
        debug_assert!(
            self.after(vma.start) == at && self.overlapping(vma.start, vma.end).is_empty()
        );
        self.totals.add(&vma, vma.pages());
        self.tables += tables;
        let joins_next = self.vmas.get(at).is_some_and(|next| vma.continues_in(next));
        match self.vmas[..at].last_mut().filter(|below| below.continues_in(&vma)) {
            Some(below) if !joins_next => below.end = vma.end,
            below => {
                let joins_below = below.is_some();
                self.put(at, vma, joins_below, joins_next);
            }
        }
    }

    /// Enters an area that does more than make the one below it longer.
    #[inline(never)]
    fn put(&mut self, at: usize, vma: Vma, joins_below: bool, joins_next: bool) {
        if joins_next {
            let end = self.vmas[at].end;
            self.vmas[at] = Vma { end, ..vma };
        } else {
            self.vmas.insert(at, vma);
        }
        if joins_below {
            self.join(at, at);
        }
    }

    /// Takes out whatever lies in the range. If that [splits](Self::splits) an area, room for one
    /// was reserved.
    pub fn remove(&mut self, within: Within) {
        let Within { start, end, ref areas } = within;
        self.tables -= self.tables_in(&within);
        let mut whole = areas.clone();
        for at in areas.clone() {
            let vma = &mut self.vmas[at];
            self.totals.subtract(vma, within.pages_of(vma));
            match (vma.start < start, end < vma.end) {
                (false, false) => {}
                (true, false) => {
                    vma.end = start;
                    whole.start += 1;
                }
                (false, true) => {
                    *vma = vma.part(end, vma.end);
                    whole.end -= 1;
                }
                (true, true) => {
                    let high = vma.part(end, vma.end);
                    vma.end = start;
                    return self.vmas.insert(at + 1, high);
                }
            }
        }
        if !whole.is_empty() {
            self.vmas.drain(whole);
        }
    }

    /// Changes whatever lies in `[start, end)`; what is alike afterwards becomes one. Room for the
    /// [cuts](Self::cuts) was reserved.
    pub fn rewrite(&mut self, start: u64, end: u64, change: impl Fn(&mut Vma)) {
        self.cut(start);
        self.cut(end);
        let (from, to) = (self.after(start), self.before(end));
        let within = self.within(start, end);
        self.tables -= self.tables_of(&within, self.parts(&within));
        for vma in &mut self.vmas[from..to] {
            self.totals.subtract(vma, vma.pages());
            change(vma);
            self.totals.add(vma, vma.pages());
        }
        self.tables += self.tables_of(&within, self.parts(&within));
        self.join(from, to);
    }

    /// Moves the start of the area that starts at `old` down to `new`, where nothing is.
    pub fn extend_down(&mut self, old: u64, new: u64) {
        let at = self.after(old);
        let Some(&vma) = self.vmas.get(at) else { return };
        debug_assert!(vma.start == old && new <= old);
        let grown = Vma { start: new, end: old, ..vma };
        self.tables += self.tables_for(at, &grown);
        let vma = &mut self.vmas[at];
        self.totals.add(vma, (old - new) / PAGE_SIZE);
        vma.start = new;
        self.join(at, at);
    }

    /// Index of the first area that ends above the address.
    pub fn after(&self, address: u64) -> usize {
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

    /// Makes one of neighbours that can be, among the areas from the one before `from` to the one
    /// at `to`. Moves what lies above once.
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
}
