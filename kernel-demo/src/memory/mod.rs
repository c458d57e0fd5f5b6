//! Memory: from "give me a page" to a frame behind it.
//!
//! ```text
//!   kernel_break   stacks        who asks           a break for a heap; a stack with a guard page
//!  ──────────────────────────────────────────────
//!   manager                      what happens       moves breaks, serves page faults
//!   pages ─► charges                                the memory of a process, as its `address_space` decides; its account
//!  ──────────────────────────────────────────────
//!   fault · breaks · space       the rules          what a fault means, how a break moves, what lies where
//!  ──────────────────────────────────────────────
//!   enter ─► pool                who pays           a page is entered; each frame is paid for by an account
//!   frames · trace               physical memory    buddy allocator, reservations; what happened to them
//!   access · permissions         the words          what a fault tells, what may be done with memory
//!   tables                       page tables        map, translate, unmap a range
//!   paging · image               at boot            the kernel's own page tables replace the bootloader's
//! ```
//!
//! Rules of this room:
//!
//! 1. Everything is policy in safe code, tested on the host, except `tables`, `manager`, `stacks`,
//!    `paging`, `pages` and `kernel_break`, which need `unsafe` to reach frames and to hand out
//!    addresses.
//! 2. There is one lock, around the one memory manager ([`with`]). Code that holds it touches only
//!    the manager's own fields and frames through the map of all physical memory: memory that is
//!    always mapped. So it cannot fault, and the page fault handler can always take the lock; if it
//!    cannot, the fault came from in here and is reported as that.
//! 3. Lock order: a heap's lock, then the memory manager's, then the serial port's. A heap calls
//!    its break with its own lock held; the manager never calls a heap; printing takes no other
//!    lock and never allocates. So copy what you want to print or to keep in a vector out of the
//!    manager first, and do the rest with the manager unlocked.
//! 4. There is one processor. In the kernel interrupts stay disabled but for moments between two
//!    turns of processes, when no lock is held. A lock that is taken is held by the code that was
//!    interrupted by a fault, never by code that will let go of it soon.

pub mod access;
pub mod breaks;
pub mod charges;
mod enter;
pub mod fault;
pub mod frames;
pub mod image;
#[cfg(not(test))]
mod instance;
#[cfg(not(test))]
pub mod kernel_break;
pub mod layout;
pub mod manager;
pub mod pages;
#[cfg(not(test))]
pub mod paging;
pub mod permissions;
pub mod pool;
pub mod report;
pub mod space;
pub mod stacks;
pub mod stop;
pub mod tables;
pub mod trace;

pub use access::{Access, PageFault};
pub use breaks::{BreakId, BreakInfo, MoveError};
pub use charges::Charges;
pub use fault::Cause;
pub use frames::{Counts, OutOfFrames};
#[cfg(not(test))]
pub use instance::{ProcessPages, TheMemory, takeover, with};
#[cfg(not(test))]
pub(crate) use instance::{install, judge, serve};
pub use manager::{Memory, Reach};
pub use pages::Pages;
pub use permissions::Permissions;
pub use pool::Policy;
pub use report::{FaultReport, Registers};
pub use space::{Place, Region};
pub use stop::Stop;
