//! What a small target links without an allocator.

#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

static HEAP: Nothing = Nothing;

struct Nothing;

// SAFETY: there are no blocks.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        null_mut()
    }

    unsafe fn alloc_zeroed(&self, _: Layout) -> *mut u8 {
        null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    unsafe fn realloc(&self, _: *mut u8, _: Layout, _: usize) -> *mut u8 {
        null_mut()
    }
}
