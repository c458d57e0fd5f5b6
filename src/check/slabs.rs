//! Invariants of slabs, verified one by one: the page map, the descriptors, the slabs and their
//! lists.
//!
//! ```text
//!   check_before   each leaf and each table lies in the heap, so that both can be read
//!   check_use      each used cell: if the map says that it is a slab, its descriptor and its blocks
//!   check_after    map, lists and counters against those of the walk
//! ```

use core::ptr::NonNull;

use super::corruption::{Corruption, Rule, verify};
use super::layer::{LayerRules, room_from};
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::size_class::{ARENA_CLASSES, Class};
use crate::slab_tuning::SlabTuning;
use crate::slabs::{Descriptors, FreeList, Slab, SlabMap, Slabs, State, alignment_of};

/// Findings of a walk over all cells that concern slabs.
pub struct SlabTally {
    granules: [usize; ARENA_CLASSES],
    slabs: usize,
    /// Slabs in lists.
    listed: usize,
    empty: usize,
    /// Leaves and tables.
    internal: usize,
}

impl Default for SlabTally {
    fn default() -> Self {
        Self { granules: [0; ARENA_CLASSES], slabs: 0, listed: 0, empty: 0, internal: 0 }
    }
}

/// The rules of a map from addresses to slabs.
pub trait MapRules<P: Tuning>: SlabMap<P::Slabs> {
    /// Returns the cells that the map has of the heap, with their lengths in bytes.
    fn cells(&self) -> impl Iterator<Item = (NonNull<u8>, usize)>;

    /// Verifies what must be known before a word is read. `is_descriptor` says whether a pointer
    /// leads to a descriptor of a table.
    fn check_map<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        is_descriptor: impl Fn(NonNull<Slab>) -> bool,
    ) -> Result<(), Corruption>;

    /// Returns whether a descriptor of a table stands for no slab.
    fn is_absent(&self, slab: NonNull<Slab>) -> bool;

    /// Verifies what the map says of a granule of a slab, whose descriptor is one.
    fn check_granule(&self, granule: usize, slab: NonNull<Slab>) -> Result<(), Corruption>;

    /// Returns the number of granules that the map says to be a slab's.
    fn granules_of_slabs<B: Source>(&self, chunks: &Chunks<B, P>) -> usize;
}

impl<P: Tuning, G: MapRules<P>, const N: usize> LayerRules<P> for Slabs<P, G, N> {
    type Tally = SlabTally;

    fn check_before<B: Source>(&self, chunks: &Chunks<B, P>) -> Result<(), Corruption> {
        self.internal(chunks).try_for_each(|(memory, len)| {
            let at = memory.addr().get();
            verify(at, Rule::Leaf, len, len.min(room_from(chunks, at)))
        })?;
        self.map.check_map(chunks, |slab| self.is_descriptor(chunks, slab))
    }

