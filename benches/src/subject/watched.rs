//! The heap over a break that remembers how far it ever moved.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use brkalloc::{Break, BreakError, FixedBreak};

use super::brkalloc::Over;

/// The heap of the default profile over a [`WatchedBreak`].
pub type Watched = Over<brkalloc::Heap<WatchedBreak>>;

/// Most bytes that the breaks of this process had granted at a time. A process measures one heap.
static MOST_GRANTED: AtomicUsize = AtomicUsize::new(0);

/// Returns the most bytes that a heap of this process had been granted at a time.
#[must_use]
pub fn most_granted() -> usize {
    MOST_GRANTED.load(Relaxed)
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
    use crate::memory::{self, Pages};
    use crate::subject::Subject as _;

    #[test]
    fn the_break_remembers_its_highest_position() {
        let region = memory::region(16 << 20, Pages::OnTouch).unwrap();
        // SAFETY: a fresh region, never given back.
        let mut heap = unsafe { Watched::new(region) };
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        // SAFETY: the size is not 0; the block is freed once, with its layout.
        unsafe {
            let block = heap.allocate(layout);
            heap.deallocate(block, layout);
        }
        assert!(((1 << 20)..(2 << 20)).contains(&most_granted()), "{}", most_granted());
    }
}
