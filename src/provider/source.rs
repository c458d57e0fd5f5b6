//! Source of a heap's memory: a break, or segments.
//!
//! ```text
//!   Heap ──► Source ─┬─ every Break
//!                    ├─ SegmentBreak<S: Segments>      segments at any address, not adjacent
//!                    └─ the arenas' supply             segments of a parent heap
//! ```

use core::ptr::NonNull;

use super::{Break, BreakError};

/// Provider of a heap's memory: a [`Break`] or a provider of [segments](super::Segments). Implement
/// [`Break`] instead.
///
/// # Safety
///
/// The clauses of [`Break`]. If [`CONTIGUOUS`](Source::CONTIGUOUS) is `false`, no two grants touch.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not provide memory for a heap",
    label = "this is neither a `Break` nor a `SegmentBreak`",
    note = "implement `brkalloc::Break` for it (four methods), or use `FixedBreak`"
)]
pub unsafe trait Source {
    /// `true` if newly granted bytes read as zero.
    const ZEROED: bool;

    /// `true` if each grant begins at the break, `false` if each is a segment at any address.
    const CONTIGUOUS: bool;

    /// Returns the preferred step of grants, in bytes, a power of two.
    #[inline]
    fn step(&self) -> usize {
        1
    }

    /// Returns the break: the end of the last grant.
    fn brk(&self) -> *mut u8;

    /// Returns how many bytes may still be granted, at most: a hint.
    #[inline]
    fn ahead(&self) -> usize {
        usize::MAX
    }

    /// Grants at least `by` bytes.
    ///
    /// # Errors
    ///
    /// The reason for the refusal. Nothing has changed.
    fn obtain(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError>;

    /// Moves the break down by `by` bytes and takes them back.
    ///
    /// # Errors
    ///
    /// The reason for the refusal. Nothing has changed.
    ///
    /// # Safety
    ///
    /// The `by` bytes below the break were granted to the caller, who no longer uses them.
    unsafe fn lower(&mut self, _by: usize) -> Result<(), BreakError> {
        Err(BreakError::Refused)
    }

    /// Takes a segment back. The heap calls it only if the source is not contiguous.
    ///
    /// # Safety
    ///
    /// `segment` is the whole result of one [`obtain`](Source::obtain), and the caller no longer
    /// uses it.
    unsafe fn give_back(&mut self, _segment: NonNull<[u8]>) {}

    /// Returns `true` if a segment may begin at `address`, by a look-up: the heap then gives the
    /// segment back as soon as it is free as a whole. A source that always returns `false` gets
    /// segments back only by [`Heap::trim`](crate::Heap::trim).
    #[inline]
    fn may_begin_segment(&self, _address: usize) -> bool {
        false
    }

    /// Records that a segment may have become free as a whole.
    fn note_free_segment(&mut self) {}

    /// Returns `true` if [`note_free_segment`](Source::note_free_segment) was called since the last
    /// call of this method.
    fn take_free_segment(&mut self) -> bool {
        false
    }
}

// SAFETY: the clauses of `Break` hold for `B`, and the source is contiguous.
unsafe impl<B: Break> Source for B {
    const ZEROED: bool = B::ZEROED;
    const CONTIGUOUS: bool = true;

    #[inline]
    fn step(&self) -> usize {
        self.granule()
    }

    #[inline]
    fn brk(&self) -> *mut u8 {
        self.end()
    }

    #[inline]
    fn ahead(&self) -> usize {
        self.remaining()
    }

    #[inline]
    fn obtain(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        self.grow(by)
    }

    #[inline]
    unsafe fn lower(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the clause of `Break::shrink` is this method's clause.
        unsafe { self.shrink(by) }
    }
}