    fn check_use<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        cell: Cell<P>,
        size: usize,
        tally: &mut SlabTally,
    ) -> Result<(), Corruption> {
        let payload = cell.payload();
        let at = payload.addr().get();
        let Some(descriptor) = self.map.slab_at(at) else {
            if let Some((_, len)) = self.internal(chunks).find(|&(memory, _)| memory == payload) {
                tally.internal += 1;
                verify(at, Rule::Leaf, len.max(size - WORD), size - WORD)?;
            }
            return Ok(());
        };
        if !self.is_descriptor(chunks, descriptor) {
            return Err(Corruption::new(at, Rule::PageMap, 0, addr(descriptor)));
        }
        // SAFETY: `is_descriptor` verified that it is one.
        let slab = unsafe { descriptor.as_ref() };
        verify(at, Rule::SlabCell, addr(slab.start), at)?;
        let alignment = alignment_of::<P::Slabs>(slab.class);
        verify(at, Rule::SlabCell, at / alignment * alignment, at)?;
        let len = slab.len::<P::Slabs>();
        // What is left when a cell is split, and is too short for one, stays with it.
        if size.wrapping_sub(len) >= MIN_CELL {
            return Err(Corruption::new(at, Rule::SlabCell, len, size));
        }
        for granule in (at..at + len).step_by(P::Slabs::GRANULE) {
            self.map.check_granule(granule, descriptor)?;
        }
        tally.slabs += 1;
        tally.granules[slab.class.index()] += len / P::Slabs::GRANULE;
        self.check_slab(chunks, descriptor, slab, tally)
    }

    fn check_after<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        at: usize,
        tally: &SlabTally,
    ) -> Result<(), Corruption> {
        verify(at, Rule::Leaves, self.internal(chunks).count(), tally.internal)?;
        let granules = self.map.granules_of_slabs(chunks);
        verify(at, Rule::PageMap, tally.granules.iter().sum(), granules)?;
        verify(at, Rule::Slabs, self.slabs, tally.slabs)?;
        verify(at, Rule::EmptySlab, self.empty, tally.empty)?;
        for class in Class::all::<N>() {
            let index = class.index();
            verify(at, Rule::Slabs, self.granules[index] as usize, tally.granules[index])?;
        }
        let loan = Class::all::<N>().map(|class| self.loan_of(class)).sum();
        verify(at, Rule::Loan, self.loan, loan)?;
        self.check_tables()?;
        self.check_lists(chunks, at, tally)
    }
}

impl<P: Tuning, G: MapRules<P>, const N: usize> Slabs<P, G, N> {
    /// Returns the leaves and tables, with their lengths in bytes. A table that does not lie in the
    /// heap has the length `usize::MAX`.
    fn internal<B>(&self, chunks: &Chunks<B, P>) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let is_table = |memory: NonNull<u8>| room_from(chunks, addr(memory)) >= Descriptors::HEAD;
        // SAFETY: `is_table` accepts only memory of the heap, as long as a head.
        let tables = unsafe { self.descriptors.tables(is_table) };
        self.map.cells().chain(tables.map(|table| (table.memory, table.len)))
    }

    /// Verifies the number of descriptors that are in use, of each table. Tables were verified to
    /// lie in the heap.
    fn check_tables(&self) -> Result<(), Corruption> {
        let is_used = |slab: &NonNull<Slab>| {
            // SAFETY: a descriptor of a table in the heap that was taken once.
            let state = unsafe { slab.as_ref() }.state();
            state != State::Absent || self.map.is_absent(*slab)
        };
        // SAFETY: every table lies in the heap, and is as long as it says.
        unsafe { self.descriptors.tables(|_| true) }.try_for_each(|table| {
            // SAFETY: as before.
            let used = unsafe { table.descriptors() }.filter(is_used).count();
            verify(addr(table.memory), Rule::Descriptors, used, table.used)
        })
    }

    /// Returns `true` if a word of the map leads to a descriptor of a table.
    fn is_descriptor<B>(&self, chunks: &Chunks<B, P>, descriptor: NonNull<Slab>) -> bool {
        let mut tables = self.internal(chunks).skip(self.map.cells().count());
        tables.any(|(table, len)| {
            let offset = addr(descriptor).wrapping_sub(addr(table) + Descriptors::HEAD);
            offset < len.saturating_sub(Descriptors::HEAD) && offset % size_of::<Slab>() == 0
        })
    }

    /// Verifies the blocks of a slab, and what leads to it.
    fn check_slab<B>(
        &self,
        chunks: &Chunks<B, P>,
        descriptor: NonNull<Slab>,
        slab: &Slab,
        tally: &mut SlabTally,
    ) -> Result<(), Corruption> {
        let (at, class) = (addr(slab.start), slab.class.index());
        let carved = usize::from(slab.carved);
        verify(at, Rule::SlabBlocks, carved.min(usize::from(slab.total)), carved)?;
        let free = check_list(slab, &slab.free)?;
        let is_listed = match slab.state() {
            State::Absent => return Err(Corruption::new(at, Rule::SlabBlocks, 1, 0)),
            State::Listed | State::Kept => {
                verify(at, Rule::SlabBlocks, carved, free + usize::from(slab.left))?;
                true
            }
            State::Full => {
                let until = usize::from(slab.relisted_after::<P::Slabs>());
                verify(at, Rule::SlabBlocks, until, free + usize::from(slab.left))?;
                verify(at, Rule::SlabBlocks, usize::from(slab.total), carved)?;
                verify(at, Rule::SlabBlocks, 1, usize::from(slab.left.min(1)))?;
                false
            }
        };
        if self.heads[class] == Some(descriptor) {
            let at_hand = check_list(slab, &self.lists[class])?;
            verify(at, Rule::SlabBlocks, at_hand, at_hand.min(usize::from(slab.left)))?;
        }
        if !is_listed {
            return Ok(());
        }
        tally.listed += 1;
        let to_here = match slab.prev {
            None => self.heads[class],
            // SAFETY: `is_descriptor` verified that it is one.
            Some(prev) if self.is_descriptor(chunks, prev) => unsafe { prev.as_ref() }.next,
            outside => outside,
        };
        verify(at, Rule::SlabLinks, addr(descriptor), to_here.map_or(0, addr))?;
        if slab.is_empty() {
            tally.empty += 1;
            let is_alone = slab.next.is_none() && slab.prev.is_none();
            verify(at, Rule::EmptySlab, 1, usize::from(is_alone))?;
        }
        let (is_empty, is_kept) = (slab.is_empty(), slab.state() == State::Kept);
        verify(at, Rule::EmptySlab, usize::from(is_empty), usize::from(is_kept))?;
        Ok(())
    }

    /// Follows every list of slabs: they are listed slabs of its class, and as many as the walk
    /// found. Blocks are at hand only of a class that has a listed slab.
    fn check_lists<B>(
        &self,
        chunks: &Chunks<B, P>,
        at: usize,
        tally: &SlabTally,
    ) -> Result<(), Corruption> {
        let mut seen = 0;
        for class in Class::all::<N>() {
            let index = class.index();
            let (mut next, mut before) = (self.heads[index], 0);
            if next.is_none() {
                let first = self.lists[index].0.map_or(0, addr);
                verify(first, Rule::SlabList, 0, first)?;
            }
            while let Some(descriptor) = next {
                let wrong = Corruption::new(before, Rule::SlabLinks, 0, addr(descriptor));
                if seen == tally.listed || !self.is_descriptor(chunks, descriptor) {
                    return Err(wrong);
                }
                // SAFETY: `is_descriptor` verified that it is one.
                let slab = unsafe { descriptor.as_ref() };
                if !matches!(slab.state(), State::Listed | State::Kept) || slab.class != class {
                    return Err(wrong);
                }
                seen += 1;
                (before, next) = (addr(descriptor), slab.next);
            }
        }
        verify(at, Rule::Listed, tally.listed, seen)
    }
}

