//! Which layout a caller of C means. Arithmetic only.
//!
//! Sizes of more than `PTRDIFF_MAX` bytes, and products that no word holds, have none.

use core::alloc::Layout;

/// Alignment of every block: that of any C type, `alignof(max_align_t)`.
pub(crate) const ALIGN: usize = 16;

/// The page size of `valloc`.
pub(crate) const PAGE: usize = 4096;

/// What `malloc` means. No bytes are a block like any other.
#[inline(always)]
pub(crate) const fn plain(size: usize) -> Option<Layout> {
    aligned(ALIGN, size)
}

/// What `calloc` and `reallocarray` mean.
#[inline(always)]
pub(crate) const fn array(count: usize, size: usize) -> Option<Layout> {
    match count.checked_mul(size) {
        Some(bytes) => plain(bytes),
        None => None,
    }
}

/// `size` bytes at a multiple of `align`, which is a power of two.
#[inline(always)]
pub(crate) const fn aligned(align: usize, size: usize) -> Option<Layout> {
    match Layout::from_size_align(size, if align < ALIGN { ALIGN } else { align }) {
        Ok(layout) => Some(layout),
        Err(_) => None,
    }
}

/// What `pvalloc` means: whole pages, one at least.
pub(crate) fn pages(size: usize) -> Option<Layout> {
    aligned(PAGE, size.max(1).checked_next_multiple_of(PAGE)?)
}

/// The alignment that `memalign` gives to who asks for this one: the next power of two, as in
/// glibc. `None`: there is none.
pub(crate) const fn alignment_of_memalign(align: usize) -> Option<usize> {
    align.checked_next_power_of_two()
}

/// Whether `posix_memalign` takes this alignment.
pub(crate) const fn is_posix_alignment(align: usize) -> bool {
    align.is_power_of_two() && align.is_multiple_of(size_of::<usize>())
}
