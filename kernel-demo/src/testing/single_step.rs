//! A handler after every instruction: the processor's trap flag, and the debug trap that it causes.
//!
//! ```text
//!   run: instruction ─► debug trap ─► handler ─► instruction ─► debug trap ─► handler ─► …
//! ```
//!
//! The processor clears the flag on its way into a handler, and sets it again on its way back:
//! handlers, and those of page faults, run at a stretch.

#![allow(unsafe_code)]

use core::arch::asm;

use spin::Mutex;

/// What comes after every instruction.
static HANDLER: Mutex<Option<fn()>> = Mutex::new(None);

/// Calls `handler` after every instruction of `run`. It may not lock what `run` may have locked.
pub fn single_step<R>(handler: fn(), run: impl FnOnce() -> R) -> R {
    *HANDLER.lock() = Some(handler);
    // SAFETY: changes the trap flag only; for the trap there is a handler.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let answer = run();
    // SAFETY: changes the trap flag only.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
    *HANDLER.lock() = None;
    answer
}

/// The debug trap. True if somebody is single-stepped.
pub(crate) fn trapped() -> bool {
    // Nobody is stepped while the handler is set.
    let Some(handler) = *HANDLER.lock() else { return false };
    handler();
    true
}
