//! Provider traits: what the heap needs from a kernel or a process.
//!
//! ```text
//!            Heap, SimpleHeap          ask:  "move the end of my memory"
//!                   │
//!                 Break                this trait    (Map: whole mappings beside it)
//!        ┌──────────┼───────────────┐
//!   FixedBreak   a kernel's break   a process's brk
//!        └── LateBreak: unset at first, set once        late.rs
//! ```
//!
//! A break hands out *addresses* by moving one end up and down, as `sbrk` does. The provider
//! decides whether it backs them at once, or page by page on first touch. A provider of whole
//! mappings ([`Map`]) is optional; [`NoMap`] stands for none. The heap has three rules for
//! providers:
//!
//! 1. The heap calls its provider with the heap's lock held, so the provider must not allocate from
//!    that heap.
//! 2. A grant belongs to the heap until [`Break::shrink`] gives it back.
//! 3. Other code may move the same break between two calls. The heap finds out from the address of
//!    the next grant.

mod cpu;
mod fixed;
mod guard_pages;
mod late;
#[cfg(all(feature = "linux", target_os = "linux"))]
mod linux;
mod map;
#[cfg(all(feature = "x86_64", target_pointer_width = "64"))]
mod paged;
mod segments;
mod slots;
mod source;
#[cfg(feature = "uefi")]
mod uefi;
#[cfg(feature = "wasm")]
mod wasm;
mod word;

pub use cpu::{Cpu, SingleCpu};
pub use fixed::{FixedBreak, InitError};
pub use guard_pages::GuardPages;
pub use late::LateBreak;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub use linux::{LinuxBreak, LinuxMap, LinuxThreads};
pub use map::{Map, MapError, NoMap};
#[cfg(all(feature = "x86_64", target_pointer_width = "64"))]
pub use paged::{PagedBreak, RecycledFrames};
pub use segments::{SegmentBreak, Segments};
pub use slots::Slots;
pub use source::Source;
#[cfg(feature = "uefi")]
pub use uefi::UefiPages;
#[cfg(feature = "wasm")]
pub use wasm::WasmBreak;
pub(crate) use word::Hold;
pub use word::SlotWord;

use core::ptr::NonNull;

use crate::texts::texts;

