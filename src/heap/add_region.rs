//! Memory beside the break's, for ever.

use core::fmt;
use core::ptr::NonNull;

use super::Heap;
use crate::provider::{Break, Map};

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Gives the heap `len` bytes at `base`, for ever: before the break's first grant or after it,
    /// below, between or above what there is, whatever their alignment. Returns how many bytes
    /// of cells it gained: one block can have so many, without its header, if the
    /// memory touches nothing.
    ///
    /// A region that touches others of the heap becomes one with them. So does a later grant of the
    /// break that touches it. What the break granted right below an added region cannot be
    /// given back any more.
    ///
    /// ```
    /// use brkalloc::{FixedBreak, Heap};
    ///
    /// let memory = Box::leak(Box::new([0_u8; 8192]));
    /// let (low, high) = memory.split_at_mut(4096);
    /// let mut heap = Heap::new(FixedBreak::from_array(Box::leak(Box::new([]))));
    /// // SAFETY: nobody else uses the two halves, which are one piece of memory.
    /// unsafe {
    ///     heap.add_region(high.as_mut_ptr(), high.len()).unwrap();
    ///     heap.add_region(low.as_mut_ptr(), low.len()).unwrap();
    /// }
    /// assert_eq!((heap.stats().free_cells, heap.stats().added_bytes), (1, 8192));
    /// ```
    ///
    /// # Errors
    ///
    /// The memory cannot be used: see [`RegionError`]. The heap is as it was.
    ///
    /// # Time
    ///
    /// O(regions).
    ///
    /// # Safety
    ///
    /// * The memory is readable and writable, and nobody else uses it from now on, as long as the
    ///   heap or a block of it is in use. It is no part of what the break, or the provider of
    ///   mappings, ever grants.
    /// * If it touches memory that the heap has, or that the break will grant, both are one piece
    ///   of memory: a pointer into one may be moved into the other.
    pub unsafe fn add_region(&mut self, base: *mut u8, len: usize) -> Result<usize, RegionError> {
        let start = NonNull::new(base).ok_or(RegionError::Null)?;
        base.addr().checked_add(len).ok_or(RegionError::Wraps)?;
        if self.stopped.is_some() {
            return Err(RegionError::HeapStopped);
        }
        if len == 0 {
            return Err(RegionError::TooShort);
        }
        if len > isize::MAX as usize {
            return Err(RegionError::TooLong);
        }
        let piece = self.piece(start, len, self.lowest_region());
        if piece.overlaps() {
            return Err(RegionError::Overlaps);
        }
        #[cfg(feature = "checked")]
        if !self.can_join([piece.touching_below(), piece.touching_above()]) {
            return Err(RegionError::Overwritten);
        }
        let joint = piece.joint().ok_or(RegionError::TooShort)?;
        if joint.region.end - joint.region.start > isize::MAX as usize {
            return Err(RegionError::TooLong);
        }
        let touching = [piece.touching_below(), piece.touching_above()];
        let had: usize = touching.iter().flatten().map(|region| region.length()).sum();
        if let Some(extent) = &mut self.extent
            && touching.contains(&Some(extent.region()))
        {
            extent.extend_to(joint.region);
        }
        self.regions.added += len;
        // SAFETY: the caller's promise.
        unsafe { self.join(&piece, joint) };
        Ok(joint.region.length() - had)
    }
}

/// Why memory did not become a region of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionError {
    /// It begins at address null.
    Null,
    /// It wraps round the address space.
    Wraps,
    /// It is too short for a cell, and touches nothing that it could become a part of.
    TooShort,
    /// It is longer than `isize::MAX` bytes, or would be, together with the regions that it
    /// touches.
    TooLong,
    /// Some of it is the heap's already.
    Overlaps,
    /// The heap has [stopped](super::Rule::BreakBelowHeap).
    HeapStopped,
    /// The caller has interrupted somebody who has the lock of the heap (of an
    /// [`ArenaHeap`](crate::ArenaHeap), which waits for nobody then).
    Locked,
    /// The heap's words at the border were overwritten, or those that lead from region to region.
    /// (It was reported.)
    #[cfg(feature = "checked")]
    Overwritten,
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "a region at address null",
            Self::Wraps => "a region that wraps round the address space",
            Self::TooShort => "a region too short for a cell",
            Self::TooLong => "a region of more than isize::MAX bytes",
            Self::Overlaps => "a region that the heap has already, at least in part",
            Self::HeapStopped => "a region for a heap that has stopped",
            Self::Locked => "a region for a heap that the interrupted code has locked",
            #[cfg(feature = "checked")]
            Self::Overwritten => "a region for a heap that was overwritten",
        })
    }
}

impl core::error::Error for RegionError {}
