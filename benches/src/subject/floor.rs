//! The least a free list can do: a last-in-first-out list a class, a bump pointer when it is empty.
//!
//! It checks nothing, never merges, and never uses a class for another. An allocator that is as
//! fast does no work at all for its tightness.

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use super::Subject;

/// Classes every 16 bytes up to this size, then eight a doubling.
const LINEAR: usize = 1024;
const CLASSES: usize = LINEAR / 16 + 8 * 30;

/// One list a class; blocks aligned to more than 16 bytes have lists of their own, one a power of
/// two.
pub struct Floor {
    lists: [*mut u8; CLASSES],
    aligned: [*mut u8; usize::BITS as usize],
    next: *mut u8,
    end: *mut u8,
}

/// The class of a size, and the size of its blocks.
#[inline]
fn class(size: usize) -> (usize, usize) {
    if size <= LINEAR {
        let class = size.div_ceil(16);
        return (class, class * 16);
    }
    let shift = (size - 1).ilog2() - 3;
    let eighths = (size - 1) >> shift;
    (LINEAR / 16 + 1 + (shift as usize - 7) * 8 + eighths - 8, (eighths + 1) << shift)
}

impl Floor {
    #[inline]
    fn list(&mut self, layout: Layout) -> (&mut *mut u8, usize) {
        if layout.align() > 16 {
            let size = layout.size().max(layout.align()).next_power_of_two();
            return (&mut self.aligned[size.trailing_zeros() as usize], size);
        }
        let (class, size) = class(layout.size());
        (&mut self.lists[class], size)
    }

    #[cold]
    fn bump(&mut self, size: usize, align: usize) -> *mut u8 {
        let start = self.next.wrapping_add(self.next.align_offset(align));
        if start > self.end || self.end.addr() - start.addr() < size {
            return null_mut();
        }
        self.next = start.wrapping_add(size);
        start
    }
}

// SAFETY: a block is in one list, or live, or not yet handed out; `class` never returns less than
// the size.
unsafe impl Subject for Floor {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        let base = region.cast::<u8>().as_ptr();
        Self {
            lists: [null_mut(); CLASSES],
            aligned: [null_mut(); usize::BITS as usize],
            next: base,
            end: base.wrapping_add(region.len()),
        }
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let (list, size) = self.list(layout);
        let block = *list;
        if block.is_null() {
            return self.bump(size, layout.align().max(16));
        }
        // SAFETY: a block in a list starts with the address of the next.
        *list = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        let (list, _) = self.list(layout);
        // SAFETY: a block has 16 bytes at least, and is free from now on.
        unsafe { block.cast::<*mut u8>().write(*list) };
        *list = block;
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= 16 && class(layout.size()).0 == class(new_size).0 {
            return block;
        }
        // SAFETY: the caller's promise.
        unsafe { super::move_block(self, block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_sizes_and_wastes_an_eighth_at_most() {
        let mut before = (0, 0);
        for size in 1..1 << 20 {
            let (number, holds) = class(size);
            assert!(holds >= size && holds - size < 16.max(size.div_ceil(8)), "{size} in {holds}");
            assert!(
                number == before.0 && holds == before.1
                    || number == before.0 + 1 && holds > before.1,
                "{size}"
            );
            before = (number, holds);
        }
        assert!(class(1 << 36).0 < CLASSES);
    }
}
