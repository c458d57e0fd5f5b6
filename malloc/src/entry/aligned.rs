//! Functions with an alignment.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::block_or_errno;
use crate::{engine, errno, request};

/// glibc's `memalign`. Rounds the alignment up to a power of two; `EINVAL` if there is none.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match request::alignment_of_memalign(align) {
        Some(align) => block_or_errno(request::aligned(align, size).and_then(engine::allocate)),
        None => invalid(),
    }
}

/// C's `aligned_alloc`. An alignment that is no power of two is `EINVAL`. The size need not be a
/// multiple of the alignment.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        return invalid();
    }
    block_or_errno(request::aligned(align, size).and_then(engine::allocate))
}

/// POSIX's `posix_memalign`. Returns `EINVAL` or `ENOMEM`, and preserves `*out` then. `errno` is set
/// to `ENOMEM`, as by glibc, but not to `EINVAL`.
///
/// # Safety
///
/// `out` is valid for writing a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !request::is_posix_alignment(align) {
        return libc::EINVAL;
    }
    let Some(block) = request::aligned(align, size).and_then(engine::allocate) else {
        super::no_memory();
        return libc::ENOMEM;
    };
    // SAFETY: `out` is valid for a write.
    unsafe { out.write(block.as_ptr().cast()) };
    0
}

/// BSD's `valloc`: a block aligned to a page.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    block_or_errno(request::aligned(request::PAGE, size).and_then(engine::allocate))
}

/// glibc's `pvalloc`: whole pages.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    block_or_errno(request::pages(size).and_then(engine::allocate))
}

#[cold]
fn invalid() -> *mut c_void {
    errno::set(libc::EINVAL);
    ptr::null_mut()
}
