//! Atomics with exchange operations: the processor's, or, if it has none (Cortex-M0, RISC-V without
//! `A`), those of `portable_atomic`, which uses a critical section for an exchange only.

#[cfg(target_has_atomic = "ptr")]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
#[cfg(not(target_has_atomic = "ptr"))]
pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};

use core::sync::atomic::{Ordering, compiler_fence};

/// Orders a store before a load for a CPU that another one makes fence between the two: only the
/// compiler must keep the order.
#[inline(always)]
pub(crate) fn light_fence() {
    compiler_fence(Ordering::SeqCst);
}
