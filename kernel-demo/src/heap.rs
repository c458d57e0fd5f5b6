//! The kernel's own heap: `brkalloc` over a break of which nothing is mapped until it is touched.
//!
//! The break is strict, so an allocation that cannot be backed fails when it is made: `try_reserve`
//! and its like return an error, everything else ends in a panic that names the size. A touch never
//! fails.

use brkalloc::LockedHeap;

use crate::memory::kernel_break::KernelBreak;

/// The global allocator.
#[global_allocator]
pub static HEAP: LockedHeap<KernelBreak> = LockedHeap::new(KernelBreak::kernel_heap());
