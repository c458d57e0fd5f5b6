//! The slabs of an arena, which its local operations use without the heap above them.

use core::ptr::NonNull;

use super::{Owner, SegmentMap, SegmentWords};
use crate::chunks::Tuning;
use crate::layer::{Layer, NoLayer};
use crate::size_class::ARENA_CLASSES;
use crate::slabs::Slabs;

/// Slabs in the segments of an arena.
pub type SegmentSlabs<P> = Slabs<P, SegmentWords, ARENA_CLASSES>;

/// Layer of an arena's heap.
pub trait ArenaLayer<P: Tuning>: Layer<P> {
    /// Returns the layer, if it is slabs.
    fn slabs(&mut self) -> Option<&mut SegmentSlabs<P>>;
}

impl<P: Tuning> ArenaLayer<P> for NoLayer {
    #[inline(always)]
    fn slabs(&mut self) -> Option<&mut SegmentSlabs<P>> {
        None
    }
}

impl<P: Tuning> ArenaLayer<P> for SegmentSlabs<P> {
    #[inline(always)]
    fn slabs(&mut self) -> Option<&mut SegmentSlabs<P>> {
        Some(self)
    }
}

impl<P: Tuning> SegmentSlabs<P> {
    /// Relies on a map of segments for the look-up of slabs.
    ///
    /// # Safety
    ///
    /// The heap has no memory yet, and all memory that it will ever have is segments of `owner` in
    /// the map, which outlives it.
    pub(crate) unsafe fn rely_on(&mut self, segments: NonNull<SegmentMap>, owner: Owner) {
        // SAFETY: the clauses are those of this method.
        self.map = unsafe { SegmentWords::of(segments, owner) };
    }
}
