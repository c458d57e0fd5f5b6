//! What every heap of this crate can do, so that one lock serves them all.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::copy_down;

/// A heap for one owner at a time.
///
/// # Safety
///
/// A block that was returned is valid for its layout, overlaps no other live block, and stays so
/// until it is given back.
pub unsafe trait RawHeap {
    /// Allocates a block, or returns `None`.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// Allocates a block of zeros, or returns `None`.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](RawHeap::allocate).
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let block = unsafe { self.allocate(layout) }?;
        // SAFETY: a new block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is not used any
    /// more.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// Changes the size of a block; on `None` the old one is untouched.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](RawHeap::deallocate) if the answer is `Some`; the new block's layout
    /// is `new_size` with the old alignment.
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>>;
}

/// What is left for `realloc` when a block cannot stay: allocates, copies, frees. On `None` the old
/// block is untouched.
///
/// # Safety
///
/// As for [`RawHeap::reallocate`].
pub(crate) unsafe fn move_block<H: RawHeap>(
    heap: &mut H,
    block: NonNull<u8>,
    layout: Layout,
    new_size: usize,
) -> Option<NonNull<u8>> {
    let new_layout = Layout::from_size_align(new_size, layout.align()).ok()?;
    // SAFETY: the caller keeps the heap alive as long as its blocks.
    let new = unsafe { heap.allocate(new_layout) }?;
    // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in whole
    // words.
    unsafe { copy_down(block, new, layout.size().min(new_size)) };
    // SAFETY: the caller gave the old block up; its contents are in the new one.
    unsafe { heap.deallocate(block, layout) };
    Some(new)
}
