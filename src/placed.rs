//! A heap over one fixed region, whose blocks are recognised by their addresses.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::heap::Heap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::profile::Profile;
use crate::provider::{FixedBreak, InitError, NoMap};

/// A heap behind a lock, over one region that it gets once.
///
/// # Invariants
///
/// `[start, start + len)` is the region of the heap's break, or empty until there is one. A block
/// of the heap exists only after both are written.
pub(crate) struct Placed<P: Profile, L> {
    start: AtomicUsize,
    len: AtomicUsize,
    pub(crate) heap: Locked<Heap<FixedBreak, NoMap, P>, L>,
}

impl<P: Profile, L: RawLock> Placed<P, L> {
    pub(crate) const fn empty() -> Self {
        Self { start: AtomicUsize::new(0), len: AtomicUsize::new(0), heap: Locked::empty() }
    }

    /// Sets the region.
    ///
    /// # Errors
    ///
    /// As for [`Locked::init`].
    ///
    /// # Safety
    ///
    /// As for [`Locked::init`].
    pub(crate) unsafe fn init(&self, base: *mut u8, len: usize) -> Result<(), InitError> {
        // SAFETY: the caller upholds the clauses of `Locked::init` for this region.
        unsafe { self.heap.init(base, len) }?;
        self.start.store(base.addr(), Ordering::Relaxed);
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    /// Returns whether an address lies in the region.
    #[inline]
    pub(crate) fn contains(&self, block: NonNull<u8>) -> bool {
        // A caller that has a block of the region knows that it is set; for other addresses an old
        // length gives the same answer.
        let len = self.len.load(Ordering::Acquire);
        block.addr().get().wrapping_sub(self.start.load(Ordering::Relaxed)) < len
    }

    /// See [`Heap::allocate`]; `None` before the region is set.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    pub(crate) unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        // SAFETY: the caller keeps the heap alive.
        unsafe { self.heap.allocate(layout) }
    }
}

impl<P: Profile, L> fmt::Debug for Placed<P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placed")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
