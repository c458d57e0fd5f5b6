//! loom's atomics in the place of core's: see `src/atomic.rs`.

pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize};
use loom::sync::atomic::{Ordering, fence};

/// The owner's half of an asymmetric fence. loom has no fence that one thread executes for another:
/// here the owner executes its own, always at the same place. The real one comes at any place
/// before the load, or after the store, that it orders; those are the two cases of `word.rs`.
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

/// The other half, which is a barrier in the heap.
pub(crate) fn barrier() {
    fence(Ordering::SeqCst);
}
