//! A heap over one fixed region, whose blocks are recognised by their addresses.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::address_range::AddressRange;
use crate::atomic::AtomicUsize;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::profile::Profile;
use crate::provider::{FixedBreak, InitError, NoMap};

/// A heap behind a lock, over one region that it gets once.
///
/// # Invariants
///
/// `range` is the region of the heap's break, or not set until there is one. A block of the heap
/// exists only after it is set.
pub(crate) struct Placed<P: Profile, L> {
    range: AddressRange,
    pub(crate) heap: Locked<Heap<FixedBreak, NoMap, P>, L>,
}

// Here, because loom's atomics cannot be made at compile time: `tests/loom` compiles
// `address_range.rs`.
impl AddressRange {
    /// Returns a range that is not set.
    pub(crate) const fn empty() -> Self {
        Self { start: AtomicUsize::new(0), len: AtomicUsize::new(0) }
    }
}

impl<P: Profile, L: RawLock> Placed<P, L> {
    pub(crate) const fn empty() -> Self {
        Self { range: AddressRange::empty(), heap: Locked::empty() }
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
        self.range.set(base.addr(), len);
        Ok(())
    }

    /// Returns whether an address lies in the region.
    #[inline]
    pub(crate) fn contains(&self, block: NonNull<u8>) -> bool {
        self.range.contains(block.addr().get())
    }

    /// See [`Heap::allocate`]; `None` before the region is set.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    pub(crate) unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        if !self.range.is_set() {
            return None;
        }
        // SAFETY: the caller keeps the heap alive.
        unsafe { self.heap.allocate(layout) }
    }
}

impl<P: Profile, L> fmt::Debug for Placed<P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placed").field("range", &self.range).finish_non_exhaustive()
    }
}
