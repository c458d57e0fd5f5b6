//! Large blocks on mappings of their own (C15).
//!
//! ```text
//!   mapping, a multiple of the page size
//!  ┌──────────────┬────────┬─────────────────────────────────────┐
//!  │ (alignment)  │ header │ the caller's bytes                  │
//!  └──────────────┴────────┴─────────────────────────────────────┘
//!                   size: length of the mapping; state: used, fencepost
//! ```
//!
//! No fencepost of a region precedes a block. The state in a block's header therefore distinguishes
//! a mapped block from a cell.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::{CELL_ALIGN, Cell, Form, WORD};
use crate::checks::MAPPED_HEAD;
use crate::provider::Map;
use crate::request::round_up;

/// Minimum size of blocks with a mapping of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MapThreshold {
    /// Minimum size of a mapped block, in bytes.
    pub bytes: usize,
    /// Maximum of `bytes` when it adapts, in bytes. When the heap frees a mapped block larger than
    /// `bytes`, but not larger than this, `bytes` becomes its size: a program that frees such a
    /// block usually requests another one, and a block in the heap needs no call of the provider
    /// and no new page faults.
    pub adapts_up_to: usize,
}

impl Default for MapThreshold {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl MapThreshold {
    /// Default threshold: 128 KiB, adaptive up to 32 MiB, as in glibc (`M_MMAP_THRESHOLD`).
    pub const DEFAULT: Self = Self::adaptive(128 << 10, 32 << 20);

    /// Returns a constant threshold of `bytes` bytes.
    #[must_use]
    pub const fn fixed(bytes: usize) -> Self {
        Self::adaptive(bytes, 0)
    }

    /// Returns a threshold of `bytes` bytes that adapts up to `adapts_up_to` bytes.
    #[must_use]
    pub const fn adaptive(bytes: usize, adapts_up_to: usize) -> Self {
        Self { bytes, adapts_up_to }
    }
}

/// Mapping of one block.
///
/// # Invariants
///
/// * `offset < len`
/// * the provider has granted `len` bytes at `start`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    /// First byte, at a multiple of the granule.
    start: NonNull<u8>,
    /// Length in bytes, a multiple of the granule.
    len: usize,
    /// Distance from the start to the block, in bytes.
    offset: usize,
}

impl Mapping {
    /// Returns the usable size of the block, in bytes.
    pub(crate) const fn capacity(&self) -> usize {
        self.len - self.offset
    }

    /// Returns the start of the block.
    pub(crate) fn block(&self) -> NonNull<u8> {
        // SAFETY: the block lies in the mapping: the type's invariants.
        unsafe { self.start.byte_add(self.offset) }
    }

    /// Writes the header of the block.
    ///
    /// # Safety
    ///
    /// The mapping is live, and nothing but the header uses the word in front of the block.
    unsafe fn with_header<F: Form>(self) -> Self {
        // SAFETY: the word in front of the block lies in the mapping, and only the header uses it
        // (this method's clause). `len` is a multiple of the granule, and so of `CELL_ALIGN`.
        unsafe { Cell::<F>::of_payload(self.block()).write_fencepost(self.len, true) };
        self
    }
}

/// Result of an attempt to resize a block by remapping.
pub(crate) enum Remapped {
    /// The block has the new size, and possibly a new address. The number is its old capacity, in
    /// bytes.
    To(Mapping, usize),
    /// The block has a mapping of its own that cannot be resized, or is too large for the new size.
    MustMove,
    /// The block is a cell.
    NotMapped,
}

/// Blocks with mappings of their own: their provider and the threshold.
///
/// # Invariants
///
/// `blocks` is the number of live blocks with mappings of their own.
#[derive(Debug)]
pub struct Mapped<M> {
    /// Provider of mappings.
    pub(crate) map: M,
    /// Minimum size of a mapped block.
    pub(crate) threshold: MapThreshold,
    /// Number of blocks.
    blocks: usize,
}

impl<M> Mapped<M> {
    /// Returns the type without blocks, with the default threshold.
    pub(crate) const fn new(map: M) -> Self {
        Self { map, threshold: MapThreshold::DEFAULT, blocks: 0 }
    }

    /// Returns the number of blocks with mappings of their own.
    pub(crate) const fn blocks(&self) -> usize {
        self.blocks
    }
}

impl<M: Map> Mapped<M> {
    /// Returns `true` if the heap first tries to map a block of this layout.
    #[inline(always)]
    pub(crate) fn wants(&self, layout: Layout) -> bool {
        M::AVAILABLE
            && layout.size() >= self.threshold.bytes
            && layout.align() <= self.map.granule()
    }

    /// Returns `true` if the heap may map a block of this layout when it has no other memory: the
    /// block has at least one granule, and no stricter alignment.
    pub(crate) fn may_hold(&self, layout: Layout) -> bool {
        M::AVAILABLE && layout.size() >= self.map.granule() && layout.align() <= self.map.granule()
    }

    /// Allocates a block with a mapping of its own; `None` if the provider refuses.
    pub(crate) fn allocate<F: Form>(&mut self, layout: Layout) -> Option<Mapping> {
        let least = if F::CHECKED { MAPPED_HEAD } else { CELL_ALIGN };
        let offset = layout.align().max(least);
        let len = self.length(offset, layout.size())?;
        let start = self.map.map(len).ok()?;
        self.blocks += 1;
        // SAFETY: the mapping is new, so nothing uses its words.
        Some(unsafe { Mapping { start, len, offset }.with_header::<F>() })
    }

