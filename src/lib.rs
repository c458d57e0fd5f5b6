//! A heap for kernels and bare metal: cells with headers on free lists, fed by a *break* that grows and shrinks.
//!
//! ```text
//!   GlobalAlloc · Allocator              who asks            allocator_api.rs (feature `allocator-api2`)
//!  ──────────────────────────────────────────────────────────────────────
//!   Locked<H>          ArenaHeap<B, C>   how callers share     locked.rs  lock/  arena/
//!  ──────────────────────────────────────────────────────────────────────
//!   Heap<B>            SimpleHeap<B>     the heap itself       heap/   simple.rs
//!    front cache · runs                                        small/
//!    cells · bins · top                                        cell/
//!  ──────────────────────────────────────────────────────────────────────
//!   Break · Map · Cpu                    what it needs         provider/
//!    FixedBreak | a kernel's | a process's
//! ```
//!
//! The one requirement is a [`Break`]: somebody who can move the end of a region of memory up and down. A static array will do
//! ([`FixedBreak`]); a kernel whose pages appear on first touch is what the crate was made for.
//!
//! # Rules of the crate
//!
//! 1. A layer names only the layers below it. Raw memory access is in `cell` and `small`, and in `simple`, which is a layer to itself.
//! 2. Nothing here panics for want of memory or because of a caller's request: out of memory is `None`, null or an `Err`, and
//!    leaves the heap as it was. (With the feature `checked`, a caller's mistake is a panic, unless a hook decides otherwise.)
//! 3. The provider is called with the heap locked; it must not allocate from it. [`Heap::try_allocate`] never calls it.
//! 4. A break that others move is expected. Memory that others take away stops the heap, which then says so.
//! 5. Every invariant has a checker: [`Heap::check`].

#![no_std]
#![deny(clippy::multiple_unsafe_ops_per_block)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "allocator-api2")]
mod allocator_api;
#[cfg(not(feature = "tiny"))]
mod arena;
mod cell;
mod global;
mod heap;
mod lock;
mod locked;
mod provider;
mod raw_heap;
mod simple;
#[cfg_attr(feature = "tiny", path = "small/none.rs")]
mod small;

#[cfg(not(feature = "tiny"))]
pub use arena::{ArenaHeap, ArenaStats, Quiet};
#[cfg(not(feature = "tiny"))]
pub use heap::RegionError;
pub use heap::{CellInfo, CellState, Cells, Corruption, Heap, MapThreshold, Picture, Rule, Stats, Trim};
#[cfg(feature = "checked")]
pub use heap::{Decision, Misuse, MisuseHook, MisuseKind};
pub use lock::{Interrupts, MaskInterrupts, RawLock, Spin};
pub use locked::{Locked, LockedHeap};
pub use provider::{Break, BreakError, FixedBreak, Map, MapError, NoMap};
#[cfg(not(feature = "tiny"))]
pub use provider::{Cpu, SingleCpu, SlotWord};
pub use raw_heap::RawHeap;
pub use simple::SimpleHeap;

#[cfg(all(feature = "checked", feature = "tiny"))]
compile_error!("the features `checked` and `tiny` exclude each other: what finds mistakes takes code, and bytes of every block");

/// The profile for small targets: fewer size classes, and no code that only makes things faster.
const TINY: bool = cfg!(feature = "tiny");

/// The examples of the documents, compiled and run as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/PORTING.md")]
    struct Porting;

    #[doc = include_str!("../README.md")]
    struct Readme;
}
