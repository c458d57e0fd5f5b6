//! Copy of a free block's link, in a checked heap. The heap detects an overwritten link by its
//! copy, and does not follow it.
//!
//! ```text
//!   free block ─► ┌───────┬──────┬─ ─ ─ ─    copy = link ⊕ hash of the block's address. A constant
//!                 │ link  │ copy │           written over both words is not a valid pair
//!                 └───────┴──────┴─ ─ ─ ─
//! ```

use core::ptr::NonNull;

use crate::cell::{WORD, mix};

/// Report of a link that differs from its copy.
#[derive(Clone, Copy, Debug)]
pub struct BrokenLink {
    /// Address of the block whose first word is the link.
    pub(crate) block: usize,
    /// The link.
    pub(crate) found: usize,
    /// The link by its copy. It is wrong if the copy was overwritten, and not the link.
    pub(crate) expected: usize,
}

/// Returns a pointer to the copy, the second word of the block.
fn copy_of(block: NonNull<u8>) -> NonNull<usize> {
    // SAFETY: a block of a checked heap has at least two words in front of its record.
    unsafe { block.byte_add(WORD) }.cast()
}

/// Writes the copy of a link.
///
/// # Safety
///
/// `block` is a free block of a checked heap.
pub(crate) unsafe fn write(block: NonNull<u8>, link: usize) {
    // SAFETY: the block is free (this function's clause), so nothing uses its second word.
    unsafe { copy_of(block).write(link ^ mix(block.addr().get(), 0)) };
}

/// Compares a link, `found`, with its copy.
///
/// # Errors
///
/// The report, if they differ.
///
/// # Safety
///
/// `block` is a free block of a checked heap, and [`write`](fn@write) wrote its copy.
pub(crate) unsafe fn verify(block: NonNull<u8>, found: usize) -> Result<(), BrokenLink> {
    // SAFETY: the block is free and has a copy: this function's clause.
    let copy = unsafe { copy_of(block).read() };
    let address = block.addr().get();
    let expected = copy ^ mix(address, 0);
    if found == expected { Ok(()) } else { Err(BrokenLink { block: address, found, expected }) }
}