    /// Frees a block with a mapping of its own.
    ///
    /// # Safety
    ///
    /// `block` has a mapping of its own, and nothing uses it any more.
    pub(crate) unsafe fn deallocate<F: Form>(&mut self, block: NonNull<u8>) {
        // SAFETY: a block with a mapping of its own has a header: this method's clause.
        let Some(mapping) = (unsafe { self.mapping_of::<F>(block) }) else { return };
        // SAFETY: nothing uses the block (this method's clause), and the mapping holds nothing
        // else. If the provider refuses, the mapping leaks.
        let _ = unsafe { self.map.unmap(mapping.start, mapping.len) };
        self.blocks -= 1;
        let MapThreshold { bytes, adapts_up_to } = &mut self.threshold;
        if mapping.capacity() <= *adapts_up_to {
            *bytes = (*bytes).max(mapping.capacity());
        }
    }

    /// Resizes a block by remapping, if it has a mapping of its own and its new size is not small.
    ///
    /// # Safety
    ///
    /// `block` is a live block with a header. After [`Remapped::To`] the caller uses only the new
    /// address.
    pub(crate) unsafe fn reallocate<F: Form>(
        &mut self,
        block: NonNull<u8>,
        new: Layout,
    ) -> Remapped {
        // SAFETY: the block is live and has a header: this method's clause.
        let Some(mapping) = (unsafe { self.mapping_of::<F>(block) }) else {
            return Remapped::NotMapped;
        };
        let capacity = mapping.capacity();
        let Some(len) = self.length(mapping.offset, new.size()) else {
            return Remapped::MustMove;
        };
        if len == mapping.len {
            return Remapped::To(mapping, capacity);
        }
        // A new address would be aligned to the granule only.
        if new.align() > self.map.granule() {
            return Remapped::MustMove;
        }
        // Move a small block into the heap. Half the threshold gives hysteresis.
        if new.size() < self.threshold.bytes / 2 {
            return Remapped::MustMove;
        }
        // SAFETY: the block's mapping is one mapping of the provider, and after this the caller
        // uses the block only at its new address: this method's clause.
        let Ok(start) = (unsafe { self.map.remap(mapping.start, mapping.len, len) }) else {
            return Remapped::MustMove;
        };
        // SAFETY: the mapping is the block's own, and the word in front of the block is its header.
        Remapped::To(unsafe { Mapping { start, len, ..mapping }.with_header::<F>() }, capacity)
    }

    /// Returns the usable size of a block in bytes, if it has a mapping of its own.
    ///
    /// # Safety
    ///
    /// `block` is a live block with a header.
    #[inline(always)]
    pub(crate) unsafe fn capacity_of<F: Form>(&self, block: NonNull<u8>) -> Option<usize> {
        // SAFETY: the block is live and has a header: this method's clause.
        unsafe { self.mapping_of::<F>(block) }.as_ref().map(Mapping::capacity)
    }

    /// Returns the mapping of a block, if it has one of its own.
    ///
    /// # Safety
    ///
    /// `block` is a live block with a header.
    #[inline(always)]
    unsafe fn mapping_of<F: Form>(&self, block: NonNull<u8>) -> Option<Mapping> {
        if !M::AVAILABLE {
            return None;
        }
        // SAFETY: the block is live and has a header (this method's clause): the heap wrote it when
        // it allocated the block.
        let (cell, header) = unsafe {
            let cell = Cell::<F>::of_payload(block);
            (cell, cell.header())
        };
        if !header.is_fencepost() {
            return None;
        }
        // The header is in the first page, even if the block itself begins with the second.
        let offset = cell.addr() % self.map.granule() + WORD;
        // SAFETY: the mapping starts `offset` bytes below the block.
        Some(Mapping { start: unsafe { block.byte_sub(offset) }, len: header.size(), offset })
    }

    /// Returns `false` if no block with a mapping of its own begins at an address, as far as the
    /// address and the word in front of it tell. Reads that word only at an address where such a
    /// block may begin.
    ///
    /// # Safety
    ///
    /// The word is readable.
    pub(crate) unsafe fn may_be_mapped<F: Form>(&self, block: NonNull<u8>) -> bool {
        if !M::AVAILABLE {
            return false;
        }
        let (granule, address) = (self.map.granule(), block.addr().get());
        // The distance from the mapping's start is the block's alignment.
        let offset = address % granule;
        if offset != 0 && (!offset.is_power_of_two() || offset < CELL_ALIGN) {
            return false;
        }
        // SAFETY: the word is readable: this method's clause.
        let header = unsafe { Cell::<F>::at_payload(block).header() };
        header.is_fencepost()
            && header.is_used()
            && header.size() >= granule
            && header.size() % granule == 0
    }

    /// Returns the length of a mapping for a block of `size` bytes at `offset`, in bytes; `None` if
    /// it overflows.
    fn length(&self, offset: usize, size: usize) -> Option<usize> {
        let len = round_up(size.checked_add(offset)?, self.map.granule())?;
        (len <= isize::MAX as usize).then_some(len)
    }
}
