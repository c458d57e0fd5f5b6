//! The operations of every heap of this crate, so that one lock serves them all.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::sealed::Sealed;

/// A heap for one owner at a time: [`Heap`](crate::Heap) or [`SimpleHeap`](crate::SimpleHeap).
///
/// It serves code that is generic over both heaps; each heap also has the methods itself. The trait
/// is sealed:
///
/// ```compile_fail,E0277
/// # use core::{alloc::Layout, ptr::NonNull};
/// struct Mine;
///
/// unsafe impl brkalloc::RawHeap for Mine {
/// #   unsafe fn allocate(&mut self, _: Layout) -> Option<NonNull<u8>> { None }
/// #   unsafe fn deallocate(&mut self, _: NonNull<u8>, _: Layout) {}
/// #   unsafe fn reallocate(&mut self, _: NonNull<u8>, _: Layout, _: usize)
/// #       -> Option<NonNull<u8>> { None }
///     // …
/// }
/// ```
///
/// # Safety
///
/// A block that was returned is valid for its layout, overlaps no other live block, and stays so
/// until it is freed.
pub unsafe trait RawHeap: Sealed {
    /// `true` if the heap reports misuse, which may be a panic.
    #[doc(hidden)]
    const REPORTS: bool = false;

    /// Allocates a block. `None` means out of memory.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// Allocates a block of zeros. `None` means out of memory.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](RawHeap::allocate).
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive until the last use of the block.
        let block = unsafe { self.allocate(layout) }?;
        // SAFETY: the block is new and `layout.size()` bytes long.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is no longer used.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// Changes the size of a block, which may move. After `None` the block is unchanged.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](RawHeap::deallocate) if the result is `Some`; the new block has
    /// `new_size` bytes and the old alignment.
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>>;
}
