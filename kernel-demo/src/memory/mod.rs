//! Memory: from "give me a page" to a frame behind it.
//!
//! ```text
//!   kernel_break                 who asks           a break for a heap
//!  ──────────────────────────────────────────────
//!   kernel                       what happens       the kernel's address space, breaks, stacks; the account of processes
//!   fault                        the one handler    page faults, the kernel's and those of processes
//!  ──────────────────────────────────────────────
//!   objects ─► pages             what is there      shared memory; the frames behind pages, copies
//!   tables                       page tables        walk, map, visit a range
//!  ──────────────────────────────────────────────
//!   pool ─► frames               who pays           each frame is paid for by an account; buddy allocator, reservations
//!   told · image                 what happened; what the linker says of the kernel
//! ```
//!
//! What *should* be in memory is decided in the [`address_space`](crate::address_space), which
//! knows nothing of this room. Rules of this room:
//!
//! 1. Everything is policy in safe code, tested on the host, except `tables`, `pages`, `kernel` and
//!    `kernel_break`, which need `unsafe` to reach frames and to hand out addresses.
//! 2. There is one lock, around the one memory manager ([`with`]). Code that holds it touches only
//!    memory that is mapped: the manager's own fields, frames through the map of all physical
//!    memory, and of the kernel's heap what was written to before (the areas and objects of
//!    processes). So it cannot fault, and the page fault handler can always take the lock; if it
//!    cannot, the fault came from in here and is reported as that.
//! 3. Lock order: the kernel's lock, a heap's, then the memory manager's, then the serial port's. A
//!    heap calls its break with its own lock held; the manager never calls a heap; printing takes
//!    no other lock and never allocates. So make room in a list before you lock the manager, copy
//!    what you want to print out of it first, and do the rest with the manager unlocked.
//! 4. A lock knows which CPU has it. One that this CPU has is held by the code that was interrupted
//!    by a fault, and waiting for it would never end; another CPU will let go of it soon.
//!    Interrupts are disabled while a lock is held.

pub mod fault;
pub mod frames;
pub mod image;
#[cfg(not(test))]
mod instance;
pub mod kernel;
#[cfg(not(test))]
pub mod kernel_break;
pub mod objects;
pub mod pages;
#[cfg(not(test))]
mod physical_map;
pub mod pool;
pub mod report;
pub mod tables;
mod told;

pub use fault::Mapped;
pub use frames::{Counts, OutOfFrames};
#[cfg(not(test))]
pub use instance::{ProcessPages, with};
#[cfg(not(test))]
pub(crate) use instance::{install, judge, serve};
pub use kernel::{BreakId, BreakInfo, Memory};
pub use pages::Pages;
#[cfg(not(test))]
pub use physical_map::PhysicalMap;
pub use pool::Policy;
pub use report::{FaultReport, Neighbours, Registers};
pub use tables::Mmu;
pub use told::tell_areas;

pub use crate::words::{Access, PageFault, Permissions, Stop, layout};
