//! The four functions of a global allocator, for the `HEAP` of a program. The program is linked and
//! measured, not run.

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use crate::HEAP;

/// # Safety
///
/// `size` and `align` are those of a layout.
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: this function's own clause.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// # Safety
///
/// `size` and `align` are those of a layout.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: `size` and `align` are those of a layout.
    unsafe { HEAP.alloc(layout(size, align)) }
}

/// # Safety
///
/// `size` and `align` are those of a layout.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: `size` and `align` are those of a layout.
    unsafe { HEAP.alloc_zeroed(layout(size, align)) }
}

/// # Safety
///
/// As for `GlobalAlloc::dealloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn dealloc(block: *mut u8, size: usize, align: usize) {
    // SAFETY: `block` is live, with this layout.
    unsafe { HEAP.dealloc(block, layout(size, align)) };
}

/// # Safety
///
/// As for `GlobalAlloc::realloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(
    block: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: `block` is live, with this layout.
    unsafe { HEAP.realloc(block, layout(size, align), new_size) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
