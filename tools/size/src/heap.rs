//! A heap of the crate's profile, on a static array; for WebAssembly on linear memory.

#[cfg(feature = "critical-section")]
use brkalloc::CriticalSection as Lock;
#[cfg(not(feature = "critical-section"))]
use brkalloc::Spin as Lock;
use brkalloc::{Heap, Locked, NoMap};

use crate::Profile;

#[cfg(not(target_arch = "wasm32"))]
mod memory {
    pub(super) use brkalloc::FixedBreak as Break;

    const SIZE: usize = 16 << 10;
    static mut ARENA: [u8; SIZE] = [0; SIZE];

    pub(super) const fn new() -> Break {
        // SAFETY: no other code names ARENA.
        unsafe { Break::from_raw((&raw mut ARENA).cast(), SIZE) }
    }
}

#[cfg(target_arch = "wasm32")]
mod memory {
    pub(super) use brkalloc::WasmBreak as Break;

    pub(super) const fn new() -> Break {
        // SAFETY: the module has no other allocator.
        unsafe { Break::new() }
    }
}

/// The state that is measured: the heap, its break and its lock.
#[unsafe(no_mangle)]
pub(crate) static HEAP: Locked<Heap<memory::Break, NoMap, Profile>, Lock> =
    Locked::from_heap(Heap::with_profile(memory::new(), NoMap));
