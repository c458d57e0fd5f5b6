//! C's functions.

use core::ffi::c_void;
use core::ptr;

use super::{block_of, block_or_errno};
use crate::{engine, request};

/// C's `malloc`. No bytes are a block of their own; more than `PTRDIFF_MAX` are too many: `ENOMEM`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    match request::plain(size).and_then(engine::allocate_at_once) {
        Some(block) => block.as_ptr().cast(),
        None => malloc_slowly(size),
    }
}

/// Apart, so that the usual way has no register to save.
#[inline(never)]
extern "C" fn malloc_slowly(size: usize) -> *mut c_void {
    block_or_errno(request::plain(size).and_then(engine::allocate))
}

/// C's `calloc`: a product that no word holds is too much: `ENOMEM`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    block_or_errno(request::array(count, size).and_then(engine::allocate_zeroed))
}

/// C's `realloc`. Null is nothing to begin with; to no bytes is to be freed, and the answer is null
/// (as in glibc).
///
/// # Safety
///
/// As in C: the block is live, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    let Some(block) = block_of(pointer) else {
        return block_or_errno(request::plain(size).and_then(engine::allocate));
    };
    if size == 0 {
        // SAFETY: the caller's promise.
        unsafe { engine::deallocate(block) };
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise.
    block_or_errno(
        request::plain(size).and_then(|layout| unsafe { engine::reallocate(block, layout) }),
    )
}

/// BSD's `reallocarray`: `realloc` with a product that is looked at.
///
/// # Safety
///
/// As for `realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    pointer: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { realloc(pointer, bytes) },
        None => super::no_memory(),
    }
}

/// C's `free`. Null is nothing to free. `errno` is left alone.
///
/// # Safety
///
/// As in C: the block is live, or null, and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(pointer: *mut c_void) {
    if let Some(block) = block_of(pointer) {
        // SAFETY: the caller's promise.
        unsafe { engine::deallocate(block) };
    }
}

/// C23's `free_sized`. The heap knows the size.
///
/// # Safety
///
/// As for `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(pointer: *mut c_void, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(pointer) };
}

/// C23's `free_aligned_sized`. The heap knows both.
///
/// # Safety
///
/// As for `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(pointer: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(pointer) };
}

/// glibc's `malloc_usable_size`: how many bytes of a block may be used; 0 of null.
///
/// # Safety
///
/// The block is live, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(pointer: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    block_of(pointer).map_or(0, |block| unsafe { engine::usable_size(block) })
}
