//! Operations of a checked heap: each finds the caller's mistake and reports it before it does
//! harm.
//!
//! ```text
//!   allocate ─► the heap allocates a longer block ─► a record behind the payload   record.rs
//!   deallocate, reallocate, usable_size        (…_by_ptr: the record has the layout)
//!        └─► locate the block ─► its record ─► header and neighbours ─► the unchecked heap
//!            place.rs            record.rs     ../chunks/               remote frees: sent.rs
//!                 └──────────────────┴──────────────┴──► Misuse ─► the hook decides      misuse.rs
//! ```
//!
//! Rules of this folder: it reads a word only after it has verified that the word is the heap's,
//! and follows a link only after it has verified the link. It examines more than a few cells only
//! after it has found a misuse.

mod place;
mod record;
mod sent;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::{Cell, Header, WORD, copy_down};
use crate::check::{Corruption, Rule};
use crate::checks::{Checks, MappedBlocks};
use crate::chunks::Growth;
use crate::layer::Layer;
use crate::misuse::{Misuse, MisuseKind};
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::unchecked::Unchecked;

pub(crate) use place::Look;
pub(crate) use record::guarded as guarded_layout;
pub(crate) use record::size_on_record;
pub(crate) use sent::{examine_foreign, relabel, send};

use place::Place;
use record::Guarded;

/// The operations of a checked heap.
pub(crate) struct Checker<'heap, B, M, P: Profile>(pub(crate) &'heap mut Unchecked<B, M, P>);

impl<B, M, P: Profile> Checker<'_, B, M, P> {
    fn look(&self) -> Look<'_, B, M, P> {
        Look(self.0)
    }
}

