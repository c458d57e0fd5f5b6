//! The layer of small blocks, or none, as the heap sees it.

use core::alloc::Layout;
use core::fmt::Debug;
use core::ptr::NonNull;

use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::link_copy::BrokenLink;
use crate::provider::{Map, Source};
use crate::request::Request;
use crate::size_class::Class;

/// Place of an address in a slab.
#[derive(Clone, Copy, Debug)]
pub struct InSlab {
    /// Class of the slab.
    pub(crate) class: Class,
    /// Address of the block in which the address lies, if in any.
    pub(crate) around: Option<usize>,
}

/// Layer over [`Large`] for small and medium blocks.
///
/// Blocks of a class come from the layer. All others are cells or mappings: they pass through the
/// layer, which may give up memory for one. The address of a block, not its layout, says where it
/// goes back to. The default is a layer that is not there.
///
/// # Safety
///
/// An implementer returns blocks that are as long and as aligned as was asked for, in no other use,
/// and stay so until they are given back.
pub unsafe trait Layer<P: Tuning>: Debug + Sized {
    /// Nothing is there yet.
    const NEW: Self;

    /// There are small blocks at all.
    const PRESENT: bool = false;

    /// Maximum size of a block of a class, in bytes.
    const LONGEST: usize = 0;

    /// Returns the class of a layout whose blocks come from the layer.
    #[inline(always)]
    fn class_of(_: Layout) -> Option<Class> {
        None
    }

    /// Returns the block of a class that was freed last, if there is one at hand. O(1).
    #[inline(always)]
    fn pop(&mut self, _: Class) -> Option<NonNull<u8>> {
        None
    }

    /// Allocates a block of a class that has none at hand.
    fn allocate<B: Source, M: Map>(
        &mut self,
        _: &mut Large<B, M, P>,
        _: Class,
        _: Layout,
        _: Growth,
    ) -> Option<NonNull<u8>> {
        None
    }

    /// Returns whether a slab of a class may have a free block.
    #[inline(always)]
    fn may_refill(&self, _: Class) -> bool {
        false
    }

    /// Makes free blocks of a slab of a class the ones at hand, and takes one. O(1).
    #[inline(always)]
    fn refill(&mut self, _: Class) -> Option<NonNull<u8>> {
        None
    }

    /// Allocates a block of a class that has none at hand, and no slab, as a cell, if that takes
    /// one step. O(1). The request is no more aligned than every cell is.
    #[inline(always)]
    fn allocate_at_once<B: Source, M: Map>(
        &mut self,
        _: &mut Large<B, M, P>,
        _: Class,
        _: Request,
    ) -> Option<NonNull<u8>> {
        None
    }

    /// Frees a block: one of the layer, a cell, or one with a mapping of its own. For a layer that
    /// is [present](Layer::PRESENT).
    ///
    /// # Safety
    ///
    /// `block` is a live block of the heap, and nothing uses it any more.
    #[inline(always)]
    unsafe fn deallocate<B: Source, M: Map>(&mut self, _: &mut Large<B, M, P>, _: NonNull<u8>) {}

    /// Allocates a cell: one from the bins, or one from the top.
    #[inline(always)]
    fn allocate_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        let block = match large.chunks.take(request) {
            Some(block) => block,
            None => self.take_new(large, request, growth)?,
        };
        self.count_cell(block);
        Some(block)
    }

    /// Takes a new cell from memory that the break grants, if it may move.
    #[inline(always)]
    fn take_new<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        large.chunks.take_new(request, growth)
    }

    /// Counts a new cell.
    #[inline(always)]
    fn count_cell(&mut self, _: NonNull<u8>) {}

    /// Frees a block that is a cell. If the heap stops, the layer has forgotten everything when
    /// this returns.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell that nothing uses any more.
    #[inline(always)]
    unsafe fn deallocate_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: the clause is that of this method.
        unsafe { large.chunks.free_and_trim(payload) };
    }

    /// Resizes a block of the layer, if it can stay where it is, or there is a block of the new
    /// class at hand.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate). After `None` the block has not
    /// changed.
    #[inline(always)]
    unsafe fn reallocate_at_hand<B: Source, M: Map>(
        &mut self,
        _: &mut Large<B, M, P>,
        _: NonNull<u8>,
        _: Layout,
    ) -> Option<NonNull<u8>> {
        None
    }

    /// Notes that a cell has become longer or shorter, in bytes.
    #[inline(always)]
    fn note_cell_resized(&mut self, _old: usize, _new: usize) {}

    /// Returns the class of the slab in which an address lies.
    #[inline(always)]
    fn class_at(&self, _: usize) -> Option<Class> {
        None
    }

    /// Returns whether a payload is the layer's own.
    fn is_internal(&self, _: NonNull<u8>) -> bool {
        false
    }

    /// Notes that the heap has made room for a block, whose allocation must not move the break.
    #[inline(always)]
    fn note_reserved(&mut self) {}

    /// Gives up all memory in which no block is live.
    fn flush<B: Source, M: Map>(&mut self, _: &mut Large<B, M, P>) {}

    /// Gives up memory between live blocks, as far as it can. Returns whether there was some.
    fn dissolve<B: Source, M: Map>(&mut self, _: &mut Large<B, M, P>) -> bool {
        false
    }

    /// Forgets everything: the memory is no longer the heap's.
    fn forget_all(&mut self) {}

    /// Returns the place of an address in a slab, if it lies in one. For a checked heap.
    fn in_slab(&self, _: NonNull<u8>) -> Option<InSlab> {
        None
    }

    /// Returns whether a block of a slab is free. For a checked heap.
    fn is_free_in_slab(&self, _: NonNull<u8>) -> bool {
        false
    }

    /// Returns the link that was found overwritten first, since this was asked.
    fn take_broken(&mut self) -> Option<BrokenLink> {
        None
    }
}

/// No layer: every block is a cell, or has a mapping of its own.
#[derive(Debug)]
pub struct NoLayer;

// SAFETY: every block comes from the cells.
unsafe impl<P: Tuning> Layer<P> for NoLayer {
    const NEW: Self = Self;
}
