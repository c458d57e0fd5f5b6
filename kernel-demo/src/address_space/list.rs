//! The list of areas: a sorted table that is asked for room before anything changes.
//!
//! ```text
//!     0 1 2 3 …        len                 the table       a binary search finds an address;
//!   ┌─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┐             an insertion moves what lies above
//!   └─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//! ```
//!
//! Why a table: it is found through and moved in one piece, and a limit on its length (Linux's
//! `max_map_count`) bounds both. The kernel's is an array outside of paged memory; a process's is
//! on the kernel's heap, made longer before a call that may add areas begins. All of it was written
//! to when it was made, so changing the list neither faults nor allocates.

use core::ops::Range;

use alloc::vec::Vec;

use super::vma::Vma;
use crate::words::Errno;

/// Memory for areas: an array, or a vector.
pub trait Storage: AsRef<[Vma]> + AsMut<[Vma]> {}

impl<T: AsRef<[Vma]> + AsMut<[Vma]>> Storage for T {}

/// All areas of an address space.
///
/// # Invariants
///
/// * The first `len ≤ limit` elements of the table are areas, sorted by address. None overlaps
///   another, each meets its own invariants.
/// * No two neighbours could be one.
#[derive(Debug)]
pub struct List<T> {
    table: T,
    len: usize,
    limit: usize,
}

impl<T: Storage> List<T> {
    /// An empty list that will hold `limit` areas at most.
    pub const fn new(table: T, limit: usize) -> Self {
        Self { table, len: 0, limit }
    }

    /// All areas, from low to high.
    pub fn as_slice(&self) -> &[Vma] {
        &self.table.as_ref()[..self.len]
    }

