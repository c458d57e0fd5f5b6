//! What lies behind a header: the caller's bytes, or, while nobody has the cell, links.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::{Cell, MIN_CELL, WORD};
use crate::TINY;

impl Cell {
    /// Copies the first `len` bytes of the payload to that of a cell further down. The two may
    /// overlap.
    ///
    /// # Safety
    ///
    /// Both payloads are memory of this heap, at least `len` bytes long, rounded up to whole words.
    pub(crate) unsafe fn move_payload_down(self, to: Self, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { copy_down(self.payload(), to.payload(), len) };
    }
}

/// Copies `len` bytes from one payload to another, which lies further down or overlaps nowhere.
///
/// # Safety
///
/// Both places are memory of the heap, aligned to words, and at least `len` bytes long, rounded up
/// to whole words.
pub(crate) unsafe fn copy_down(from: NonNull<u8>, to: NonNull<u8>, len: usize) {
    if !TINY {
        // SAFETY: the caller's promise.
        unsafe { to.copy_from(from, len) };
        return;
    }
    // `memmove` would be the longest function of the program, which may have no other use for it.
    // What is behind `len` in the last word may be anything.
    let (from, to) = (from.cast::<MaybeUninit<usize>>(), to.cast());
    for word in 0..len.div_ceil(WORD) {
        // SAFETY: inside the place.
        let source = unsafe { from.add(word) };
        // SAFETY: inside the other place.
        let target = unsafe { to.add(word) };
        // SAFETY: no word above this one has been written to yet.
        let value = unsafe { source.read() };
        // SAFETY: the heap's memory.
        unsafe { target.write(value) };
    }
}

/// The two words behind a free cell's header.
///
/// # Invariants
///
/// `cell.links().next = Some(n) ⟹ n.links().prev = Some(cell)`, and the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Links {
    /// The cell behind this one in its bin.
    pub(crate) next: Option<Cell>,
    /// The cell before this one in its bin; `None` for the first.
    pub(crate) prev: Option<Cell>,
}

// Header, links and the size at the end fill the smallest cell.
const _: () = assert!(2 * WORD + size_of::<Links>() == MIN_CELL);

impl Cell {
    /// The links of a free cell that is in a bin, as a place to read and write.
    ///
    /// # Safety
    ///
    /// `self` is a valid free cell. What is read is meaningful only while the cell is in a bin.
    pub(crate) unsafe fn links(self) -> NonNull<Links> {
        self.payload().cast()
    }

    /// The first word of the payload of a used cell that is kept for the next caller, as a place to
    /// read and write: the link to another such cell. What is read is meaningful only while the
    /// cell is kept.
    #[cfg(not(feature = "tiny"))]
    pub(crate) fn link(self) -> NonNull<Option<Self>> {
        self.payload().cast()
    }
}
