//! A heap for kernels, firmware and bare metal: it asks its system for nothing but a *break*, the
//! end of a region of memory that moves up and down.
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
//! # Which type to take
//!
//! | CPUs and interrupt handlers | heap and lock |
//! |---|---|
//! | one CPU; handlers do not allocate | [`LockedHeap`] |
//! | a microcontroller whose handlers allocate | `CriticalHeap` (feature `critical-section`) |
//! | a kernel whose handlers allocate | [`Locked`] with [`MaskInterrupts`], and [`X86_64Interrupts`], [`Aarch64Interrupts`], … |
//! | several CPUs, or threads | [`ArenaHeap`] with a [`Cpu`] |
//! | a Linux program with std | `LinuxHeap` (feature `linux`) |
//! | one owner, and no lock | [`Heap`] |
//!
//! | memory for the heap | profile |
//! |---|---|
//! | up to 64 KiB | [`Small`]: `LockedHeap<B, NoMap, Small>`, [`SmallHeap`] |
//! | more | [`Usual`], the default |
//! | any, while you look for a bug | [`Checked`]: [`CheckedHeap`] |
//!
//! | where the memory is | break |
//! |---|---|
//! | in a static array | [`FixedBreak`] |
//! | found at boot | [`LockedHeap::empty`](Locked::empty), [`init`](Locked::init), `add_region` |
//! | behind page tables | `PagedBreak` (feature `x86_64`), or a [`Break`] of your own |
//! | in pages from anywhere | [`Segments`] and [`SegmentBreak`]; `UefiPages` (feature `uefi`) |
//! | a module's linear memory | `WasmBreak` (feature `wasm`) |
//! | mappings, for large blocks | a [`Map`] beside it: [`with_map`](Locked::with_map) |
//!
//! | wrapped around a shared heap | |
//! |---|---|
//! | errors fault at the instruction, at little cost | [`Sampled`], and [`GuardPages`] |
//! | the `n`-th request is refused | [`Failing`] |
//! | leaks, and who has the memory | [`Ledger`]: live blocks with their call sites |
//!
//! [`TaggedHeap`] has regions with tags, [`ReserveHeap`] keeps memory for callers with a token, and
//! [`SimpleHeap`] is an allocator to read in one go. `docs/PORTING.md` explains all of it as tasks.
//!
//! # How it works
//!
//! ```text
//!   GlobalAlloc · Allocator                      callers
//!  ──────────────────────────────────────────────────────────────────────────────
//!   Locked<H, L>        ArenaHeap<B, C, M, P>    sharing: a lock, or an arena per CPU
//!  ──────────────────────────────────────────────────────────────────────────────
//!   Heap<B, M, P>                                one owner; P chooses the parts:
//!    ├─ slabs          small blocks, without headers
//!    ├─ mappings       large blocks, each with one of its own
//!    └─ cells          the rest: headers, bins, a top that grows and shrinks
//!  ──────────────────────────────────────────────────────────────────────────────
//!   Break · Map · Cpu                            what your system provides
//! ```
//!
//! # Features
//!
//! Features only add providers and trait implementations. None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `critical-section` | `CriticalHeap`: the program's critical section as lock |
//! | `x86_64` | `PagedBreak`, over page tables of the crate x86_64 |
//! | `linux` | `LinuxHeap`: memory and threads of a program with std |
//! | `wasm` | `WasmBreak` |
//! | `uefi` | `UefiPages` (needs the Rust version that the crate uefi needs) |
//! | `lock_api` | every `RawMutex` of that crate as a [`RawLock`] |
//! | `allocator-api2`, `…-03`, `…-04` | `Allocator` 0.2, 0.3, 0.4 for references to shared heaps |
//!
//! No feature needs an unstable compiler. With `RUSTFLAGS="--cfg brkalloc_nightly"` and a nightly
//! compiler, a reference to a shared heap is a `core::alloc::Allocator`, too.
//!
//! # Promises
//!
//! 1. Nothing panics for want of memory or because of a caller's request: out of memory is `None`,
//!    null or an `Err`, and leaves the heap as it was. (In a [`CheckedHeap`] a caller's mistake is
//!    a panic, unless a hook decides otherwise.)
//! 2. A request is refused only when the heap holds back no unused memory. A heap without live
//!    blocks grants every request that a fresh heap grants.
//! 3. The heap calls its provider with the heap locked; the provider must not allocate from it.
//!    [`Heap::try_allocate`] never calls it.
//! 4. Foreign code may move the break up. If it takes memory of the heap, the heap stops and says
//!    so.
//! 5. Every invariant has a checker: [`Heap::check`].