impl<B: Source, M: Map, P: Profile> Checker<'_, B, M, P> {
    /// Implements [`Heap::allocate`](crate::Heap::allocate), and `try_allocate` if growth is
    /// forbidden.
    pub(crate) fn allocate(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        if !self.0.large.chunks.has_sound_top() {
            return None;
        }
        let block = self.0.allocate(record::guarded(layout)?, growth);
        if let Some(block) = block {
            self.verify_fill(block);
        }
        // SAFETY: the heap allocated the block for `layout` and its record; no caller has it yet.
        unsafe { self.begin_block(block, layout) }
    }

    /// Reports a write to a block of a slab while it was free. No caller has written to it since.
    fn verify_fill(&mut self, block: NonNull<u8>) {
        if let Ok((guarded, Place::Slab)) = self.look().locate(block) {
            if let Some(misuse) = guarded.written_since_filled() {
                self.report(&misuse);
            }
        }
    }

    /// Implements [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
    pub(crate) fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if !self.0.large.chunks.has_sound_top() {
            return None;
        }
        let longer = record::guarded(layout)?;
        if Unchecked::<B, M, P>::class_of(longer).is_some() {
            // A block of a slab is verified before it is written to.
            let block = self.allocate(layout, Growth::Allowed)?;
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
            return Some(block);
        }
        let block = self.0.allocate_zeroed(longer);
        // SAFETY: the heap allocated the block for `layout` and its record; no caller has it yet.
        unsafe { self.begin_block(block, layout) }
    }

    /// Writes the record of an allocated block and returns the block. Returns `None` if `taken` is
    /// `None`, or if the block's header was overwritten while it was free: no caller then gets it.
    ///
    /// # Safety
    ///
    /// The heap allocated the block for `layout` and its record, and no caller uses the bytes
    /// behind
    /// `layout.size()`.
    unsafe fn begin_block(
        &mut self,
        taken: Option<NonNull<u8>>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let place = taken.map(|block| (block, self.look().locate(block)));
        if let Some((_, Ok((guarded, _)))) = place {
            // SAFETY: the block holds `layout` and its record, and no caller uses the bytes behind
            // it: this method's clause.
            unsafe { guarded.begin(layout) };
        }
        self.report_broken_links();
        match place? {
            (block, Ok(_)) => Some(block),
            (block, Err(reason)) => {
                let misuse = self.look().diagnose(block, Some(layout), reason);
                self.report(&misuse);
                None
            }
        }
    }

    /// Implements [`Heap::deallocate`](crate::Heap::deallocate) for any address.
    pub(crate) fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        let Some((guarded, longer)) = self.admit(block, layout) else { return };
        let is_in_slab = self.0.layer.class_at(block.addr().get()).is_some();
        // SAFETY: `admit` verified that the block is live and has this layout, so the heap
        // allocated it with the longer one.
        unsafe {
            if is_in_slab {
                guarded.fill(layout);
            } else {
                guarded.set(layout, false);
            }
            self.0.deallocate(block, longer);
        }
        self.report_broken_links();
    }

    /// Implements [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr) for any address.
    pub(crate) fn deallocate_by_ptr(&mut self, block: NonNull<u8>) {
        let layout = self.look().layout_on_record(block);
        self.deallocate(block, layout);
    }

    /// Implements [`Heap::reallocate`](crate::Heap::reallocate) for any address.
    pub(crate) fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let new = Layout::from_size_align(new_size, layout.align()).ok()?;
        let new_longer = record::guarded(new)?;
        if !self.0.large.chunks.has_sound_top() {
            return None;
        }
        let (guarded, longer) = self.admit(block, layout)?;
        // If the block moves, its old place keeps the record of a freed block.
        // SAFETY: `admit` verified that the block is live and has this layout, so the heap
        // allocated it with the longer one.
        let moved = unsafe {
            guarded.set(layout, false);
            self.0.reallocate(block, longer, new_longer.size())
        };
        if moved.is_none() && !self.0.has_stopped() {
            // SAFETY: the heap did not resize the block, so it still has this layout and its
            // record.
            unsafe { guarded.set(layout, true) };
        }
        // SAFETY: the heap resized the block for the new layout and its record.
        unsafe { self.begin_block(moved, new) }
    }

    /// Implements [`Heap::reallocate_by_ptr`](crate::Heap::reallocate_by_ptr) for any address. A
    /// block whose alignment changes moves, because the old alignment determined its address and
    /// its record.
    pub(crate) fn reallocate_by_ptr(
        &mut self,
        block: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let old = self.look().layout_on_record(block);
        if old.align() == new.align() {
            return self.reallocate(block, old, new.size());
        }
        self.admit(block, old)?;
        let moved = self.allocate(new, Growth::Allowed)?;
        // SAFETY: two live blocks do not overlap, and each has that many bytes, rounded up to
        // words: a record follows the caller's bytes.
        unsafe { copy_down::<P>(block, moved, old.size().min(new.size())) };
        self.deallocate(block, old);
        Some(moved)
    }

    /// Implements [`Heap::verify`](crate::Heap::verify).
    pub(crate) fn verify(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        self.admit(block, layout).is_some()
    }

    /// Verifies a block before it is freed or resized. Returns it with the layout that the heap
    /// allocated it with, or reports the misuse and returns `None`.
    fn admit(&mut self, block: NonNull<u8>, layout: Layout) -> Option<(Guarded, Layout)> {
        if self.0.has_stopped() {
            return None;
        }
        match self.look().examine(block, layout) {
            Ok((guarded, Place::Cell)) => {
                let is_sound = self.0.large.chunks.is_sound(Cell::at_payload(guarded.block));
                Some((guarded, record::guarded(layout).filter(|_| is_sound)?))
            }
            Ok((guarded, _)) => Some((guarded, record::guarded(layout)?)),
            Err(misuse) => {
                self.report(&misuse);
                if misuse.kind == MisuseKind::Overflow {
                    if let Ok((guarded, _)) = self.look().locate(block) {
                        // SAFETY: the caller gave the block up, and the heap does not reuse it: it
                        // counts as freed.
                        unsafe { guarded.set(layout, false) };
                    }
                }
                None
            }
        }
    }

    /// Reports the overwritten links that the layer has found in free blocks.
    pub(crate) fn report_broken_links(&mut self) {
        if let Some(broken) = self.0.layer.take_broken() {
            self.report(&broken.into());
        }
    }

    /// Reports a misuse to the hook. Returns if the hook ignores it, and panics otherwise.
    pub(crate) fn report(&mut self, misuse: &Misuse) {
        self.0.large.chunks.checks.report(misuse);
    }
}

