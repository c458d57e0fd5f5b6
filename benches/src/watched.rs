//! A break that remembers how far it ever moved.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use brkalloc::{Break, BreakError, FixedBreak};

/// Most bytes that a break of this process had granted at a time.
static MOST_GRANTED: AtomicUsize = AtomicUsize::new(0);

/// Returns the most bytes that a break had granted at a time since the last call. A process
/// measures one heap at a time.
#[must_use]
pub fn take_most_granted() -> usize {
    MOST_GRANTED.swap(0, Relaxed)
}

/// [`FixedBreak`] that notes its highest position.
#[derive(Debug)]
pub struct WatchedBreak(pub FixedBreak);

// SAFETY: what `FixedBreak` guarantees: each method calls its method of the same name.
unsafe impl Break for WatchedBreak {
    const ZEROED: bool = FixedBreak::ZEROED;

    fn granule(&self) -> usize {
        self.0.granule()
    }

    fn end(&self) -> *mut u8 {
        self.0.end()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let grown = self.0.grow(by)?;
        MOST_GRANTED.fetch_max(self.0.len() - self.0.remaining(), Relaxed);
        Ok(grown)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.0.shrink(by) }
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::Layout;

    use super::*;
    use crate::memory::{Pages, region};

    #[test]
    fn the_break_remembers_its_highest_position() {
        let region = region(16 << 20, Pages::OnTouch).unwrap();
        // SAFETY: a fresh region, never given back.
        let brk = unsafe { FixedBreak::from_raw(region.cast().as_ptr(), region.len()) };
        let mut heap = brkalloc::Heap::new(WatchedBreak(brk));
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        // SAFETY: the heap outlives the block, which is freed once, with its layout.
        unsafe {
            let block = heap.allocate(layout).unwrap();
            heap.deallocate(block, layout);
        }
        let most = take_most_granted();
        assert!(((1 << 20)..(2 << 20)).contains(&most), "{most}");
        assert_eq!(take_most_granted(), 0);
    }
}
