//! What a process's memory is: a list of areas, a break, limits and counters. Nothing here touches
//! a page table or a frame.
//!
//! ```text
//!   brk   mmap   munmap   mprotect   mremap        fault          fork · destroy     maps · smaps · status
//!    │      │       │         │         │            │                 │                      │
//!  ──┴──────┴───────┴─────────┴─────────┴────────────┴─────────────────┴──────────────────────┴───
//!   AddressSpace   areas (list, vma) · the break's fields · Layout · Limits · Counters
//!  ─────────────────────────────────┬───────────────────────────────────────┬──────────────────────
//!                          PageTables: what is mapped             Commit: what was promised
//! ```
//!
//! Rules of this room:
//!
//! 1. A call that fails has changed nothing: not the areas, not the page tables, not the account.
//!    All that can fail (room in the list, the account) is asked first.
//! 2. Checks, their order and their error numbers are Linux's. Where this kernel is stricter, the
//!    method says so.
//! 3. What is promised is charged when it is promised: pages, and the page tables that cover them.
//!    A touch charges only for a stack that grows.
//! 4. The work of one call is bounded. A call that is not done returns [`Errno::ERESTART`], and
//!    goes on when it is made again with the same arguments.
//! 5. No memory is writable and executable at once.
//! 6. A page that is mapped lies in an area. The reverse is what page faults are for:
//!    [`AddressSpace::fault`] decides each.

#![deny(unsafe_code)]

mod account;
mod brk;
mod check;
mod cover;
mod errno;
mod fault;
mod fork;
mod layout;
mod list;
mod mmap;
mod mprotect;
mod mremap;
mod munmap;
mod totals;
mod views;
mod vma;
mod within;

pub use account::{Commit, PageTables};
pub use errno::Errno;
pub use fault::{Cause, Counters, Decision, PageState};
pub use layout::{GUARD_GAP, Layout, MIN_ADDRESS, USER_END};
pub use mmap::{MapFlags, MapRequest};
pub use mremap::{RemapFlags, RemapRequest};
pub use totals::Totals;
pub use views::{Figures, Resident};
pub use vma::{Charge, Kind, Name, ObjectId, Sharing, Vma};

use crate::memory::Permissions;
use crate::memory::layout::PAGE_SIZE;
use list::VmaList;

/// The most a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of data: the program's own and the heap together (`RLIMIT_DATA` at `brk`), and all
    /// private writable memory.
    pub data: u64,
    /// Bytes of a stack.
    pub stack: u64,
    /// Areas.
    pub areas: usize,
}

impl Default for Limits {
    /// Any amount of data, a stack of 8 MiB, 1024 areas: one change of a full list moves 100 KiB at
    /// most.
    fn default() -> Self {
        Self { data: u64::MAX, stack: 8 << 20, areas: 1024 }
    }
}

/// The address space of a process. Dropping one loses what is charged for it for good, so give it
/// up with [`destroy`](Self::destroy).
///
/// # Invariants
///
/// * All areas lie in `[MIN_ADDRESS, USER_END)`, and none is writable and executable.
/// * `start_brk ≤ brk ≤ highest_brk`, and above the page of `brk` the break has put nothing.
/// * `charged()` frames are charged to the account that the calls were given.
#[derive(Debug)]
pub struct AddressSpace {
    vmas: VmaList,
    layout: Layout,
    limits: Limits,
    brk: u64,
    highest_brk: u64,
    image_data: u64,
    most_pages: u64,
    counters: Counters,
}

impl AddressSpace {
    /// An address space with nothing in it, and the break at its start.
    pub const fn new(layout: Layout, limits: Limits) -> Self {
        let (brk, counters) = (layout.start_brk, Counters::NONE);
        let vmas = VmaList::new(limits.areas);
        Self { vmas, layout, limits, brk, highest_brk: brk, image_data: 0, most_pages: 0, counters }
    }

    /// Enters a part of the program, for the loader.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is empty, not page-aligned, or outside user memory; `EACCES` when it would
    /// be writable and executable; `EEXIST` when something is there; `ENOMEM` when there is no
    /// room in the list, or the account refuses.
    pub fn insert_image(&mut self, vma: Vma, commit: &mut impl Commit) -> Result<(), Errno> {
        self.insert_new(vma, commit)?;
        if vma.is_data() {
            self.image_data += vma.len();
        }
        Ok(())
    }

