//! A heap for kernels and bare metal: cells with headers on free lists, fed by a *break* that grows
//! and shrinks.
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
//! The one requirement is a [`Break`]: somebody who can move the end of a region of memory up and
//! down. A static array will do ([`FixedBreak`]); a kernel whose pages appear on first touch is
//! what the crate was made for.
//!
//! ```
//! use brkalloc::{FixedBreak, LockedHeap};
//! static mut ARENA: [u8; 1 << 20] = [0; 1 << 20];
//! #[global_allocator]
//! // SAFETY: nobody else names ARENA.
//! static HEAP: LockedHeap<FixedBreak> = LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 20) });
//! # fn main() {}
//! ```
//!
//! # Where to begin
//!
//! | for | take |
//! |---|---|
//! | a global allocator | [`LockedHeap`]: a heap behind a spin lock |
//! | memory that is known at compile time, or at boot | [`FixedBreak`], or `Option<FixedBreak>`, and `add_region` for more |
//! | memory that grows and shrinks with your page tables | a [`Break`] of your own: four methods |
//! | large blocks that go back at once | a [`Map`] beside it: [`LockedHeap::with_map`] |
//! | several CPUs, or handlers that allocate | `ArenaHeap`, and a `Cpu` that says who is calling |
//! | another lock | [`Locked`] with a [`RawLock`], such as [`MaskInterrupts`] |
//! | one owner, and no lock | [`Heap`] |
//! | a microcontroller | the feature `tiny` |
//! | a caller's mistakes | the feature `checked`; for the heap's own state [`Heap::check`] |
//! | an allocator to read in one go | [`SimpleHeap`] |
//!
//! `docs/PORTING.md` goes through them one by one, with examples.
//!
//! # Features
//!
//! None is on by default.
//!
//! * `allocator-api2`: a reference to a shared heap is an `Allocator` of that crate, for
//!   collections on stable Rust
//! * `lock_api`: every `RawMutex` of that crate is a [`RawLock`]
//! * `tiny`: less state and code, without `ArenaHeap`, added regions, and what makes small blocks
//!   fast
//! * `checked`: a caller's double frees, wrong layouts, overflows and writes after free are found,
//!   and reported to a hook; not with `tiny`
//!
//! # Rules of the crate
//!
//! 1. A layer names only the layers below it. Raw memory access is in `cell` and `small`, and in
//!    `simple`, which is a layer to itself.
//! 2. Nothing here panics for want of memory or because of a caller's request: out of memory is
//!    `None`, null or an `Err`, and leaves the heap as it was. (With the feature `checked`, a
//!    caller's mistake is a panic, unless a hook decides otherwise.)
//! 3. The provider is called with the heap locked; it must not allocate from it.
//!    [`Heap::try_allocate`] never calls it.
//! 4. A break that others move is expected. Memory that others take away stops the heap, which then
//!    says so.
//! 5. Every invariant has a checker: [`Heap::check`].

#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(feature = "allocator-api2")]
mod allocator_api;
#[cfg(not(feature = "tiny"))]
mod arena;
#[cfg(not(feature = "tiny"))]
mod atomic;
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
pub use heap::{
    CellInfo, CellState, Cells, Corruption, Heap, MapThreshold, Picture, Rule, Stats, Trim,
};
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
compile_error!(
    "the features `checked` and `tiny` exclude each other: what finds mistakes takes code, and bytes of every block"
);

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
