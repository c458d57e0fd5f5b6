//! What a small target links of brkalloc: a heap on a static array, and the four functions of a
//! global allocator. It is not meant to run; `harness size` looks at what the linker made of it.

#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use brkalloc::{FixedBreak, LockedHeap};

const SIZE: usize = 16 << 10;
static mut ARENA: [u8; SIZE] = [0; SIZE];

/// What is measured as state: the heap, with its break and its lock.
#[unsafe(no_mangle)]
// SAFETY: nobody else names ARENA.
static HEAP: LockedHeap<FixedBreak> =
    LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });

/// # Safety
///
/// `size` and `align` are a layout's.
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: the caller's promise.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// # Safety
///
/// `size` and `align` are a layout's.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { HEAP.alloc(layout(size, align)) }
}

/// # Safety
///
/// `size` and `align` are a layout's.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { HEAP.alloc_zeroed(layout(size, align)) }
}

/// # Safety
///
/// As for `GlobalAlloc::dealloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn dealloc(block: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's promise.
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
    // SAFETY: the caller's promise.
    unsafe { HEAP.realloc(block, layout(size, align), new_size) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
