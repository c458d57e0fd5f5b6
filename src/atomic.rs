//! Atomics that can be exchanged: the processor's, or, where it cannot (Cortex-M0, RISC-V without
//! `A`), those of a crate that takes a critical section for an exchange, and for nothing else.

#[cfg(target_has_atomic = "ptr")]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
#[cfg(not(target_has_atomic = "ptr"))]
pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
