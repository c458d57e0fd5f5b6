//! The layer of an arena's heap, as the arena sees it.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Owner, SegmentMap, SegmentWords};
use crate::chunks::Tuning;
use crate::large::Large;
use crate::layer::{Layer, NoLayer};
use crate::provider::{Map, Source};
use crate::quota::Quota;
use crate::size_class::Class;
use crate::slabs::{Slab, Slabs, State};

/// A [`Layer`] of an arena's heap. Local operations of the arena use it without the heap as long as
/// a block is at hand, and nothing becomes due. The default is a layer that is not there.
pub trait ArenaLayer<P: Tuning>: Layer<P> {
    /// Returns the class of a size, in bytes, and an alignment that every cell has.
    #[inline(always)]
    fn class_of_usual(_size: usize, _align: usize) -> Option<Class> {
        None
    }

    /// Returns the class of a size up to 4 KiB, in bytes, and an alignment that every cell has.
    #[inline(always)]
    fn class_of_short(_size: usize, _align: usize) -> Option<Class> {
        None
    }

    /// Frees a block to the descriptor to which its word leads. Returns whether the descriptor
    /// needs [attention](ArenaLayer::attend) before the next operation, which also reports an
    /// address at which no live block begins. O(1).
    ///
    /// # Safety
    ///
    /// `block` is a live block that nothing uses any more, and its word leads to `slab`. The heap
    /// is not a checked one.
    #[inline(always)]
    unsafe fn push_direct(&mut self, _slab: NonNull<Slab>, _block: NonNull<u8>) -> bool {
        false
    }

    /// Returns whether allocations are sampled: each one without a block at hand is counted.
    #[inline(always)]
    fn is_sampled(&self) -> bool {
        false
    }

    /// Puts free blocks of a slab of a class at hand, and takes one, if none is at hand. O(1).
    /// `None`: no slab of the class has a free block. The heap is not sampled.
    #[inline(always)]
    fn refill_at_hand(&mut self, _: Class) -> Option<NonNull<u8>> {
        None
    }

    /// Attends to a descriptor that needs it, if that takes one step. Returns whether it was done.
    ///
    /// # Safety
    ///
    /// The clauses of [`attend`](ArenaLayer::attend).
    #[inline(always)]
    unsafe fn attend_at_once(&mut self, _slab: NonNull<Slab>) -> bool {
        false
    }

    /// Attends to a descriptor that needs it.
    ///
    /// # Safety
    ///
    /// [`push_direct`](ArenaLayer::push_direct) has returned `true` for `slab` and `block`, and
    /// nothing was done since.
    unsafe fn attend<B: Source, M: Map>(
        &mut self,
        _: &mut Large<B, M, P>,
        _slab: NonNull<Slab>,
        _block: NonNull<u8>,
    ) {
    }

    /// Returns the number of blocks that may be put at hand until an allocation is sampled.
    fn quota(&mut self) -> Option<&mut Quota> {
        None
    }

    /// Relies on a map of segments for the look-up of slabs.
    ///
    /// # Safety
    ///
    /// The heap has no memory yet, and all memory that it will ever have is segments of `owner` in
    /// the map, which outlives it.
    unsafe fn rely_on(&mut self, _: NonNull<SegmentMap>, _: Owner) {}
}

impl<P: Tuning> ArenaLayer<P> for NoLayer {}

impl<P: Tuning, const N: usize> ArenaLayer<P> for Slabs<P, SegmentWords, N> {
    #[inline(always)]
    fn class_of_usual(size: usize, align: usize) -> Option<Class> {
        Class::of_usual::<N>(size, align)
    }

    #[inline(always)]
    fn class_of_short(size: usize, align: usize) -> Option<Class> {
        Class::of_short(size, align)
    }

    #[inline(always)]
    unsafe fn push_direct(&mut self, slab: NonNull<Slab>, block: NonNull<u8>) -> bool {
        // SAFETY: the clauses are those of this method.
        unsafe { Slab::verify_and_push::<P>(slab, block) }
    }

    #[inline(always)]
    fn is_sampled(&self) -> bool {
        !self.quota.is_none()
    }

    #[inline(always)]
    fn refill_at_hand(&mut self, class: Class) -> Option<NonNull<u8>> {
        self.refill_inline::<false>(class)
    }

    #[inline(always)]
    unsafe fn attend_at_once(&mut self, slab: NonNull<Slab>) -> bool {
        // SAFETY: the clauses are those of this method.
        unsafe { self.relist_at_once(slab) }
    }

    #[cold]
    unsafe fn attend<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        slab: NonNull<Slab>,
        block: NonNull<u8>,
    ) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.attend_to(large, slab, block) };
    }

    fn quota(&mut self) -> Option<&mut Quota> {
        Some(&mut self.quota)
    }

    unsafe fn rely_on(&mut self, segments: NonNull<SegmentMap>, owner: Owner) {
        // SAFETY: the clauses are those of this method.
        self.map = unsafe { SegmentWords::of(segments, owner) };
    }
}

/// Returns whether a block of a slab can stay where it is with another layout: it is long enough
/// and aligned, and not much too long.
///
/// # Safety
///
/// The word of `block`, a live block, leads to `slab`.
#[inline(always)]
pub(crate) unsafe fn stays(slab: NonNull<Slab>, block: NonNull<u8>, new: Layout) -> bool {
    // SAFETY: words lead to valid descriptors.
    let slab = unsafe { slab.as_ref() };
    let size = slab.class.size();
    slab.state() != State::Absent
        && new.size() <= size
        && new.size() > size / 2
        && block.addr().get() % new.align() == 0
}
