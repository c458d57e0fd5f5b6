//! What programs in C stand on: start-up code that calls `main`, and brkalloc as `malloc`.
//!
//! ```text
//!   _start ─► main(argc, argv) ─► exit
//!   malloc, free, realloc of libc/malloc.c ─► brkalloc_… ─► Heap over the process's break and mappings
//! ```

#![no_std]

use core::alloc::Layout;
use core::ffi::{c_char, c_int};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use runtime::system::process;
use runtime::{
    Arguments, HeapCall, HeapLayout, ProcessBreak, ProcessHeap, ProcessMap, Told, Verdict,
};

/// The heap behind `malloc`.
static HEAP: ProcessHeap = ProcessHeap::with_map(ProcessBreak, ProcessMap);

/// The same, which tells its calls where a story is recorded. Also behind what `core::fmt` may
/// want.
#[global_allocator]
static TOLD: Told<ProcessHeap> = Told::new(&HEAP);

/// Alignment of blocks, in bytes, as C has it.
const ALIGN: usize = 16;

unsafe extern "C" {
    /// The program's own.
    safe fn main(argc: c_int, argv: *const *const c_char) -> c_int;
}

runtime::entry!(run);

fn run(arguments: Arguments) -> Verdict {
    process::exit(main(arguments.count() as c_int, arguments.vector()) as u8)
}

/// A block of that size for C.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), ALIGN).ok()
}

fn address(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// `malloc`.
#[unsafe(no_mangle)]
pub extern "C" fn brkalloc_malloc(size: usize) -> *mut u8 {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // Linux has no such call, and nobody who would ask.
        let _ = HeapLayout::BRKALLOC.register();
    }
    TOLD.call(HeapCall::Allocate(size), |heap| {
        // SAFETY: the heap is a static.
        address(layout(size).and_then(|layout| unsafe { heap.allocate(layout) }))
    })
}

/// `free`.
///
/// # Safety
///
/// `block` is null, or came from this heap and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn brkalloc_free(block: *mut u8) {
    if let Some(block) = NonNull::new(block) {
        TOLD.call(HeapCall::Free(block.addr().get(), 0), |heap| {
            // SAFETY: the caller's promise; the heap stays where it is.
            unsafe { heap.with(|heap| heap.deallocate_by_ptr(block)) };
            ptr::null_mut()
        });
    }
}

/// `realloc`.
///
/// # Safety
///
/// `block` is null, or came from this heap; after success it is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn brkalloc_realloc(block: *mut u8, size: usize) -> *mut u8 {
    let Some(block) = NonNull::new(block) else { return brkalloc_malloc(size) };
    let Some(layout) = layout(size) else { return ptr::null_mut() };
    TOLD.call(HeapCall::Reallocate(block.addr().get(), 0, size), |heap| {
        // SAFETY: the caller's promise; the heap stays where it is.
        address(unsafe { heap.with(|heap| heap.reallocate_by_ptr(block, layout)) })
    })
}
