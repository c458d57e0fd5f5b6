//! The bytes behind a header: the payload of a used cell, the links of a free one.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::{Cell, Form, MIN_CELL, WORD};

/// Copies `len` bytes from one payload to another, which lies further down or does not overlap.
///
/// # Safety
///
/// Both payloads are memory of the heap, aligned to words, and have at least `len` bytes, rounded
/// up to whole words. If they overlap, `to` lies below `from`.
pub(crate) unsafe fn copy_down<F: Form>(from: NonNull<u8>, to: NonNull<u8>, len: usize) {
    if F::CHECKED || !F::COMPACT && !cfg!(target_arch = "arm") {
        // SAFETY: both payloads are memory of the heap with `len` bytes: this function's clause.
        unsafe { to.copy_from(from, len) };
        return;
    }
    // A small program may have no other use for `memmove`, which would then be its longest
    // function. The bytes behind `len` in the last word are copied too, and may be uninitialised.
    let (from, to) = (from.cast::<MaybeUninit<usize>>(), to.cast());
    for word in 0..len.div_ceil(WORD) {
        // SAFETY: both payloads have this word, aligned (this function's clause). `to` lies below
        // `from` if they overlap, so the word read was not written to yet.
        unsafe { to.add(word).write(from.add(word).read()) };
    }
}

/// Links of a free cell: the two words behind its header.
///
/// # Invariants
///
/// `cell.links().next = Some(n) ⟺ n.links().prev = Some(cell)`
#[repr(C)]
pub(crate) struct Links<F> {
    /// Next cell of the bin; `None` in the last one.
    pub(crate) next: Option<Cell<F>>,
    /// Previous cell of the bin; `None` in the first one.
    pub(crate) prev: Option<Cell<F>>,
}

// Header, links and the size at the end fill the smallest cell.
const _: () = assert!(2 * WORD + size_of::<Links<()>>() == MIN_CELL);

impl<F> Cell<F> {
    /// Returns a pointer to the links of a free cell. They have a value only while the cell is in a
    /// bin.
    ///
    /// # Safety
    ///
    /// `self` is a valid free cell.
    pub(crate) unsafe fn links(self) -> NonNull<Links<F>> {
        self.payload().cast()
    }
}
