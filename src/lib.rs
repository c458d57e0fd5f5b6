//! A heap for kernels and bare metal: cells with headers on free lists, fed by a *break* that grows
//! and shrinks.
//!
//! ```text
//!   GlobalAlloc · Allocator                      callers        global.rs  allocator_api.rs
//!  ───────────────────────────────────────────────────────────────────────────────────────
//!   Locked<H, L>        ArenaHeap<B, C, M, P>    sharing        locked/  lock/  arena/
//!  ───────────────────────────────────────────────────────────────────────────────────────
//!   Heap<B, M, P>                                one owner      heap.rs  (SimpleHeap: simple.rs)
//!    └─ Unchecked       small or large?          choice         unchecked.rs  (checked/)
//!        ├─ layer       small blocks, or none    P chooses      slabs/  profile.rs
//!        └─ Large       blocks with a header                    large.rs
//!            ├─ Mapped<M>   mappings                            mapped.rs
//!            └─ Chunks<B>   cells, bins, top                    chunks/  bins/  cell/
//!                └─ Space<B>   regions over a break             space/
//!  ───────────────────────────────────────────────────────────────────────────────────────
//!   Break · Map · Cpu                            requirements   provider/
//! ```
//!
//! `inspect/` and `check/` look at these parts, and no part looks at them.
//!
//! The one requirement is a [`Break`]: a provider that moves the end of a region of memory up and
//! down. A static array is enough ([`FixedBreak`]); the crate is made for kernels whose pages
//! appear on first touch.
//!
//! ```
//! use brkalloc::{FixedBreak, LockedHeap};
//!
//! static mut ARENA: [u8; 1 << 20] = [0; 1 << 20];
//!
//! #[global_allocator]
//! // SAFETY: ARENA is used by this break alone.
//! static HEAP: LockedHeap<FixedBreak> =
//!     LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 20) });
//! # fn main() {}
//! ```
//!
//! # Where to begin
//!
//! | for | take |
//! |---|---|
//! | a global allocator | [`LockedHeap`]: a heap behind a spin lock |
//! | memory known at compile time | [`FixedBreak`] |
//! | memory found at boot | [`LockedHeap::empty`](Locked::empty) and [`init`](Locked::init) |
//! | more memory beside it | `add_region` |
//! | memory that grows and shrinks with page tables | a [`Break`] of your own: four methods |
//! | pages from anywhere | [`Segments`] and a [`SegmentBreak`] |
//! | large blocks that are given back at once | a [`Map`] beside it: `with_map` |
//! | several CPUs, or handlers that allocate | [`ArenaHeap`], and a [`Cpu`] |
//! | another lock | [`Locked`] with a [`RawLock`], such as [`MaskInterrupts`] |
//! | one owner, and no lock | [`Heap`] |
//! | a microcontroller | [`SmallHeap`] |
//! | a caller's mistakes | [`CheckedHeap`]; for the heap's own state [`Heap::check`] |
//! | an allocator to read in one go | [`SimpleHeap`] |
//!
//! `docs/PORTING.md` explains them one by one, with examples.
//!
//! # Features
//!
//! Features only add providers and trait implementations. None is on by default.
//!
//! * `allocator-api2`, `allocator-api2-03`, `allocator-api2-04`: a reference to a shared heap is an
//!   `Allocator` of version 0.2, 0.3 or 0.4 of that crate, for collections on stable Rust; the
//!   features can be on together
//! * `lock_api`: every `RawMutex` of that crate is a [`RawLock`]
//!
//! No feature needs an unstable compiler. With `RUSTFLAGS="--cfg brkalloc_nightly"` and a nightly
//! compiler, a reference to a shared heap is a `core::alloc::Allocator`, too.
//!
//! # Rules of the crate
//!
//! 1. A file names only files below it. Raw memory access is in `cell`, `slabs` and `segments`, and in `simple`,
//!    which is a layer to itself.
//! 2. Nothing panics for want of memory or because of a caller's request: out of memory is `None`,
//!    null or an `Err`, and leaves the heap as it was. (In a [`CheckedHeap`] a caller's mistake is a
//!    panic, unless a hook decides otherwise.)
//! 3. A request is refused only when the heap holds back no unused memory. A heap without live
//!    blocks grants every request that a fresh heap grants.
//! 4. The heap calls its provider with the heap locked; the provider must not allocate from it.
//!    [`Heap::try_allocate`] never calls it.
//! 5. Foreign code may move the break up. If it takes memory of the heap, the heap stops and says
//!    so.
//! 6. Every invariant has a checker: [`Heap::check`].