    /// Enters a stack of so many bytes (rounded up to pages) that ends at the layout's `stack_top`.
    ///
    /// # Errors
    ///
    /// As [`insert_image`](Self::insert_image).
    pub fn insert_stack(&mut self, len: u64, commit: &mut impl Commit) -> Result<(), Errno> {
        let end = self.layout.stack_top;
        let start = round_up(len).and_then(|len| end.checked_sub(len)).ok_or(Errno::EINVAL)?;
        self.insert_new(
            Vma::private(start, end, Permissions::READ | Permissions::WRITE, Kind::Stack),
            commit,
        )
    }

    fn insert_new(&mut self, vma: Vma, commit: &mut impl Commit) -> Result<(), Errno> {
        let aligned = (vma.start | vma.end).is_multiple_of(PAGE_SIZE);
        if !aligned || vma.start >= vma.end || vma.start < MIN_ADDRESS || vma.end > USER_END {
            return Err(Errno::EINVAL);
        }
        if !may_be(vma.permissions) {
            return Err(Errno::EACCES);
        }
        if !self.vmas.overlapping(vma.start, vma.end).is_empty() {
            return Err(Errno::EEXIST);
        }
        self.enter(vma, commit)
    }

    /// Bytes of the kernel's heap that a call may take for the areas that it adds.
    pub const fn growth(&self) -> Option<usize> {
        self.vmas.growth()
    }

    /// All areas, from low to high.
    pub fn vmas(&self) -> &[Vma] {
        self.vmas.as_slice()
    }

    /// The area that holds the address. Logarithmic.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.vmas.find(address)
    }

    /// The first area that ends above the address.
    pub fn first_from(&self, address: u64) -> Option<&Vma> {
        self.vmas().get(self.vmas.after(address))
    }

    /// The area that holds the address or lies nearest to it; of two that are equally near, the
    /// lower.
    pub fn nearest(&self, address: u64) -> Option<&Vma> {
        let below = self.vmas.below(address).map(|vma| (address - (vma.end - 1), vma));
        let above = self.vmas.above(address).map(|vma| (vma.start - address, vma));
        let nearest = [below, above].into_iter().flatten().min_by_key(|(distance, _)| *distance);
        self.find(address).or(nearest.map(|(_, vma)| vma))
    }

    /// Where the break stands.
    pub const fn current_brk(&self) -> u64 {
        self.brk
    }

    /// Where the parts lie.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The most it may have.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Frames that are charged for it.
    pub const fn charged(&self) -> u64 {
        self.vmas.charged()
    }

    /// Sums over all areas, in pages.
    pub const fn totals(&self) -> Totals {
        self.vmas.totals()
    }

    /// Page faults served so far, by what they took.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Enters an area where nothing is, or says why not: the list, the account.
    fn enter(&mut self, vma: Vma, commit: &mut impl Commit) -> Result<(), Errno> {
        self.enter_at(self.vmas.after(vma.start), vma, commit)
    }

    /// The same, for who knows its place in the list.
    fn enter_at(&mut self, at: usize, vma: Vma, commit: &mut impl Commit) -> Result<(), Errno> {
        self.vmas.reserve(1)?;
        let tables = if vma.has_tables() { self.vmas.tables_for(at, &vma) } else { 0 };
        let pages = if vma.charge == Charge::Pages { vma.pages() } else { 0 };
        commit.charge(pages + tables)?;
        self.vmas.insert_at(at, vma, tables);
        self.note_most();
        Ok(())
    }

    /// Notes how many pages there are, if there never were as many.
    fn note_most(&mut self) {
        self.most_pages = self.most_pages.max(self.vmas.totals().pages);
    }

    /// Whether the data limit allows `more` pages of data when `less` go.
    const fn data_may_change(&self, less: u64, more: u64) -> bool {
        more <= less || self.vmas.totals().data - less + more <= self.limits.data / PAGE_SIZE
    }

    /// Whether nothing lies in `[start, end)`, nor within the guard gap of a stack above it.
    fn is_free(&self, start: u64, end: u64) -> bool {
        self.vmas.gap(start, end).is_some()
    }
}

/// Whether memory may have these permissions: not writable and executable at once.
const fn may_be(permissions: Permissions) -> bool {
    !permissions.contains(Permissions::WRITE.union(Permissions::EXECUTE))
}

/// The lowest address that an area claims: a stack claims the gap below it.
const fn lowest(vma: &Vma) -> u64 {
    match vma.kind {
        Kind::Stack => vma.start.saturating_sub(GUARD_GAP),
        _ => vma.start,
    }
}

/// The length in bytes of the pages that hold `len` bytes, if there are so many addresses.
const fn round_up(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE_SIZE)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
