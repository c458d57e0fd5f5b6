//! A heap's operations without the checks for misuse: small blocks go to the layer, all others to
//! cells and mappings.
//!
//! ```text
//!   allocate ───┬ small ─► layer: at hand ──(none)──► a slab, or a cell              allocate.rs
//!               └ else ──► a mapping, or a freed cell ──► top ──► the break moves up
//!                          └──(refused)──► the layer gives everything up, and all is tried again
//!   deallocate ─┬ small ─► layer                                                     mod.rs
//!               └ else ──► its mapping goes, or the layer keeps its cell, or it is coalesced
//!   reallocate ─► in place, or moved                                                 reallocate.rs
//! ```
//!
//! `…_by_ptr` serves callers that know only the address.

mod allocate;
mod reallocate;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::chunks::Chunks;
use crate::large::Large;
use crate::layer::Layer;
use crate::mapped::Mapped;
use crate::profile::Profile;
use crate::provider::{BreakError, Map, Source};
use crate::request::Request;
use crate::size_class::Class;

/// A heap below its public methods.
#[derive(Debug)]
pub(crate) struct Unchecked<B, M, P: Profile> {
    pub(crate) layer: P::LayerOf<P>,
    pub(crate) large: Large<B, M, P>,
    /// Hook that is called before a request is refused.
    pub(crate) oom_hook: Option<OutOfMemoryHook>,
}

/// Function that receives the layout of a request that is about to be refused, and may return
/// memory for the heap to [add](crate::Heap::add_region). The heap then tries the request again,
/// and calls the hook again if it still does not fit. `None`: the heap refuses the request.
///
/// The heap calls it while it is locked: it must not use the heap.
pub type OutOfMemoryHook = fn(Layout) -> Option<NonNull<[u8]>>;

impl<B, M, P: Profile> Unchecked<B, M, P> {
    pub(crate) const fn new(source: B, map: M) -> Self {
        Self {
            layer: <P::LayerOf<P> as Layer<P>>::NEW,
            large: Large { chunks: Chunks::new(source), mapped: Mapped::new(map) },
            oom_hook: None,
        }
    }

    pub(crate) const fn chunks(&self) -> &Chunks<B, P> {
        &self.large.chunks
    }

    #[inline(always)]
    pub(crate) const fn has_stopped(&self) -> bool {
        self.large.chunks.has_stopped()
    }

    /// Returns the class of a layout if its blocks come from the layer.
    #[inline(always)]
    pub(crate) fn class_of(layout: Layout) -> Option<Class> {
        P::LayerOf::<P>::class_of(layout)
    }
}

