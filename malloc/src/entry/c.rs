//! C's functions.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::{block_of, block_or_errno, pointer_to};
use crate::engine::{self, Call};
use crate::request;

/// C's `malloc`. `malloc(0)` returns a block with an address of its own; a size above `PTRDIFF_MAX`
/// is `ENOMEM`.
///
/// # Safety
///
/// None: any size is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: any size is valid.
    let otherwise = |size| NonNull::new(unsafe { malloc_slow(size) }.cast());
    pointer_to(engine::allocate_at_hand_or(size, otherwise))
}

with_caller! {
    /// The rest of `malloc`, outlined: the fast path then saves no registers.
    fn malloc_slow(usize) -> *mut c_void = malloc_missed, "rsi", 0;
    /// `calloc` of a heap that is not the usual one.
    fn calloc_slow(usize, usize) -> *mut c_void = calloc_unusual, "rdx", 0;
    /// `realloc` of a heap that is not the usual one.
    fn realloc_slow(*mut c_void, usize) -> *mut c_void = realloc_unusual, "rdx", 0;
    /// The rest of `free`, outlined: the fast path then saves no registers.
    fn free_slow(*mut c_void) = free_missed, "rsi", 0;
}

extern "C" fn malloc_missed(size: usize, caller: usize) -> *mut c_void {
    let call = Call::of_c(caller);
    block_or_errno(request::plain(size).and_then(|layout| engine::allocate_missed(layout, call)))
}

/// C's `calloc`. A product that overflows is `ENOMEM`.
///
/// # Safety
///
/// None: any size is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    if !engine::is_usual() {
        // SAFETY: any size is valid.
        return unsafe { calloc_slow(count, size) };
    }
    block_or_errno(request::array(count, size).and_then(engine::allocate_zeroed_usual))
}

extern "C" fn calloc_unusual(count: usize, size: usize, caller: usize) -> *mut c_void {
    let allocate = |layout| engine::allocate_zeroed(layout, Call::of_c(caller));
    block_or_errno(request::array(count, size).and_then(allocate))
}

/// C's `realloc`. `realloc(NULL, size)` is `malloc(size)`; `realloc(block, 0)` frees the block and
/// returns null, as in glibc.
///
/// # Safety
///
/// `pointer` is a live block, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: `pointer` is a live block, or null; the block is no longer used after success, or
    // with size 0.
    unsafe {
        if !engine::is_usual() {
            return realloc_slow(pointer, size);
        }
        let Some(block) = block_of(pointer) else { return malloc(size) };
        if size == 0 {
            free(pointer);
            return ptr::null_mut();
        }
        let reallocate = |layout| engine::reallocate_usual(block, layout);
        block_or_errno(request::plain(size).and_then(reallocate))
    }
}

/// # Safety
///
/// The clauses of `realloc`.
unsafe extern "C" fn realloc_unusual(
    pointer: *mut c_void,
    size: usize,
    caller: usize,
) -> *mut c_void {
    let Some(block) = block_of(pointer) else { return malloc_missed(size, caller) };
    let call = Call::of_c(caller);
    // SAFETY: `block` is live, and no longer used after success, or with size 0.
    unsafe {
        if size == 0 {
            engine::deallocate_missed(block, call);
            return ptr::null_mut();
        }
        let reallocate = |layout| engine::reallocate(block, layout, call);
        block_or_errno(request::plain(size).and_then(reallocate))
    }
}

/// BSD's `reallocarray`: `realloc` with a checked product.
///
/// # Safety
///
/// The clauses of `realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    pointer: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: this function's own clause.
        Some(bytes) => unsafe { realloc(pointer, bytes) },
        None => super::no_memory(),
    }
}

/// C's `free`. `free(NULL)` does nothing. `errno` is preserved.
///
/// # Safety
///
/// `pointer` is a live block that is no longer used, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(pointer: *mut c_void) {
    // An address that is no block's, aligned or not, is found by the heap.
    // SAFETY: the block is live and no longer used, or the pointer is null.
    unsafe {
        if !engine::deallocate_at_hand(pointer.cast()) {
            free_slow(pointer);
        }
    }
}

/// # Safety
///
/// The clause of [`free`].
unsafe extern "C" fn free_missed(pointer: *mut c_void, caller: usize) {
    if let Some(block) = block_of(pointer) {
        // SAFETY: `block` is live, and no longer used.
        unsafe { engine::deallocate_missed(block, Call::of_c(caller)) };
    }
}

/// C23's `free_sized`. The heap knows the size.
///
/// # Safety
///
/// The clauses of `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(pointer: *mut c_void, _size: usize) {
    // SAFETY: this function's own clause.
    unsafe { free(pointer) };
}

/// C23's `free_aligned_sized`. The heap knows alignment and size.
///
/// # Safety
///
/// The clauses of `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(pointer: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: this function's own clause.
    unsafe { free(pointer) };
}

/// glibc's `malloc_usable_size`: the number of usable bytes of a block; 0 for null.
///
/// # Safety
///
/// `pointer` is a live block, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(pointer: *mut c_void) -> usize {
    // SAFETY: `block` is live.
    block_of(pointer).map_or(0, |block| unsafe { engine::usable_size(block) })
}
