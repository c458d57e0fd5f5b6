//! Memory beside the break's, for ever.

use core::ptr::NonNull;

use super::{Piece, Space};
use crate::cell::Form;
use crate::provider::Source;
use crate::texts::texts;

impl<B: Source, F: Form> Space<B, F> {
    /// Returns memory as a piece that can become part of the heap, and how many bytes of cells the
    /// heap gains by it.
    ///
    /// # Errors
    ///
    /// It cannot: see [`RegionError`].
    pub(crate) fn piece_to_add(
        &self,
        memory: NonNull<[u8]>,
    ) -> Result<(Piece<F>, usize), RegionError> {
        let len = memory.len();
        memory.cast::<u8>().addr().checked_add(len).ok_or(RegionError::Wraps)?;
        if self.has_stopped() {
            return Err(RegionError::HeapStopped);
        }
        if len == 0 {
            return Err(RegionError::TooShort);
        }
        if len > isize::MAX as usize {
            return Err(RegionError::TooLong);
        }
        let piece = self.piece(memory);
        if piece.overlaps() {
            return Err(RegionError::Overlaps);
        }
        let region = piece.joint().ok_or(RegionError::TooShort)?.region;
        if region.end - region.start > isize::MAX as usize {
            return Err(RegionError::TooLong);
        }
        let had: usize = piece.touching().iter().flatten().map(|region| region.length()).sum();
        Ok((piece, region.length() - had))
    }
}

texts! {
    /// The reason why memory did not become a region of a heap.
    pub enum RegionError;

    /// It begins at address null.
    Null = "a region at address null",
    /// It wraps round the address space.
    Wraps = "a region that wraps round the address space",
    /// It is too short for a cell, and touches nothing that it could become a part of.
    TooShort = "a region too short for a cell",
    /// It is longer than `isize::MAX` bytes, or would be, together with the regions that it
    /// touches.
    TooLong = "a region of more than isize::MAX bytes",
    /// Some of it is the heap's already.
    Overlaps = "a region that the heap has already, at least in part",
    /// The heap has [stopped](crate::Rule::BreakBelowHeap).
    HeapStopped = "a region for a heap that has stopped",
    /// The caller has interrupted code that holds the lock of the heap (of an
    /// [`ArenaHeap`](crate::ArenaHeap), which never waits for code that was interrupted).
    Locked = "a region for a heap that the interrupted code has locked",
    /// The heap's words at the border were overwritten, or those that lead from region to region.
    /// A [`Checked`](crate::Checked) heap has reported it.
    Overwritten = "a region for a heap that was overwritten",
}

impl core::error::Error for RegionError {}
