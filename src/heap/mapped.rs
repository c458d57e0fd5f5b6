//! Large blocks on mappings of their own (C15).
//!
//! ```text
//!   mapping, a multiple of the page size
//!  ┌──────────────┬────────┬─────────────────────────────────────┐
//!  │ (alignment)  │ header │ the caller's bytes                  │
//!  └──────────────┴────────┴─────────────────────────────────────┘
//!                   size = length of the mapping, marked as a fence: no cell in the heap is a used block and a fence,
//!                   so `free` can tell by the header where the block belongs
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Heap;
use super::request::round_up;
use crate::cell::{CELL_ALIGN, Cell, WORD};
use crate::provider::{Break, Map};

/// From which size on a block is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapThreshold {
    /// Blocks of at least so many bytes are mapped.
    pub bytes: usize,
    /// When a mapped block is freed that is larger than `bytes`, `bytes` rises to its size, but
    /// not above this: a program that frees such blocks will ask for them again, and a block
    /// that stays in the heap is had without a call and without new page faults.
    pub adapts_up_to: usize,
}

impl MapThreshold {
    /// 128 KiB at first, 32 MiB at most, as in glibc (`M_MMAP_THRESHOLD`).
    pub const DEFAULT: Self = Self { bytes: 128 << 10, adapts_up_to: 32 << 20 };
}

/// The mapping that a block lies in.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
    /// From the start to the block.
    offset: usize,
}

impl Mapping {
    /// Bytes that the block may use.
    const fn capacity(&self) -> usize {
        self.len - self.offset
    }
}

/// What became of a block that was to be remapped.
pub(super) enum Remapped {
    /// It has the new size, and lies there.
    To(NonNull<u8>),
    /// It has a mapping of its own, which could not be resized, or should not be.
    MustMove,
    /// It lies in the heap.
    NotMapped,
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Sets from which size on blocks are mapped. See [`MapThreshold`].
    pub const fn set_map_threshold(&mut self, threshold: MapThreshold) {
        self.map_threshold = threshold;
    }

    /// Whether a block of this layout gets a mapping of its own, if one can be had.
    pub(super) fn wants_mapping(&self, layout: Layout) -> bool {
        M::AVAILABLE
            && layout.size() >= self.map_threshold.bytes
            && layout.align() <= self.map.granule()
    }

    /// Allocates a block on a mapping of its own. `None` if there is no mapping to be had.
    pub(super) fn allocate_mapped(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let offset = layout.align().max(CELL_ALIGN);
        let len = self.mapping_len(offset, layout.size())?;
        let start = self.map.map(len).ok()?;
        let mapping = Mapping { start, len, offset };
        self.counters.mapped(mapping.capacity());
        // SAFETY: a new mapping.
        let payload = unsafe { place_block(mapping) };
        #[cfg(feature = "checked")]
        self.note_mapped(payload);
        Some(payload)
    }

    /// Frees the block if it has a mapping of its own; `false` if it has not.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`].
    pub(super) unsafe fn deallocate_mapped(&mut self, payload: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        let Some(mapping) = (unsafe { self.mapping_of(payload) }) else { return false };
        #[cfg(feature = "checked")]
        self.forget_mapped(payload);
        // SAFETY: the caller gives the block up, and nothing else is in the mapping. If it is
        // refused, the mapping is lost, but harms nobody.
        let _ = unsafe { self.map.unmap(mapping.start, mapping.len) };
        self.counters.unmapped(mapping.capacity());
        let MapThreshold { bytes, adapts_up_to } = &mut self.map_threshold;
        if mapping.capacity() <= *adapts_up_to {
            *bytes = (*bytes).max(mapping.capacity());
        }
        true
    }

    /// Resizes the block by remapping, if it has a mapping of its own and is to stay large.
    ///
    /// # Safety
    ///
    /// As for [`Heap::reallocate`].
    pub(super) unsafe fn reallocate_mapped(
        &mut self,
        payload: NonNull<u8>,
        new: Layout,
    ) -> Remapped {
        // SAFETY: the caller's promise.
        let Some(mapping) = (unsafe { self.mapping_of(payload) }) else {
            return Remapped::NotMapped;
        };
        let Some(len) = self.mapping_len(mapping.offset, new.size()) else {
            return Remapped::MustMove;
        };
        if len == mapping.len {
            return Remapped::To(payload);
        }
        // That the block is more aligned than mappings are is luck, which it may not have
        // elsewhere.
        if new.align() > self.map.granule() {
            return Remapped::MustMove;
        }
        // A block that has become small is better off in the heap; half the threshold keeps it from
        // going to and fro.
        if new.size() < self.map_threshold.bytes / 2 {
            return Remapped::MustMove;
        }
        // SAFETY: one mapping of ours; after this the block is only used where it is then.
        let Ok(start) = (unsafe { self.map.remap(mapping.start, mapping.len, len) }) else {
            return Remapped::MustMove;
        };
        let remapped = Mapping { start, len, ..mapping };
        self.counters.unmapped(mapping.capacity());
        self.counters.mapped(remapped.capacity());
        // SAFETY: the block's mapping; only its header is written.
        let moved = unsafe { place_block(remapped) };
        #[cfg(feature = "checked")]
        self.move_mapped(payload, moved);
        Remapped::To(moved)
    }

    /// How many bytes of a block may be used, if it has a mapping of its own.
    ///
    /// # Safety
    ///
    /// `payload` is a live block of this heap.
    pub(super) unsafe fn mapped_capacity(&self, payload: NonNull<u8>) -> Option<usize> {
        // SAFETY: the caller's promise.
        unsafe { self.mapping_of(payload) }.as_ref().map(Mapping::capacity)
    }

    /// Whether a block has a mapping of its own.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap, small or not.
    pub(super) unsafe fn is_mapped(&self, block: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise. (A block of a run has no header.)
        self.small.pages.class_at(block.addr().get()).is_none()
            && unsafe { self.mapping_of(block) }.is_some()
    }

    /// The mapping that a block has for itself, if it has one.
    ///
    /// # Safety
    ///
    /// `payload` is a live block of this heap.
    unsafe fn mapping_of(&self, payload: NonNull<u8>) -> Option<Mapping> {
        if !M::AVAILABLE {
            return None;
        }
        // SAFETY: a header stands in front of every block.
        let cell = unsafe { Cell::of_payload(payload) };
        // SAFETY: it was written when the block was allocated.
        let header = unsafe { cell.header() };
        if !header.is_fence() {
            return None;
        }
        // The header is in the first page, even if the block itself begins with the second.
        let offset = cell.addr() % self.map.granule() + WORD;
        // SAFETY: the mapping starts that much below the block.
        Some(Mapping { start: unsafe { payload.byte_sub(offset) }, len: header.size(), offset })
    }

    fn mapping_len(&self, offset: usize, size: usize) -> Option<usize> {
        let len = round_up(size.checked_add(offset)?, self.map.granule())?;
        (len <= isize::MAX as usize).then_some(len)
    }
}

/// Writes the header of a block that has a mapping of its own.
///
/// # Safety
///
/// The mapping is there, and the word in front of the block means nothing else.
unsafe fn place_block(mapping: Mapping) -> NonNull<u8> {
    // SAFETY: inside the mapping.
    let payload = unsafe { mapping.start.byte_add(mapping.offset) };
    // SAFETY: a header's place in front of the payload.
    let cell = Cell::at(unsafe { payload.byte_sub(WORD) });
    // SAFETY: the caller's promise; `len` is a multiple of the page size, and so of `CELL_ALIGN`.
    unsafe { cell.write_fence(mapping.len, true) };
    payload
}
