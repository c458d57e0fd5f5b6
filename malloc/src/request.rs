//! The layouts that C's arguments mean. Arithmetic only.
//!
//! A size above `PTRDIFF_MAX` bytes, and a product that overflows, has no layout.

use core::alloc::Layout;

/// Alignment of every block, in bytes: that of any C type, `alignof(max_align_t)`.
pub(crate) const ALIGN: usize = 16;

/// Page size of `valloc`, in bytes.
pub(crate) const PAGE: usize = 4096;

/// Layout of `malloc(size)`. A size of 0 is a block with an address of its own.
#[inline(always)]
pub(crate) const fn plain(size: usize) -> Option<Layout> {
    aligned(ALIGN, size)
}

/// Layout of `calloc(count, size)` and `reallocarray`.
#[inline(always)]
pub(crate) const fn array(count: usize, size: usize) -> Option<Layout> {
    match count.checked_mul(size) {
        Some(bytes) => plain(bytes),
        None => None,
    }
}

/// Layout of `size` bytes at a multiple of `align`, a power of two.
#[inline(always)]
pub(crate) const fn aligned(align: usize, size: usize) -> Option<Layout> {
    match Layout::from_size_align(size, if align < ALIGN { ALIGN } else { align }) {
        Ok(layout) => Some(layout),
        Err(_) => None,
    }
}

/// Layout of `pvalloc(size)`: whole pages, at least one.
pub(crate) fn pages(size: usize) -> Option<Layout> {
    aligned(PAGE, size.max(1).checked_next_multiple_of(PAGE)?)
}

/// Alignment that `memalign` uses: the next power of two, as in glibc. `None` if there is none.
pub(crate) const fn alignment_of_memalign(align: usize) -> Option<usize> {
    align.checked_next_power_of_two()
}

/// Returns whether `posix_memalign` accepts the alignment.
pub(crate) const fn is_posix_alignment(align: usize) -> bool {
    align.is_power_of_two() && align.is_multiple_of(size_of::<usize>())
}
