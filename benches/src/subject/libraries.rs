//! Whole libraries, through their C interfaces. They serve threads and get their memory from the
//! system.

use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr::NonNull;

use super::Subject;

/// Whether a plain `malloc` aligns well enough: to 16 bytes, but small blocks to their size only.
#[cfg(feature = "libraries")]
#[inline]
const fn is_plain(layout: Layout) -> bool {
    layout.align() <= 16 && layout.align() <= layout.size()
}

/// The C library's `malloc`.
pub struct Glibc;

// SAFETY: what C's `malloc` guarantees.
unsafe impl Subject for Glibc {
    unsafe fn new(_: NonNull<[u8]>) -> Self {
        Self
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() <= 16 {
            // SAFETY: any size will do.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        // SAFETY: the alignment is a power of two.
        unsafe { libc::memalign(layout.align(), layout.size()) }.cast()
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() <= 16 {
            // SAFETY: any size will do.
            return unsafe { libc::calloc(1, layout.size()) }.cast();
        }
        // SAFETY: the caller's promise.
        let block = unsafe { self.allocate(layout) };
        if !block.is_null() {
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(block.cast::<c_void>()) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= 16 {
            // SAFETY: the caller's promise.
            return unsafe { libc::realloc(block.cast::<c_void>(), new_size) }.cast();
        }
        // SAFETY: the caller's promise.
        unsafe { super::move_block(self, block, layout, new_size) }
    }
}

/// mimalloc.
#[cfg(feature = "libraries")]
pub struct Mimalloc;

// SAFETY: what mimalloc guarantees.
#[cfg(feature = "libraries")]
unsafe impl Subject for Mimalloc {
    unsafe fn new(_: NonNull<[u8]>) -> Self {
        Self
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if is_plain(layout) {
            // SAFETY: any size will do.
            return unsafe { libmimalloc_sys::mi_malloc(layout.size()) }.cast();
        }
        // SAFETY: the alignment is a power of two.
        unsafe { libmimalloc_sys::mi_malloc_aligned(layout.size(), layout.align()) }.cast()
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        if is_plain(layout) {
            // SAFETY: any size will do.
            return unsafe { libmimalloc_sys::mi_zalloc(layout.size()) }.cast();
        }
        // SAFETY: the alignment is a power of two.
        unsafe { libmimalloc_sys::mi_zalloc_aligned(layout.size(), layout.align()) }.cast()
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's promise.
        unsafe { libmimalloc_sys::mi_free(block.cast::<c_void>()) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if is_plain(layout) {
            // SAFETY: the caller's promise.
            return unsafe { libmimalloc_sys::mi_realloc(block.cast::<c_void>(), new_size) }.cast();
        }
        // SAFETY: the caller's promise.
        unsafe {
            libmimalloc_sys::mi_realloc_aligned(block.cast::<c_void>(), new_size, layout.align())
        }
        .cast()
    }
}

/// jemalloc.
#[cfg(feature = "libraries")]
pub struct Jemalloc;

/// `mallocx`'s flag for an alignment; 0 is the plain one.
#[cfg(feature = "libraries")]
#[inline]
const fn flags(layout: Layout) -> i32 {
    if is_plain(layout) { 0 } else { tikv_jemalloc_sys::MALLOCX_ALIGN(layout.align()) }
}

// SAFETY: what jemalloc guarantees.
#[cfg(feature = "libraries")]
unsafe impl Subject for Jemalloc {
    unsafe fn new(_: NonNull<[u8]>) -> Self {
        Self
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if is_plain(layout) {
            // SAFETY: any size will do.
            return unsafe { tikv_jemalloc_sys::malloc(layout.size()) }.cast();
        }
        // SAFETY: the size is not 0: the caller's promise.
        unsafe { tikv_jemalloc_sys::mallocx(layout.size(), flags(layout)) }.cast()
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not 0: the caller's promise.
        unsafe {
            tikv_jemalloc_sys::mallocx(
                layout.size(),
                flags(layout) | tikv_jemalloc_sys::MALLOCX_ZERO,
            )
        }
        .cast()
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe {
            tikv_jemalloc_sys::sdallocx(block.cast::<c_void>(), layout.size(), flags(layout))
        };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { tikv_jemalloc_sys::rallocx(block.cast::<c_void>(), new_size, flags(layout)) }
            .cast()
    }
}

/// Every block of rusty_alloc is aligned to so many bytes.
const WORD: usize = 8;

/// rusty_alloc, as its own `GlobalAlloc` calls it. It takes its memory from the system.
pub struct RustyAlloc;

// SAFETY: what rusty_alloc guarantees.
unsafe impl Subject for RustyAlloc {
    unsafe fn new(_: NonNull<[u8]>) -> Self {
        Self
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() <= WORD {
            return rusty_alloc::alloc::malloc(layout.size());
        }
        // SAFETY: the alignment of a layout is a power of two.
        unsafe { rusty_alloc::alloc::malloc_aligned_pow2(layout.size(), layout.align()) }
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() <= WORD {
            return rusty_alloc::alloc::zalloc(layout.size());
        }
        rusty_alloc::alloc::zalloc_aligned(layout.size(), layout.align())
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's promise.
        unsafe { rusty_alloc::alloc::free(block) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= WORD {
            // SAFETY: the caller's promise.
            return unsafe { rusty_alloc::alloc::realloc(block, new_size) };
        }
        // SAFETY: the caller's promise.
        unsafe { rusty_alloc::alloc::realloc_aligned(block, new_size, layout.align()) }
    }
}