impl<B, M: Map, P: Profile> Look<'_, B, M, P> {
    /// Returns the layout on the record of a live or freed block; an arbitrary layout if there is
    /// no record.
    fn layout_on_record(&self, block: NonNull<u8>) -> Layout {
        let place = if self.0.has_stopped() { None } else { self.locate(block).ok() };
        let record = place.and_then(|(guarded, _)| guarded.record().decode(guarded.addr()));
        record.map_or(Layout::new::<u8>(), |(layout, _)| layout)
    }

    /// Implements [`Heap::usable_size`](crate::Heap::usable_size): the requested size, in bytes,
    /// because the record follows it. 0 if there is no live block.
    pub(crate) fn usable_size(&self, block: NonNull<u8>) -> usize {
        if self.0.has_stopped() {
            return 0;
        }
        let Ok((guarded, _)) = self.locate(block) else { return 0 };
        let record = guarded.record().decode(guarded.addr());
        record.map_or(0, |(layout, live)| if live { layout.size() } else { 0 })
    }

    /// Returns `true` if a live block with an intact record begins at `block` and has this layout.
    /// `None`: any layout. Returns `true` without a check if the heap has stopped.
    pub(crate) fn has_block(&self, block: NonNull<u8>, layout: Option<Layout>) -> bool {
        let layout = layout.unwrap_or_else(|| self.layout_on_record(block));
        self.0.has_stopped() || self.examine(block, layout).is_ok()
    }

    /// Verifies the words in front of mapped blocks, and the records of the blocks that are cells.
    /// All headers of cells have been verified.
    ///
    /// # Errors
    ///
    /// The first record that was overwritten, or the first overwritten byte in front of one.
    pub(crate) fn check_records(&self) -> Result<(), Corruption> {
        if let Some(Err(Misuse { at, found, expected, .. })) =
            self.0.chunks().checks.mapped().map(MappedBlocks::verify)
        {
            return Err(Corruption { at, rule: Rule::Record, expected, found });
        }
        let mut used = self
            .0
            .chunks()
            .sound_cells()
            .filter(|(_, header)| header.is_used() && !header.is_fencepost());
        used.try_for_each(|(cell, header)| self.check_record(cell, header))
    }

    /// Verifies the record of a used cell, and the gap in front of it. Skips slabs and internal
    /// cells.
    fn check_record(&self, cell: Cell<P>, header: Header) -> Result<(), Corruption> {
        let (block, rule) = (cell.payload(), Rule::Record);
        if self.0.layer.class_at(block.addr().get()).is_some() || self.0.layer.is_internal(block) {
            return Ok(());
        }
        let (capacity, least) = (header.size() - WORD, record::LEAST_CAPACITY);
        if capacity < least {
            return Err(Corruption { at: cell.addr(), rule, expected: least, found: capacity });
        }
        // SAFETY: the cell is used, belongs to a caller's block, and is long enough for a record.
        let guarded = unsafe { Guarded::new(block, capacity) };
        let record = guarded.record();
        match record.decode(guarded.addr()) {
            Some((layout, true)) => {
                guarded.first_overflow(layout.size()).map_or(Ok(()), |overflow| {
                    Err(Corruption::new(overflow.0, rule, Guarded::GAP, overflow.1.into()))
                })
            }
            Some((_, false)) => Ok(()),
            None => {
                let expected = record.check_of(guarded.addr());
                Err(Corruption { at: guarded.check_addr(), rule, expected, found: record.check })
            }
        }
    }
}
