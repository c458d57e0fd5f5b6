//! What a ring-3 program stands on: start-up code, system calls, printing, and brkalloc as its
//! heap.
//!
//! ```text
//!   a program:  program!(run)                                  what it shows, with claims that it checks itself
//!  ────────────────────────────────────────────────────────────
//!   start ── image, arguments        claim   child   views     coming up; helpers for those who show something
//!   print    panic    story          lock
//!  ────────────────────────────────────────────────────────────
//!   provider: ProcessBreak · ProcessMap                        what brkalloc's heap needs, from the two below
//!   sbrk                                                       the break of this process
//!  ────────────────────────────────────────────────────────────
//!   system: io  memory  process  terminal  view                          system calls as functions
//! ```
//!
//! Rules of this crate:
//!
//! 1. The interface below is Linux's on x86_64: numbers, argument order, errors, the start stack. A
//!    program that keeps to it runs unchanged on Linux, which so tells what is right. The two
//!    system calls that Linux does not have fail there with `ENOSYS`.
//! 2. One thread. (Several processes may share memory; what they share has a lock.)
//! 3. No floating point: the kernel saves no such registers.
//! 4. Nothing but a program's own code uses its heap. Printing does not.

#![no_std]

extern crate alloc;

mod arguments;
mod child;
mod claim;
mod image;
mod lock;
mod panic;
mod print;
mod provider;
mod sbrk;
mod start;
mod story;
pub mod system;
pub mod views;

pub use arguments::{Arguments, Auxiliary};
pub use child::{in_child, in_child_watched};
pub use claim::{Untrue, Verdict};
pub use lock::Yielding;
pub use print::print;
pub use provider::{ProcessBreak, ProcessMap};
pub use sbrk::{sbrk, unsbrk};
pub use start::start;
pub use story::Told;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// The heap of a program, as [`program!`] makes it.
pub type ProcessHeap = brkalloc::LockedHeap<ProcessBreak, ProcessMap>;

/// The heap of a program that took the documents' simple one.
pub type SimpleProcessHeap = brkalloc::Locked<brkalloc::SimpleHeap<ProcessBreak>>;

#[doc(hidden)]
pub mod macros {
    pub use brkalloc::{Locked, LockedHeap, SimpleHeap};
}