/// Moves the end of one region of memory, as `sbrk` does.
///
/// An `Option` of a break is a break, too: `None` grants nothing (see [`LateBreak`]).
///
/// A break over a range of addresses, whose pages `map` and `unmap` back:
///
/// ```
/// use brkalloc::{Break, BreakError, Heap};
/// use core::ptr::NonNull;
/// # mod vm {
/// #     //! Stands in for a kernel's page tables: all pages are there already.
/// #     pub const PAGE: usize = 4096;
/// #     pub fn map(_page: *mut u8) -> bool { true }
/// #     pub fn unmap(_page: *mut u8) {}
/// # }
///
/// struct KernelBreak {
///     start: *mut u8,
///     len: usize,
///     used: usize,
/// }
///
/// // SAFETY: grants are disjoint parts of `[start, start + len)`, which nothing else uses. They are
/// // mapped before they are returned, and after an error no page is mapped that was not before.
/// unsafe impl Break for KernelBreak {
///     const ZEROED: bool = false; // `map` does not clear pages
///
///     fn granule(&self) -> usize {
///         vm::PAGE
///     }
///
///     fn end(&self) -> *mut u8 {
///         self.start.wrapping_add(self.used)
///     }
///
///     fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
///         let used = self.used.checked_add(by).filter(|&used| used <= self.len);
///         let used = used.ok_or(BreakError::OutOfAddresses)?;
///         let granted = NonNull::new(self.end()).ok_or(BreakError::OutOfAddresses)?;
///         let pages = self.used.div_ceil(vm::PAGE)..used.div_ceil(vm::PAGE);
///         for page in pages.clone() {
///             if !vm::map(self.start.wrapping_add(page * vm::PAGE)) {
///                 (pages.start..page)
///                     .for_each(|page| vm::unmap(self.start.wrapping_add(page * vm::PAGE)));
///                 return Err(BreakError::OutOfMemory);
///             }
///         }
///         self.used = used;
///         Ok(NonNull::slice_from_raw_parts(granted, by))
///     }
///
///     unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
///         let used = self.used.checked_sub(by).ok_or(BreakError::OutOfAddresses)?;
///         for page in used.div_ceil(vm::PAGE)..self.used.div_ceil(vm::PAGE) {
///             vm::unmap(self.start.wrapping_add(page * vm::PAGE));
///         }
///         self.used = used;
///         Ok(())
///     }
/// }
///
/// # let memory = Box::leak(Box::new([0_u128; 4096]));
/// # let (start, len) = (memory.as_mut_ptr().cast(), size_of_val(memory));
/// let mut heap = Heap::new(KernelBreak { start, len, used: 0 });
/// # // SAFETY: the heap outlives the block.
/// # assert!(unsafe { heap.allocate(core::alloc::Layout::new::<[u64; 100]>()) }.is_some());
/// ```
///
/// # Time
///
/// The time bounds of a heap count each call as one step.
///
/// # Safety
///
/// The heap builds its cells in the ranges that [`grow`](Break::grow) returns. An implementer
/// guarantees:
///
/// * A granted range is readable and writable, and only the caller uses it until it is given back.
///   (A range that is backed on first touch is fine: the access succeeds when it is made.)
/// * Grants that touch are one region: a pointer into one may be moved into the next.
/// * The range does not wrap around the address space and is at most `isize::MAX` bytes long.
/// * After an `Ok` from [`shrink`](Break::shrink) exactly the top `by` bytes are gone; after an
///   `Err` from either method nothing has changed.
/// * If [`ZEROED`](Break::ZEROED) is true, every byte of a grant reads as zero until it is written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a break",
    label = "needs an implementation of `brkalloc::Break`",
    note = "`FixedBreak` is a break over a fixed region; a kernel's own break implements `Break`, \
            and is not wrapped in a reference or a box"
)]
pub unsafe trait Break {
    /// `true` if newly granted bytes read as zero.
    const ZEROED: bool;

    /// Preferred step of the break, in bytes: a power of two, such as the page size. The heap
    /// rounds its requests up to the step. If the provider refuses that, the heap asks for the
    /// exact amount.
    fn granule(&self) -> usize;

    /// Returns the break, `sbrk(0)`: the first address that is *not* granted.
    fn end(&self) -> *mut u8;

    /// Returns how many bytes the break may still grant, at most: a hint. A heap that has much
    /// ahead spends a little of it on speed. By default there is no bound.
    #[inline]
    fn remaining(&self) -> usize {
        usize::MAX
    }

    /// Moves the break up by at least `by` bytes and returns the granted range.
    ///
    /// The range starts at the old break. It may be longer than requested.
    ///
    /// # Errors
    ///
    /// Nothing was granted, and nothing has changed.
    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError>;

    /// Moves the break down by `by` bytes and takes them back. A provider may refuse.
    ///
    /// # Errors
    ///
    /// The break has not moved. The memory still belongs to the caller.
    ///
    /// # Safety
    ///
    /// The `by` bytes below [`end`](Break::end) were granted to the caller, who no longer uses
    /// them.
    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError>;
}

texts! {
    /// Cause of a break that did not move.
    pub enum BreakError;

    /// The region of the break has no addresses left (for a shrink: none below).
    OutOfAddresses = "the break's region has no addresses left in that direction",
    /// Addresses are left, but no memory to back them.
    OutOfMemory = "no memory to back a higher break",
    /// The provider does not support the operation: it cannot shrink, for example, or foreign
    /// memory is in the way.
    Refused = "the provider refused to move the break",
    /// The break was found below memory that the heap still holds: other code took it. The heap has
    /// stopped.
    MemoryTaken = "the break lies below memory that the heap holds",
}

impl core::error::Error for BreakError {}
