//! What a ring-3 program stands on: start-up code, system calls, printing, and brkalloc as its
//! heap.
//!
//! ```text
//!   a program:  program!(run)                                  what it shows, with claims that it checks itself
//!  ────────────────────────────────────────────────────────────
//!   start ── image, arguments        claim   child   views     coming up; helpers for those who show something
//!   print    panic    story          lock    thread
//!  ────────────────────────────────────────────────────────────
//!   provider: ProcessBreak · ProcessMap                        what brkalloc's heap needs, from the two below
//!   heap_layout                                                how others read a heap
//!   sbrk                                                       the break of this process
//!  ────────────────────────────────────────────────────────────
//!   system: io  memory  process  thread  terminal  view        system calls as functions
//! ```
//!
//! Rules of this crate:
//!
//! 1. The interface below is Linux's on x86_64: numbers, argument order, errors, the start stack. A
//!    program that keeps to it runs unchanged on Linux, which so tells what is right. The two
//!    system calls that Linux does not have fail there with `ENOSYS`.
//! 2. A program that makes threads says so: `program!(run, threads)`, or `one_lock`. It forks
//!    before the first of them, or its child uses nothing that they had. (What several processes
//!    share has a lock, too.)
//! 3. No floating point: the kernel saves no such registers.
//! 4. Nothing but a program's own code uses its heap. Printing does not.

#![no_std]

extern crate alloc;

mod arguments;
mod child;
mod claim;
mod heap_layout;
mod image;
pub mod lock;
mod panic;
mod print;
mod provider;
mod sbrk;
mod start;
mod story;
pub mod system;
pub mod thread;
pub mod views;

pub use arguments::{Arguments, Auxiliary};
pub use child::{in_child, in_child_watched};
pub use claim::{Untrue, Verdict};
pub use heap_layout::HeapLayout;
pub use lock::{Sleeping, Yielding};
pub use print::print;
pub use provider::{ProcessBreak, ProcessMap};
pub use sbrk::{sbrk, unsbrk};
pub use start::start;
pub use story::{HeapCall, Told};

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// The heap of a program, as [`program!`] makes it.
pub type ProcessHeap = brkalloc::LockedHeap<ProcessBreak, ProcessMap>;

/// The heap of a program with threads: an arena for each.
pub type ThreadsHeap =
    brkalloc::ArenaHeap<ProcessBreak, thread::ThreadSlots, ProcessMap, brkalloc::Usual, Sleeping>;

/// The heap of a program whose threads share one lock.
pub type OneLockHeap = brkalloc::Locked<brkalloc::Heap<ProcessBreak, ProcessMap>, Sleeping>;

/// The heap of a program that took the documents' simple one.
pub type SimpleProcessHeap = brkalloc::Locked<brkalloc::SimpleHeap<ProcessBreak>>;

#[doc(hidden)]
pub mod macros {
    pub use brkalloc::{ArenaHeap, Heap, Locked, LockedHeap, SimpleHeap};
}
