//! Writing of headers. Only the owning heap writes them, each with one atomic store, because
//! another thread may read the header of its own block at the same time.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Cell, Form, Header, MIN_CELL, State, WORD};

impl<F: Form> Cell<F> {
    /// Makes `self` a free cell of `size` bytes: writes its header, and its size into its last
    /// word. Does not change the next header: see [`set_prev_used`](Cell::set_prev_used).
    ///
    /// # Safety
    ///
    /// * `[self, self + size)` is memory of this heap that holds no other valid cell, and a valid
    ///   cell or a fencepost follows it
    /// * `prev_used` is `true` if and only if the cell before it is used
    /// * `size ≥ MIN_CELL`
    pub(crate) unsafe fn write_free(self, size: usize, prev_used: bool) {
        debug_assert!(size >= MIN_CELL);
        let header = Header::new(size, State::empty()).with_prev_used(prev_used);
        // SAFETY: the first and the last word of the cell are memory of this heap (this method's
        // clause), and two words, because `size ≥ MIN_CELL`.
        unsafe {
            self.write_header(header);
            self.0.byte_add(size - WORD).write(size);
        }
    }

    /// Makes `self` a used cell of `size` bytes: writes its header. Does not change the next
    /// header.
    ///
    /// # Safety
    ///
    /// The clauses of [`write_free`](Cell::write_free).
    pub(crate) unsafe fn write_used(self, size: usize, prev_used: bool) {
        debug_assert!(size >= MIN_CELL);
        // SAFETY: the first word is memory of this heap: this method's clause.
        unsafe { self.write_header(Header::new(size, State::USED).with_prev_used(prev_used)) };
    }

    /// Makes a used cell longer or shorter: writes its header. Does not change the next header.
    ///
    /// # Safety
    ///
    /// The clauses of [`write_free`](Cell::write_free); `self` was a used cell with the header
    /// `old`.
    pub(crate) unsafe fn write_resized(self, old: Header, size: usize) {
        debug_assert!(size >= MIN_CELL && old.is_used());
        // SAFETY: the first word is memory of this heap: this method's clause.
        unsafe { self.write_header(old.with_size(size)) };
    }

    /// Makes `self` a fencepost. `hole` is the distance to the first cell of the next region, in
    /// bytes; 0 in the last region.
    ///
    /// # Safety
    ///
    /// * the word at `self` is memory of this heap, and lies in no valid cell
    /// * `prev_used` is `true` if and only if the cell before it is used, or there is none
    /// * if `hole > 0`, the next region's first cell lies `hole` bytes above, or the heap writes it
    ///   there before it follows the fencepost
    pub(crate) unsafe fn write_fencepost(self, hole: usize, prev_used: bool) {
        let header =
            Header::new(hole, State::USED.union(State::FENCEPOST)).with_prev_used(prev_used);
        // SAFETY: the word at `self` is memory of this heap: this method's clause.
        unsafe { self.write_header(header) };
    }

    /// Makes a fencepost lead to another region's first cell.
    ///
    /// # Safety
    ///
    /// `self` is a fencepost. `first` lies above it; it is the first cell of the next region, or
    /// the heap makes it that before it follows the fencepost.
    pub(crate) unsafe fn lead_to(self, first: Self) {
        // SAFETY: `self` is a fencepost (this method's clause), and stays one behind the same cell.
        unsafe { self.write_fencepost(first.addr() - self.addr(), self.header().is_prev_used()) };
    }

    /// Makes a fencepost the last one of the heap.
    ///
    /// # Safety
    ///
    /// `self` is a fencepost.
    pub(crate) unsafe fn lead_nowhere(self) {
        // SAFETY: `self` is a fencepost (this method's clause), and stays one behind the same cell.
        unsafe { self.write_fencepost(0, self.header().is_prev_used()) };
    }

    /// Sets or clears `PREV_USED` in this header.
    ///
    /// # Safety
    ///
    /// `self` is a valid cell or fencepost.
    pub(crate) unsafe fn set_prev_used(self, prev_used: bool) {
        if F::CHECKED {
            // SAFETY: `self` is valid (this method's clause), so its header can be read and
            // written.
            return unsafe { self.write_header(self.header().with_prev_used(prev_used)) };
        }
        // SAFETY: `self` is valid (this method's clause), so its header can be read and written.
        let word = unsafe { self.word() };
        // In this form, both become one instruction where the processor has one.
        let header = Header(word.load(Ordering::Relaxed)).with_prev_used(prev_used);
        word.store(header.bits(), Ordering::Relaxed);
    }

    /// Clears `USED` in the header of a used cell. If the cell is then coalesced with the one
    /// before it, this word stays, and shows a double free of the block.
    ///
    /// # Safety
    ///
    /// `self` is a valid used cell that the heap frees next.
    pub(crate) unsafe fn mark_freed(self) {
        // SAFETY: `self` is valid (this method's clause), so its header can be read and written.
        unsafe {
            self.write_header(self.header().with_used_cleared());
        }
    }

    /// Zeroes a fencepost, and the size at the end of the free cell before it, so that neither
    /// remains in the cell that takes their place.
    ///
    /// # Safety
    ///
    /// `self` is a fencepost, and the cell before it is free. Both words are written again before
    /// they are read as a header or a size.
    pub(crate) unsafe fn erase_with_size_before(self) {
        // SAFETY: `self` is a fencepost behind a free cell (this method's clause), so both words
        // are memory of this heap.
        unsafe { self.0.sub(1).write_bytes(0, 2) };
    }

    /// Writes the header, with check bits if the heap is checked.
    ///
    /// # Safety
    ///
    /// The word at `self` is memory of this heap.
    unsafe fn write_header(self, header: Header) {
        let header = if F::CHECKED { header.sealed(self.addr()) } else { header };
        // SAFETY: the word is memory of this heap: this method's clause.
        let word = unsafe { self.word() };
        // Atomic, because another thread may read its block's size while the owner changes
        // `PREV_USED`: see `header_of_foreign`.
        word.store(header.bits(), Ordering::Relaxed);
    }

    /// Returns the word at `self`.
    ///
    /// # Safety
    ///
    /// The word lies in memory of a heap.
    unsafe fn word<'word>(self) -> &'word AtomicUsize {
        // SAFETY: the word is memory of a heap (this method's clause), aligned by the type's
        // invariant. Where threads may share it, the heap writes it with atomic stores only.
        unsafe { AtomicUsize::from_ptr(self.0.as_ptr()) }
    }

    /// Reads the header of a live block's cell while another thread may use the block's heap.
    ///
    /// # Safety
    ///
    /// `self` is a valid used cell, and stays one during the call.
    pub(crate) unsafe fn header_of_foreign(self) -> Header {
        // SAFETY: `self` is valid during the call: this method's clause.
        let header = unsafe { self.header_in_memory() };
        if F::CHECKED { header.unsealed() } else { header }
    }

    /// Reads the word at `self` as a header with its check bits, also while another thread may use
    /// the heap. The word may be overwritten or no header at all.
    ///
    /// # Safety
    ///
    /// The word lies in memory of a heap.
    pub(crate) unsafe fn header_in_memory(self) -> Header {
        // SAFETY: the word is memory of a heap: this method's clause.
        Header(unsafe { self.word() }.load(Ordering::Relaxed))
    }
}