impl<B: Source, M: Map, P: Profile> Unchecked<B, M, P> {
    /// Implements [`Heap::deallocate`](crate::Heap::deallocate).
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::deallocate`](crate::Heap::deallocate).
    #[inline(always)]
    pub(crate) unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // A longer block does not lie in a slab. For any other, the layer looks.
        if P::LayerOf::<P>::PRESENT && layout.size() <= P::LayerOf::<P>::LONGEST {
            // SAFETY: the block is live and given up: this method's clauses.
            return unsafe { self.layer.deallocate(&mut self.large, block) };
        }
        // SAFETY: the block is live and given up (this method's clauses), and lies in no slab, so
        // it has a header.
        unsafe { self.deallocate_large(block) };
    }

    /// Frees a block with a header: a cell, or one that has a mapping of its own.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::deallocate`](crate::Heap::deallocate); the block has a header.
    #[inline(never)]
    unsafe fn deallocate_large(&mut self, block: NonNull<u8>) {
        // SAFETY: the block is live, has a header, and is given up: this method's clauses.
        if self.large.has_lost(block) || unsafe { self.large.deallocate_mapped(block) } {
            return;
        }
        // SAFETY: the block is live and given up: this method's clauses. It has a header and no
        // mapping, so it is a cell.
        unsafe { self.layer.deallocate_cell(&mut self.large, block) };
    }

    /// Implements [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr).
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr).
    #[inline]
    pub(crate) unsafe fn deallocate_by_ptr(&mut self, block: NonNull<u8>) {
        // If the heap has stopped, the header may lie in memory that was taken.
        if self.has_stopped() {
            return;
        }
        if P::LayerOf::<P>::PRESENT {
            // SAFETY: the block is live and given up: this method's clauses.
            return unsafe { self.layer.deallocate(&mut self.large, block) };
        }
        // SAFETY: the block is live and given up (this method's clauses), and has a header.
        unsafe { self.deallocate_large(block) };
    }

    /// Returns the class of the slab in which a block lies.
    #[inline(always)]
    fn class_at(&self, block: NonNull<u8>) -> Option<Class> {
        self.layer.class_at(block.addr().get())
    }

    /// Returns the usable size of a block, in bytes; 0 in a heap that has stopped.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap.
    pub(crate) unsafe fn capacity(&self, block: NonNull<u8>) -> usize {
        if self.has_stopped() {
            return 0;
        }
        match self.class_at(block) {
            Some(class) => class.size(),
            // SAFETY: the block is live (this method's clause) and lies in no slab, so it has a
            // header.
            None => unsafe { self.large.capacity(block) },
        }
    }

    /// Implements [`Heap::reserve`](crate::Heap::reserve).
    pub(crate) fn reserve(&mut self, layout: Layout) -> Result<(), BreakError> {
        let request = Request::new(layout);
        self.layer.note_reserved();
        if self.chunks().has_freed(request) {
            return Ok(());
        }
        let mut answer = self.large.chunks.make_room(request);
        if answer.is_err() && !self.has_stopped() {
            self.flush();
            let has_room = self.has_room_now(request)
                || self.layer.dissolve(&mut self.large) && {
                    self.flush();
                    self.has_room_now(request)
                };
            if has_room {
                answer = Ok(());
            } else if !B::CONTIGUOUS && self.large.chunks.trim(0) > 0 {
                answer = self.large.chunks.make_room(request);
            }
        }
        self.settle();
        answer
    }

    /// Returns whether there is room for a request after the layer has given memory up. That may
    /// have become part of the top.
    fn has_room_now(&mut self, request: Request) -> bool {
        self.chunks().has_any(request)
            || P::LayerOf::<P>::PRESENT && self.large.chunks.make_room(request).is_ok()
    }

    /// Frees all memory that the layer holds back.
    pub(crate) fn flush(&mut self) {
        if !self.has_stopped() {
            self.layer.flush(&mut self.large);
        }
    }

    /// Implements [`Heap::trim`](crate::Heap::trim).
    pub(crate) fn trim(&mut self, keep: usize) -> usize {
        self.flush();
        let by = self.large.chunks.trim(keep);
        self.settle();
        by
    }

    /// Makes the layer forget its memory if the heap has stopped: it must not be touched any more.
    #[inline(always)]
    fn settle(&mut self) {
        if self.has_stopped() {
            self.layer.forget_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::WORD;
    use crate::heap::Heap;
    use crate::profile::{Plain, Small};
    use crate::provider::{FixedBreak, NoMap};
    use std::boxed::Box;

    #[test]
    fn reserve_finds_every_cell_that_allocate_finds() {
        reserve_finds_every_cell::<Plain>();
        reserve_finds_every_cell::<Small>();
    }

    fn reserve_finds_every_cell<P: Profile>() {
        const LONG: usize = 4400;
        let no_break = FixedBreak::from_array(Box::leak(Box::new([])));
        let mut heap = Heap::<_, _, P>::with_profile(no_break, NoMap);
        // A bounded search looks at fewer cells of one class; only the first one is long enough.
        for len in [LONG, 4300, 4300, 4300, 4300, 4300, 4300] {
            let memory: &mut [u64] = Box::leak(Box::new([0; 1000]));
            // SAFETY: the memory is leaked and long enough, and nothing else uses it.
            unsafe { heap.add_region(memory.as_mut_ptr().cast(), len) }.unwrap();
        }
        let layout = Layout::from_size_align(LONG - 5 * WORD, 8).unwrap();
        assert_eq!(heap.reserve(layout.size()), Ok(()));
        // SAFETY: the heap outlives the block.
        assert!(unsafe { heap.allocate(layout) }.is_some());
    }
}
