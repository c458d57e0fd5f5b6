//! The copy of a free block's link (feature `checked`), by which a link that was overwritten is
//! noticed and not followed.
//!
//! ```text
//!   free block ─► ┌───────┬──────┬─ ─ ─ ─       the copy is mixed with the block's address: no constant
//!                 │ link  │ copy │              that is written over both words passes for a pair
//!                 └───────┴──────┴─ ─ ─ ─
//! ```

use core::ptr::NonNull;

use crate::cell::{WORD, mix};

/// A link that is not what the heap wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokenLink {
    /// The block in whose first word it is.
    pub(crate) block: usize,
    pub(crate) found: usize,
    /// What the copy tells. (If that was overwritten, and not the link, this is as wrong as it.)
    pub(crate) expected: usize,
}

fn copy_of(block: NonNull<u8>) -> NonNull<usize> {
    // SAFETY: with the feature on a free block is longer than two words.
    unsafe { block.byte_add(WORD) }.cast()
}

/// Writes the copy of a link.
///
/// # Safety
///
/// The block is free, its link is `link`.
pub(crate) unsafe fn write(block: NonNull<u8>, link: usize) {
    // SAFETY: the caller's promise: nobody uses the block's second word.
    unsafe { copy_of(block).write(link ^ mix(block.addr().get(), 0)) };
}

/// Compares the link with its copy.
///
/// # Safety
///
/// The block is free, and a link and its copy were written to it.
pub(crate) unsafe fn verify(block: NonNull<u8>, found: usize) -> Result<(), BrokenLink> {
    // SAFETY: the caller's promise.
    let copy = unsafe { copy_of(block).read() };
    let address = block.addr().get();
    let expected = copy ^ mix(address, 0);
    if found == expected { Ok(()) } else { Err(BrokenLink { block: address, found, expected }) }
}
