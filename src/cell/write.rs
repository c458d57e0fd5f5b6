//! How headers are written: by their heap alone, each in one store, so that another thread may read
//! that of its block meanwhile.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Cell, Header, MIN_CELL, State, WORD};

impl Cell {
    /// Makes `self` a free cell of `size` bytes: writes its header, and its size at its end. The
    /// cell behind it is not told: see [`set_prev_used`](Cell::set_prev_used).
    ///
    /// # Safety
    ///
    /// `[self, self + size)` is memory of this heap that holds no other valid cell, followed by a
    /// valid cell or a fence. `prev_used` tells whether the cell before it is used. `size ≥
    /// MIN_CELL`.
    pub(crate) unsafe fn write_free(self, size: usize, prev_used: bool) {
        debug_assert!(size >= MIN_CELL);
        let header = Header::new(size, State::empty()).with_prev_used(prev_used);
        // SAFETY: the first word is ours to write, by the caller's promise.
        unsafe { self.write_header(header) };
        // SAFETY: the last word of the cell.
        let last_word = unsafe { self.0.byte_add(size - WORD) };
        // SAFETY: `size ≥ MIN_CELL`, so the last word is not the header.
        unsafe { last_word.write(size) };
    }

    /// Makes `self` a used cell of `size` bytes: writes its header. The cell behind it is not told.
    ///
    /// # Safety
    ///
    /// As for [`write_free`](Cell::write_free).
    pub(crate) unsafe fn write_used(self, size: usize, prev_used: bool) {
        debug_assert!(size >= MIN_CELL);
        // SAFETY: the first word is ours to write, by the caller's promise.
        unsafe { self.write_header(Header::new(size, State::USED).with_prev_used(prev_used)) };
    }

    /// Makes `self` a fence. `hole` is the distance to the first cell of the next region, 0 if this
    /// region is the last.
    ///
    /// # Safety
    ///
    /// The word at `self` is memory of this heap, in no valid cell. `prev_used` tells whether the
    /// cell before it is used (or there is none). If `hole > 0`, a cell is, or is about to be,
    /// written `hole` bytes up.
    pub(crate) unsafe fn write_fence(self, hole: usize, prev_used: bool) {
        let header = Header::new(hole, State::USED.union(State::FENCE)).with_prev_used(prev_used);
        // SAFETY: the caller's promise.
        unsafe { self.write_header(header) };
    }

    /// Makes a fence lead to another region's first cell.
    ///
    /// # Safety
    ///
    /// `self` is a fence. `first` lies above it, and is, or is about to be, the first cell of the
    /// next region.
    pub(crate) unsafe fn lead_to(self, first: Self) {
        // SAFETY: a fence.
        let prev_used = unsafe { self.header() }.is_prev_used();
        // SAFETY: it stays one, behind the same cell.
        unsafe { self.write_fence(first.addr() - self.addr(), prev_used) };
    }

    /// Makes a fence the last one.
    ///
    /// # Safety
    ///
    /// `self` is a fence.
    #[cfg(not(feature = "tiny"))]
    pub(crate) unsafe fn lead_nowhere(self) {
        // SAFETY: a fence.
        let prev_used = unsafe { self.header() }.is_prev_used();
        // SAFETY: it stays one, behind the same cell.
        unsafe { self.write_fence(0, prev_used) };
    }

    /// Notes in this header what became of the cell before it.
    ///
    /// # Safety
    ///
    /// `self` is valid, or a fence.
    pub(crate) unsafe fn set_prev_used(self, prev_used: bool) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header() };
        // SAFETY: the same word.
        unsafe { self.write_header(header.with_prev_used(prev_used)) };
    }

    /// Notes in the header of a used cell that it is not in use any more. If the cell is merged
    /// into the one before, this stays: whoever frees the block once more is told so.
    ///
    /// # Safety
    ///
    /// `self` is valid, and is about to be released.
    #[cfg(feature = "checked")]
    pub(crate) unsafe fn mark_freed(self) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header() };
        let freed =
            Header::new(header.size(), State::empty()).with_prev_used(header.is_prev_used());
        // SAFETY: the same word.
        unsafe { self.write_header(freed) };
    }

    /// Zeroes a header, and the size at the end of the free cell before it: nothing of either is
    /// left in what becomes of their place.
    ///
    /// # Safety
    ///
    /// `self` is a fence, a free cell precedes it, and neither is used as such again before it is
    /// written anew.
    pub(crate) unsafe fn erase_with_size_before(self) {
        // SAFETY: the word in front of the header is the free cell's.
        let words = unsafe { self.0.sub(1) };
        // SAFETY: both words are the heap's, and mean nothing any more.
        unsafe { words.write_bytes(0, 2) };
    }

    /// # Safety
    ///
    /// The word at `self` is memory of this heap.
    unsafe fn write_header(self, header: Header) {
        #[cfg(feature = "checked")]
        let header = header.sealed(self.addr());
        // SAFETY: the caller's promise; aligned by the type's invariant.
        let word = unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) };
        // Another thread may look how long its block is, while its owner notes what became of the
        // cell before: see `header_of_foreign`.
        word.store(header.bits(), Ordering::Relaxed);
    }

    /// Reads the header of a live block's cell, whose heap may be in use by another thread.
    ///
    /// # Safety
    ///
    /// `self` is valid and used, and stays so meanwhile.
    #[cfg(not(feature = "tiny"))]
    pub(crate) unsafe fn header_of_foreign(self) -> Header {
        // SAFETY: the caller's promise: only atomic accesses change the word.
        let word = unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) };
        let header = Header(word.load(Ordering::Relaxed));
        #[cfg(feature = "checked")]
        let header = header.unsealed();
        header
    }

    /// The same word as it stands there, whatever it is worth.
    ///
    /// # Safety
    ///
    /// It lies in memory of a heap.
    #[cfg(feature = "checked")]
    pub(crate) unsafe fn header_of_foreign_in_memory(self) -> Header {
        // SAFETY: the caller's promise.
        let word = unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) };
        Header(word.load(Ordering::Relaxed))
    }
}