#![no_std]
#![cfg_attr(brkalloc_nightly, feature(allocator_api))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

mod address_range;
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
mod failing;
mod global;
mod heap;
mod inspect;
mod large;
mod layer;
mod ledger;
mod link_copy;
mod lock;
mod locked;
mod mapped;
mod misuse;
mod placed;
#[deny(unsafe_code)]
mod profile;
mod provider;
#[deny(unsafe_code)]
mod quota;
mod raw_heap;
#[deny(unsafe_code)]
mod request;
mod reserve;
mod sampled;
mod sealed;
mod segments;
mod shared_heap;
mod simple;
#[deny(unsafe_code)]
mod size_class;
#[deny(unsafe_code)]
mod slab_tuning;
mod slabs;
mod space;
mod tagged;
mod texts;
mod trace;
mod unchecked;

#[cfg(all(feature = "linux", target_os = "linux"))]
pub use arena::LinuxHeap;
pub use arena::{ArenaHeap, ArenaStats, Exclusive};
pub use check::{Corruption, Rule};
pub use chunks::Trim;
pub use failing::Failing;
pub use heap::{CheckedHeap, Heap, PlainHeap, SmallHeap};
pub use inspect::{CellInfo, CellState, Cells, Picture, Stats};
pub use ledger::{Ledger, LiveBlock, LiveSite};
#[cfg(feature = "critical-section")]
pub use lock::CriticalSection;
pub use lock::{
    Aarch64Interrupts, AnyOrder, CortexMInterrupts, Interrupts, MaskInterrupts, RawLock,
    RiscvMachineInterrupts, RiscvSupervisorInterrupts, Spin, X86_64Interrupts,
};
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
    Break, BreakError, Cpu, FixedBreak, GuardPages, InitError, LateBreak, Map, MapError, NoMap,
    SegmentBreak, Segments, SingleCpu,
};
#[cfg(all(feature = "linux", target_os = "linux"))]
pub use provider::{LinuxBreak, LinuxMap, LinuxThreads};
#[cfg(all(feature = "x86_64", target_pointer_width = "64"))]
pub use provider::{PagedBreak, RecycledFrames};
pub use raw_heap::RawHeap;
pub use reserve::{ReserveHeap, ReserveToken};
pub use sampled::{SampleReport, Sampled, SampledMisuse};
pub use shared_heap::SharedHeap;
pub use simple::SimpleHeap;
pub use space::RegionError;
pub use tagged::TaggedHeap;
pub use trace::{CallSites, NoSites, Trace};
pub use unchecked::OutOfMemoryHook;

/// Items that only this project's own libraries need: they may change with any version.
#[doc(hidden)]
pub mod inner {
    pub use crate::arena::ArenaHooks;
    pub use crate::profile::Miniature;
    pub use crate::provider::{SlotWord, Slots, Source};
    pub use crate::sampled::SampledHooks;
}

/// The examples of the documents, compiled and run as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/PORTING.md")]
    struct Porting;

    /// One of its examples is a program of Linux.
    #[cfg(all(feature = "linux", target_os = "linux"))]
    #[doc = include_str!("../README.md")]
    struct Readme;
}