#![no_std]
#![cfg_attr(brkalloc_nightly, feature(allocator_api))]

#[cfg(test)]
extern crate std;

#[cfg(any(
    feature = "allocator-api2",
    feature = "allocator-api2-03",
    feature = "allocator-api2-04",
    brkalloc_nightly
))]
mod allocator_api;
mod arena;
mod atomic;
mod bins;
mod cell;
mod check;
mod checked;
mod checks;
mod chunks;
mod global;
mod heap;
mod inspect;
mod large;
mod layer;
mod link_copy;
mod lock;
mod locked;
mod mapped;
mod misuse;
#[deny(unsafe_code)]
mod profile;
mod provider;
mod raw_heap;
#[deny(unsafe_code)]
mod request;
mod sealed;
mod segments;
mod simple;
#[deny(unsafe_code)]
mod size_class;
#[deny(unsafe_code)]
mod slab_tuning;
mod slabs;
mod space;
mod unchecked;

#[cfg(all(feature = "linux", target_os = "linux"))]
pub use arena::LinuxHeap;
pub use arena::{ArenaHeap, ArenaStats, Exclusive};
pub use check::{Corruption, Rule};
pub use chunks::Trim;
pub use heap::{CheckedHeap, Heap, PlainHeap, SmallHeap};
pub use inspect::{CellInfo, CellState, Cells, Picture, Stats};
#[cfg(any(doc, target_arch = "aarch64"))]
pub use lock::Aarch64Interrupts;
#[cfg(any(doc, all(target_arch = "arm", target_feature = "mclass")))]
pub use lock::CortexMInterrupts;
#[cfg(feature = "critical-section")]
pub use lock::CriticalSection;
#[cfg(any(doc, target_arch = "x86_64"))]
pub use lock::X86_64Interrupts;
pub use lock::{AnyOrder, Interrupts, MaskInterrupts, RawLock, Spin};
#[cfg(any(doc, target_arch = "riscv32", target_arch = "riscv64"))]
pub use lock::{RiscvMachineInterrupts, RiscvSupervisorInterrupts};
#[cfg(feature = "critical-section")]
pub use locked::CriticalHeap;
pub use locked::{HeapGuard, HeapMutGuard, Locked, LockedHeap};
pub use mapped::MapThreshold;
pub use misuse::{Misuse, MisuseHook, MisuseKind, MisuseResponse};
pub use profile::{Checked, Plain, Profile, Small, Usual};
#[cfg(feature = "uefi")]
pub use provider::UefiPages;
#[cfg(feature = "wasm")]
pub use provider::WasmBreak;
pub use provider::{
    Break, BreakError, Cpu, FixedBreak, InitError, LateBreak, Map, MapError, NoMap, SegmentBreak,
    Segments, SingleCpu,
};
#[cfg(all(feature = "linux", target_os = "linux"))]
pub use provider::{LinuxBreak, LinuxMap, LinuxThreads};
#[cfg(feature = "x86_64")]
pub use provider::{PagedBreak, RecycledFrames};
pub use raw_heap::RawHeap;
pub use simple::SimpleHeap;
pub use space::RegionError;
pub use unchecked::OutOfMemoryHook;

/// Items that only this project's own libraries need: they may change with any version.
#[doc(hidden)]
pub mod inner {
    pub use crate::arena::ArenaHooks;
    pub use crate::profile::Miniature;
    pub use crate::provider::{SlotWord, Slots, Source};
}

/// The examples of the documents, compiled and run as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/PORTING.md")]
    struct Porting;

    #[doc = include_str!("../README.md")]
    struct Readme;
}
