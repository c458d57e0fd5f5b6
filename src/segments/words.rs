//! The map of segments as the slabs of one owner see it: each granule of a segment has a word. And
//! these slabs, as local operations of an arena reach them.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{GRANULE, Owner, Segment, SegmentMap};
use crate::chunks::Tuning;
use crate::layer::{Layer, NoLayer};
use crate::size_class::ARENA_CLASSES;
use crate::slab_tuning::SlabTuning;
use crate::slabs::{Slab, SlabMap, Slabs, State};

/// The part of a [`SegmentMap`] that describes the slabs of one owner.
///
/// # Invariants
///
/// The map outlives this, and all memory of the heap is segments of `owner` in it.
#[derive(Debug)]
pub struct SegmentWords {
    /// The map; `None` in a heap that has no memory yet.
    segments: Option<NonNull<SegmentMap>>,
    owner: Owner,
}

impl SegmentWords {
    /// Returns the part of a map that describes the slabs of `owner`.
    ///
    /// # Safety
    ///
    /// The map outlives the answer, and all memory that the heap will ever have is segments of
    /// `owner` in it.
    pub(crate) const unsafe fn of(segments: NonNull<SegmentMap>, owner: Owner) -> Self {
        Self { segments: Some(segments), owner }
    }

    /// Returns the map of segments.
    #[inline]
    pub(crate) fn segments(&self) -> Option<&SegmentMap> {
        // SAFETY: the map outlives this: the type's invariant.
        self.segments.map(|segments| unsafe { segments.as_ref() })
    }

    /// Returns the owner of the heap's segments.
    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the segment in which an address lies, if it is one of the owner's.
    fn segment_of(&self, address: usize) -> Option<Segment> {
        let map = self.segments()?;
        map.segment_of(address).filter(|_| map.owner_of(address) == self.owner)
    }
}

// SAFETY: the word of a granule leads to the descriptor of its slab, or to the one of its segment
// that stands for no slab: `assign` and `set`.
unsafe impl<S: SlabTuning> SlabMap<S> for SegmentWords {
    const NEW: Self = Self { segments: None, owner: Owner::NONE };

    const HAS_QUOTA: bool = true;

    const VERIFIES: bool = true;

    #[inline]
    fn word_at_hand(&self, address: usize) -> Option<NonNull<Slab>> {
        self.segments()?.slab_word_at(address)
    }

    #[inline]
    fn slab_at(&self, address: usize) -> Option<NonNull<Slab>> {
        // SAFETY: words lead to valid descriptors.
        self.segments()?
            .slab_word_at(address)
            .filter(|slab| unsafe { slab.as_ref() }.state() != State::Absent)
    }

    unsafe fn set(&mut self, address: usize, len: usize, slab: Option<NonNull<Slab>>) {
        const { assert!(S::GRANULE == GRANULE, "a segment has a word for each granule") };
        let Some(segment) = self.segment_of(address) else { return };
        let word = slab.unwrap_or(segment.absent()).as_ptr();
        // SAFETY: the descriptor is valid: this method's clause.
        let class = slab.map_or(0, |slab| unsafe { slab.as_ref() }.class.index() as u8 + 1);
        let first = (address - segment.start.addr().get()) / GRANULE;
        for granule in first..first + len / GRANULE {
            // SAFETY: the granules lie in the segment, which stays.
            unsafe {
                segment.words().add(granule).as_ref().store(word, Ordering::Relaxed);
                segment.classes().add(granule).as_ref().store(class, Ordering::Release);
            }
        }
    }
}

/// Slabs in the segments of an arena.
pub type SegmentSlabs<P> = Slabs<P, SegmentWords, ARENA_CLASSES>;

/// Layer of an arena's heap.
pub trait ArenaLayer<P: Tuning>: Layer<P> {
    /// Returns the layer, if it is slabs.
    #[inline(always)]
    fn slabs(&mut self) -> Option<&mut SegmentSlabs<P>> {
        None
    }
}

impl<P: Tuning> ArenaLayer<P> for NoLayer {}

impl<P: Tuning> ArenaLayer<P> for SegmentSlabs<P> {
    #[inline(always)]
    fn slabs(&mut self) -> Option<&mut SegmentSlabs<P>> {
        Some(self)
    }
}
