//! What leads from the address of a block to the descriptor of its slab.

use core::alloc::Layout;
use core::fmt::Debug;
use core::ptr::NonNull;

use super::descriptors::Descriptors;
use super::slab::Slab;
use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::request::Request;
use crate::slab_tuning::SlabTuning;

/// Look-up of slabs by address: a word for each granule.
///
/// # Safety
///
/// An implementer returns valid descriptors only: for an address in a slab, the slab's; for any
/// other, one that stands for no slab, or `None`. The provided methods are those of a map that
/// always has a word for each granule.
pub unsafe trait SlabMap<S: SlabTuning>: Debug + Sized {
    /// The heap is one whose allocations can be sampled without a count of each: it puts no more
    /// blocks at hand than its quota.
    const HAS_QUOTA: bool = false;

    /// `true` if the heap verifies a block before it frees it, as an arena does.
    const VERIFIES: bool;

    /// No granule has a word.
    const NEW: Self;

    /// Returns the descriptor of the slab in which an address lies, or one that stands for no slab;
    /// `None` where the shortest look-up does not reach. O(1).
    fn word_at_hand(&self, address: usize) -> Option<NonNull<Slab>>;

    /// Returns what [`word_at_hand`](SlabMap::word_at_hand) does not find; `None`: the granule has
    /// no word. O(windows).
    fn word_elsewhere(&self, _address: usize) -> Option<NonNull<Slab>> {
        None
    }

    /// Returns the descriptor of the slab in which an address lies, if it lies in one. O(windows).
    fn slab_at(&self, address: usize) -> Option<NonNull<Slab>>;

    /// Returns whether all granules from `start` to `end` have a word.
    fn reaches(&self, _start: usize, _end: usize) -> bool {
        true
    }

    /// Makes the map reach further towards a place for a slab, from a start to an end. Returns
    /// `false` if that is not possible. O(windows): a large step takes several calls.
    fn reach_further<B: Source, M: Map, P: Tuning<Slabs = S>>(
        &mut self,
        _: &mut Large<B, M, P>,
        _: &mut Descriptors,
        _place: (usize, usize),
        _: Growth,
    ) -> bool {
        false
    }

    /// Writes the words of the `len` bytes from `address` on: they lead to `slab`, or to no slab.
    ///
    /// # Safety
    ///
    /// The map reaches from their start to their end; `slab` is a valid descriptor.
    unsafe fn set(&mut self, address: usize, len: usize, slab: Option<NonNull<Slab>>);

    /// Takes a cell out that the map has of the heap: there is no slab. `None`: it has none any
    /// more, and no granule has a word.
    fn take_part(&mut self) -> Option<NonNull<u8>> {
        None
    }

    /// Takes a cell out that says of addresses from `end` on, where no slab is, that there is none.
    fn take_idle_part(&mut self, _end: usize) -> Option<NonNull<u8>> {
        None
    }

    /// Returns whether a payload is that of a cell which the map has of the heap.
    fn is_part(&self, _payload: NonNull<u8>) -> bool {
        false
    }
}

/// Takes a cell for `len` bytes of the heap's own.
pub(super) fn take_internal<B: Source, M: Map, P: Tuning>(
    large: &mut Large<B, M, P>,
    len: usize,
    growth: Growth,
) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(len, align_of::<Slab>()).ok()?;
    large.chunks.allocate(Request::new(layout), growth)
}
