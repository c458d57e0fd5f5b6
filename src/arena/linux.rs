//! The heap of a program with std on Linux.

use super::ArenaHeap;
use crate::provider::{LinuxBreak, LinuxMap, LinuxThreads, Map};

/// The heap for programs with std on Linux (feature `linux`): an arena for each thread, over a
/// break that grows and shrinks. [`LinuxThreads`] shows how it becomes the global allocator.
pub type LinuxHeap = ArenaHeap<LinuxBreak, LinuxThreads, LinuxMap>;

/// Minimum size of free memory whose pages go back to Linux when a thread ends, in bytes.
const UNUSED: usize = 64 << 10;

impl LinuxHeap {
    /// [Abandons](ArenaHeap::abandon) the slot of a thread that ends, and gives Linux the pages
    /// behind free memory: for [`LinuxThreads::new`].
    ///
    /// # Time
    ///
    /// That of `abandon`, and a system call for each free cell of 64 KiB or more.
    ///
    /// # Safety
    ///
    /// As for [`abandon`](ArenaHeap::abandon).
    pub unsafe fn end_of_thread(&self) {
        // SAFETY: the clause of `abandon` is this method's clause.
        unsafe { self.abandon() };
        // SAFETY: the heap passes whole pages of its break that hold no word of it. It is locked
        // meanwhile, so nothing allocates from them.
        let discard = |memory| unsafe { LinuxBreak::discard(memory) };
        self.unused_memory(LinuxMap.granule(), UNUSED, discard);
    }
}
