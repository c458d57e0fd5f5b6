//! The kernel's own heap: `brkalloc` over a break of which nothing is mapped until it is touched.
//!
//! The break is strict, so an allocation that cannot be backed fails when it is made: `try_reserve`
//! and its like return an error, everything else ends in a panic that names the size. A touch never
//! fails.

use brkalloc::{Heap, Locked, NoMap};

use crate::cpu::lock::HeapLock;
use crate::memory::kernel_break::KernelBreak;

/// The heap's profile. In the suite, a misuse of the heap by the kernel ends the case.
#[cfg(not(feature = "suite"))]
pub type Profile = brkalloc::Usual;
/// The heap's profile. In the suite, a misuse of the heap by the kernel ends the case.
#[cfg(feature = "suite")]
pub type Profile = brkalloc::Checked;

/// The global allocator.
#[global_allocator]
pub static HEAP: Locked<Heap<KernelBreak, NoMap, Profile>, HeapLock> =
    Locked::from_heap(Heap::with_profile(KernelBreak::of_kernel_heap(), NoMap));