    /// The area that holds the address. Logarithmic.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.position(address).map(|at| &self.as_slice()[at])
    }

    /// Where in the list it is. Logarithmic.
    pub fn position(&self, address: u64) -> Option<usize> {
        let at = self.after(address);
        self.as_slice().get(at).is_some_and(|vma| vma.start <= address).then_some(at)
    }

    /// Index of the first area that ends above the address. Logarithmic.
    #[inline]
    pub fn after(&self, address: u64) -> usize {
        self.as_slice().partition_point(|vma| vma.end <= address)
    }

    /// Which areas have an address in `[start, end)`. Logarithmic in the number of all areas, and
    /// linear in the number of these.
    pub fn within(&self, start: u64, end: u64) -> Range<usize> {
        let first = self.after(start);
        let overlapping = |vma: &&Vma| vma.start < end;
        first..first + self.as_slice()[first..].iter().take_while(overlapping).count()
    }

    /// The parts in `[start, end)` of these areas, which have one.
    pub fn parts(
        &self,
        areas: &Range<usize>,
        start: u64,
        end: u64,
    ) -> impl Iterator<Item = Vma> + Clone {
        self.as_slice()[areas.clone()].iter().map(move |vma| vma.part(start, end))
    }

    /// Where in the list an area `[start, end)` would be, if nothing lies there, nor within the
    /// guard gap of a stack above it.
    pub fn gap(&self, start: u64, end: u64) -> Option<usize> {
        let at = self.after(start);
        self.as_slice().get(at).is_none_or(|next| end <= next.lowest()).then_some(at)
    }

    /// The highest area that ends at or below the address, and the lowest one that starts at or
    /// above it, with the one that holds it in between.
    pub fn around(&self, address: u64) -> [Option<&Vma>; 3] {
        let (at, areas) = (self.after(address), self.as_slice());
        let below = at.checked_sub(1).and_then(|at| areas.get(at));
        match areas.get(at) {
            Some(vma) if vma.start <= address => [below, Some(vma), areas.get(at + 1)],
            above => [below, None, above],
        }
    }

    /// Makes sure of room for `more` areas.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the list would exceed its limit, or the table.
    pub fn reserve(&self, more: usize) -> Result<(), Errno> {
        let most = self.limit.min(self.table.as_ref().len());
        if self.len + more > most { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// How many borders of `[start, end)` lie inside an area: as many as would be added if the
    /// range became areas of its own.
    pub fn cuts(&self, start: u64, end: u64) -> usize {
        let inside = |at: &u64| self.find(*at).is_some_and(|vma| vma.start < *at);
        [start, end].iter().filter(|at| inside(at)).count()
    }

    /// Whether the range lies strictly inside one of these areas, so that taking it out leaves two.
    pub fn splits(&self, areas: &Range<usize>, start: u64, end: u64) -> bool {
        let only = self.as_slice()[areas.clone()].first();
        areas.len() == 1 && only.is_some_and(|vma| vma.start < start && end < vma.end)
    }

    /// Enters an area where nothing is, at its place in the list, as part of a neighbour if that
    /// goes on there. Room for one was reserved.
    pub fn insert(&mut self, at: usize, vma: Vma) {
        let areas = &mut self.table.as_mut()[..self.len];
        let joins_next = areas.get(at).is_some_and(|next| vma.continues_in(next));
        let joins_below = at > 0 && areas[at - 1].continues_in(&vma);
        match (joins_below, joins_next) {
            (true, false) => areas[at - 1].end = vma.end,
            (false, true) => areas[at] = Vma { end: areas[at].end, ..vma },
            (false, false) => self.open(at, vma),
            (true, true) => {
                areas[at - 1].end = areas[at].end;
                self.close(at..at + 1);
            }
        }
    }

    /// Takes out whatever lies in the range. If that [splits](Self::splits) an area, room for one
    /// was reserved.
    pub fn remove(&mut self, start: u64, end: u64) {
        let Range { start: mut first, end: mut last } = self.within(start, end);
        let areas = self.table.as_mut();
        if first < last && areas[first].start < start {
            let whole = areas[first];
            areas[first].end = start;
            first += 1;
            if end < whole.end {
                return self.open(first, whole.part(end, whole.end));
            }
        }
        if first < last && end < areas[last - 1].end {
            last -= 1;
            areas[last] = areas[last].part(end, areas[last].end);
        }
        self.close(first..last);
    }

    /// Changes whatever lies in `[start, end)`; what is alike afterwards becomes one. Room for the
    /// [cuts](Self::cuts) was reserved.
    pub fn rewrite(&mut self, start: u64, end: u64, change: impl Fn(&mut Vma)) {
        for border in [start, end] {
            let at = self.after(border);
            if let Some(vma) = self.as_slice().get(at).copied().filter(|vma| vma.start < border) {
                self.table.as_mut()[at].end = border;
                self.open(at + 1, vma.part(border, vma.end));
            }
        }
        let Range { start: first, end: last } = self.within(start, end);
        self.table.as_mut()[first..last].iter_mut().for_each(change);
        self.join(first.saturating_sub(1), (last + 1).min(self.len));
    }

    /// Moves areas up, and puts one into the gap.
    fn open(&mut self, at: usize, vma: Vma) {
        let table = self.table.as_mut();
        table.copy_within(at..self.len, at + 1);
        table[at] = vma;
        self.len += 1;
    }

    /// Takes areas out, and moves those above them down.
    fn close(&mut self, areas: Range<usize>) {
        self.table.as_mut().copy_within(areas.end..self.len, areas.start);
        self.len -= areas.len();
    }

    /// Makes one of neighbours that can be, among these areas. Moves what lies above once.
    fn join(&mut self, first: usize, last: usize) {
        let areas = self.table.as_mut();
        let mut kept = first;
        for next in first + 1..last {
            if areas[kept].continues_in(&areas[next]) {
                areas[kept].end = areas[next].end;
            } else {
                kept += 1;
                areas[kept] = areas[next];
            }
        }
        if kept + 1 < last {
            self.close(kept + 1..last);
        }
    }
}

impl List<Vec<Vma>> {
    /// Makes room in the table for the areas that one call can add. `reserve` makes sure of bytes
    /// on the heap.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when there is no memory for them.
    pub fn make_room(
        &mut self,
        reserve: impl FnOnce(usize) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let have = self.table.len();
        if self.len + MOST > have {
            reserve((2 * have).max(2 * MOST) * size_of::<Vma>())?;
            self.table.try_reserve(self.len + MOST - have).map_err(|_| Errno::ENOMEM)?;
            self.table.resize(self.table.capacity(), Vma::NONE);
        }
        Ok(())
    }

    /// Bytes of the table.
    pub const fn heap_bytes(&self) -> usize {
        self.table.len() * size_of::<Vma>()
    }

    /// A copy.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the heap has no room.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut table = Vec::new();
        table.try_reserve_exact(self.len).map_err(|_| Errno::ENOMEM)?;
        table.extend_from_slice(self.as_slice());
        Ok(Self { table, ..*self })
    }
}

/// Areas that a call adds at most: a new one, and one that is split.
const MOST: usize = 2;