/// Follows a list of free blocks of a slab: it leads from block to block, and is no longer than
/// there are blocks. Returns its length.
fn check_list(slab: &Slab, list: &FreeList) -> Result<usize, Corruption> {
    let mut free = 0;
    // SAFETY: `index_of` accepts only blocks of the slab.
    for address in unsafe { list.addresses(|address| slab.index_of(address).is_some()) } {
        if slab.index_of(address).is_none() || free == usize::from(slab.carved) {
            return Err(Corruption::new(addr(slab.start), Rule::SlabList, 0, address));
        }
        free += 1;
    }
    Ok(free)
}

/// Verifies a descriptor that stands for no slab.
///
/// # Safety
///
/// The descriptor lies in memory of the heap.
pub(super) unsafe fn check_absent(absent: NonNull<Slab>) -> Result<(), Corruption> {
    // SAFETY: the descriptor is memory of the heap: this function's clause.
    let slab = unsafe { absent.as_ref() };
    let is_sound = slab.state() == State::Absent && slab.left == 1 && slab.free.0.is_none();
    verify(addr(absent), Rule::PageMap, 1, usize::from(is_sound))
}

fn addr<T>(pointer: NonNull<T>) -> usize {
    pointer.addr().get()
}

#[cfg(test)]
mod tests;
