//! Blocks with a header: cells, and blocks with mappings of their own. The layer of small blocks is
//! above.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::{Cell, WORD};
use crate::checks::Checks;
use crate::chunks::{Chunks, Growth, Tuning};
use crate::mapped::{Mapped, Remapped};
use crate::provider::{Map, Source};
use crate::request::Request;

/// Cells and mapped blocks of a heap.
#[derive(Debug)]
pub struct Large<B, M, P: Tuning> {
    /// Cells.
    pub(crate) chunks: Chunks<B, P>,
    /// Blocks with mappings of their own.
    pub(crate) mapped: Mapped<M>,
}

impl<B, M: Map, P: Tuning> Large<B, M, P> {
    /// Returns whether the heap has stopped, for a caller with a live block.
    #[inline(always)]
    pub(crate) const fn has_lost(&self, _: NonNull<u8>) -> bool {
        if M::AVAILABLE {
            return self.chunks.has_stopped();
        }
        // The block lies in a region: if none is known, the heap has stopped.
        self.chunks.space().lowest().is_none()
    }

    /// Verifies that a block with a header begins at an address of a plain heap, as far as that
    /// header, and for a cell the next one, tell.
    ///
    /// # Panics
    ///
    /// If none does.
    ///
    /// # Safety
    ///
    /// The address is a multiple of [`CELL_ALIGN`](crate::cell::CELL_ALIGN). The word in front of
    /// it is memory of the heap, or [`may_be_mapped`] holds.
    ///
    /// [`may_be_mapped`]: crate::mapped::Mapped::may_be_mapped
    #[inline(always)]
    pub(crate) unsafe fn require_block(&self, block: NonNull<u8>) {
        if P::CHECKED {
            return;
        }
        // SAFETY: the word is readable, this method's clause; a header has any bits. A used header
        // that is no longer than the heap is followed by another one.
        let is_block = unsafe {
            let cell = Cell::<P>::at_payload(block);
            let header = cell.header();
            M::AVAILABLE && header.is_fencepost()
                || header.is_used()
                    && header.size() <= self.chunks.space().len()
                    && cell.next().header().is_prev_used()
        };
        if !is_block {
            no_block(block.addr().get());
        }
    }
}

/// Reports a free of an address at which no block with a header begins.
#[cold]
#[inline(never)]
pub(crate) fn no_block(address: usize) -> ! {
    panic!(
        "free of {address:#x}: no block begins there, or it was freed, or its header was \
         overwritten"
    );
}

impl<B: Source, M: Map, P: Tuning> Large<B, M, P> {
    /// Allocates a block with a mapping of its own; `None` if the provider refuses.
    pub(crate) fn allocate_mapped(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let mapped = self.mapped.allocate::<P>(layout)?;
        self.chunks.counters.mapped(mapped.capacity());
        if let Some(blocks) = self.chunks.checks.mapped_mut() {
            blocks.add(mapped.block());
        }
        Some(mapped.block())
    }

    /// Frees a block if it has a mapping of its own. Returns `true` if it had.
    ///
    /// # Safety
    ///
    /// `block` is a live block with a header. If it has a mapping of its own, nothing uses it any
    /// more.
    pub(crate) unsafe fn deallocate_mapped(&mut self, block: NonNull<u8>) -> bool {
        // SAFETY: the block is live and has a header: this method's clause.
        let Some(capacity) = (unsafe { self.mapped.capacity_of::<P>(block) }) else {
            return false;
        };
        if let Some(blocks) = self.chunks.checks.mapped_mut() {
            blocks.remove(block);
        }
        // SAFETY: the block has a mapping of its own, and nothing uses it: this method's clause.
        unsafe { self.mapped.deallocate::<P>(block) };
        self.chunks.counters.unmapped(capacity);
        true
    }

    /// Resizes a block by remapping, if it has a mapping of its own and its new size is not small.
    ///
    /// # Safety
    ///
    /// `block` is a live block with a header. After [`Remapped::To`] the caller uses only the new
    /// address.
    pub(crate) unsafe fn reallocate_mapped(&mut self, block: NonNull<u8>, new: Layout) -> Remapped {
        // SAFETY: the clauses of `Mapped::reallocate` are those of this method.
        let remapped = unsafe { self.mapped.reallocate::<P>(block, new) };
        if let Remapped::To(moved, old_capacity) = &remapped {
            self.chunks.counters.unmapped(*old_capacity);
            self.chunks.counters.mapped(moved.capacity());
            if let Some(blocks) = self.chunks.checks.mapped_mut() {
                blocks.moved(block, moved.block());
            }
        }
        remapped
    }

    /// Makes the last attempt to serve a request, after the layer above has given up all free
    /// memory that it held back. Tries a free cell, a grant of the provider, then all free cells.
    /// If these fail and growth is allowed, gives all free memory back to the provider, and tries a
    /// mapping and a new grant.
    ///
    /// # Time
    ///
    /// O(free cells of the request's class and higher + segments), plus a constant number of calls
    /// of the providers.
    #[cold]
    pub(crate) fn allocate_last(
        &mut self,
        layout: Layout,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        // (One that has stopped has no free cell and no provider.)
        let found = self
            .chunks
            .take(request)
            .or_else(|| self.chunks.take_new(request, growth))
            .or_else(|| self.chunks.take_any(request));
        let has_more = !B::CONTIGUOUS || M::AVAILABLE;
        if found.is_some() || growth == Growth::Forbidden || !has_more || self.chunks.has_stopped()
        {
            return found;
        }
        let has_given_back = self.chunks.trim(0) > 0;
        if self.mapped.may_hold(layout) {
            if let Some(block) = self.allocate_mapped(layout) {
                return Some(block);
            }
        }
        if has_given_back { self.chunks.allocate(request, growth) } else { None }
    }

    /// Returns the usable size of a block, in bytes.
    ///
    /// # Safety
    ///
    /// `block` is a live block with a header.
    pub(crate) unsafe fn capacity(&self, block: NonNull<u8>) -> usize {
        // SAFETY: the block is live and has a header: this method's clause.
        if let Some(capacity) = unsafe { self.mapped.capacity_of::<P>(block) } {
            return capacity;
        }
        // SAFETY: the block is live and has a header (this method's clause): the heap wrote it when
        // it allocated the block.
        unsafe { Cell::<P>::of_payload(block).header().size() - WORD }
    }
}
