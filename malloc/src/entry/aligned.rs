//! Functions with an alignment.

use core::alloc::Layout;
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use super::block_or_errno;
use crate::engine::{self, Call};
use crate::{errno, request};

with_caller! {
    /// glibc's `memalign`. Rounds the alignment up to a power of two; `EINVAL` if there is none.
    #[unsafe(no_mangle)]
    pub fn memalign(usize, usize) -> *mut c_void = memalign_from, "rdx", 0;

    /// C's `aligned_alloc`. An alignment that is no power of two is `EINVAL`. The size need not be
    /// a multiple of the alignment.
    #[unsafe(no_mangle)]
    pub fn aligned_alloc(usize, usize) -> *mut c_void = aligned_alloc_from, "rdx", 0;

    /// POSIX's `posix_memalign`. Returns `EINVAL` or `ENOMEM`, and preserves the first argument's
    /// target then. `errno` is set to `ENOMEM`, as by glibc, but not to `EINVAL`.
    #[unsafe(no_mangle)]
    pub fn posix_memalign(*mut *mut c_void, usize, usize) -> c_int =
        posix_memalign_from, "rcx", 0;

    /// BSD's `valloc`: a block aligned to a page.
    #[unsafe(no_mangle)]
    pub fn valloc(usize) -> *mut c_void = valloc_from, "rsi", 0;

    /// glibc's `pvalloc`: whole pages.
    #[unsafe(no_mangle)]
    pub fn pvalloc(usize) -> *mut c_void = pvalloc_from, "rsi", 0;
}

/// Allocates a block of a layout, if there is one.
fn allocate(layout: Option<Layout>, call: Call) -> Option<NonNull<u8>> {
    layout.and_then(|layout| engine::allocate(layout, call))
}

extern "C" fn memalign_from(align: usize, size: usize, caller: usize) -> *mut c_void {
    match request::alignment_of_memalign(align) {
        Some(align) => block_or_errno(allocate(request::aligned(align, size), Call::of_c(caller))),
        None => invalid(),
    }
}

extern "C" fn aligned_alloc_from(align: usize, size: usize, caller: usize) -> *mut c_void {
    aligned_of(align, size, Call::of_c(caller))
}

/// `aligned_alloc` of a family.
pub(super) fn aligned_of(align: usize, size: usize, call: Call) -> *mut c_void {
    if !align.is_power_of_two() {
        return invalid();
    }
    block_or_errno(allocate(request::aligned(align, size), call))
}

/// # Safety
///
/// `out` is valid for writing a pointer.
unsafe extern "C" fn posix_memalign_from(
    out: *mut *mut c_void,
    align: usize,
    size: usize,
    caller: usize,
) -> c_int {
    if !request::is_posix_alignment(align) {
        return libc::EINVAL;
    }
    let Some(block) = allocate(request::aligned(align, size), Call::of_c(caller)) else {
        super::no_memory();
        return libc::ENOMEM;
    };
    // SAFETY: `out` is valid for a write.
    unsafe { out.write(block.as_ptr().cast()) };
    0
}

extern "C" fn valloc_from(size: usize, caller: usize) -> *mut c_void {
    block_or_errno(allocate(request::aligned(request::PAGE, size), Call::of_c(caller)))
}

extern "C" fn pvalloc_from(size: usize, caller: usize) -> *mut c_void {
    block_or_errno(allocate(request::pages(size), Call::of_c(caller)))
}

#[cold]
fn invalid() -> *mut c_void {
    errno::set(libc::EINVAL);
    ptr::null_mut()
}
