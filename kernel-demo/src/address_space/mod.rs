//! What is in an address space, the kernel's or a process's: a list of areas, breaks, limits and
//! counters. Nothing here touches a page table or a frame.
//!
//! ```text
//!   move_break   brk   mmap   munmap   mprotect     fault          fork · clear        maps · smaps · status
//!       │         │     │       │         │           │                 │                      │
//!  ─────┴─────────┴─────┴───────┴─────────┴───────────┴─────────────────┴──────────────────────┴───
//!   AddressSpace   areas (list, vma, charge) · the breaks' fields (brk) · Layout · Limits
//!  ────────────────────────────────────────────────────────────────────────────────────────────────
//!                        Backing: what is mapped, what was promised
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
//! 5. No memory of a process is writable and executable at once.
//! 6. A page that is mapped lies in an area. The reverse is what page faults are for:
//!    [`AddressSpace::fault`] decides each.
//! 7. Once the list [has room](AddressSpace::make_room), nothing here allocates, or touches memory
//!    for the first time: the memory manager may be locked meanwhile.

#![deny(unsafe_code)]

mod backing;
mod brk;
mod charge;
mod fault;
mod layout;
mod list;
mod mmap;
mod mprotect;
mod munmap;
mod process;
mod views;
mod vma;

use alloc::vec::Vec;
use core::iter;
use core::ops::Range;

pub use backing::Backing;
pub use brk::{Break, MoveError};
pub use charge::tables_of;
pub use fault::{Cause, Decision, PageState};
pub use layout::{GUARD_GAP, Layout, MIN_ADDRESS, USER_END};
pub use list::Storage;
pub use mmap::{MapFlags, MapRequest};
pub use process::Limits;
pub use views::Resident;
pub use vma::{AreaKind, Charge, ObjectId, Sharing, Vma};

pub use crate::words::Errno;
use crate::words::OutOfFrames;
use crate::words::layout::PAGE_SIZE;
use list::List;

/// An address space: a process's, or with a fixed table and several breaks the kernel's. Dropping
/// one loses what is charged for it for good, so [`clear`](Self::clear) it.
///
/// # Invariants
///
/// * All areas lie within the bounds; none of a process's is writable and executable.
/// * Above the page in which a break ends, the break has put nothing.
/// * `charged` frames are charged to the accounts that the calls were given.
#[derive(Debug)]
pub struct AddressSpace<T = Vec<Vma>, const BREAKS: usize = 1> {
    areas: List<T>,
    breaks: [Option<Break>; BREAKS],
    bounds: Range<u64>,
    layout: Layout,
    limits: Limits,
    charged: u64,
    faults: u64,
}

impl<T: Storage, const N: usize> AddressSpace<T, N> {
    /// The kernel's address space, with nothing in it, a fixed table, and no break in use.
    pub fn of_kernel(table: T, areas: usize) -> Self {
        let layout = Layout { text: 0, start_brk: 0, mmap_base: 0, stack_top: 0 };
        let limits = Limits { data: u64::MAX, stack: 0, areas };
        let areas = List::new(table, areas);
        let bounds = PAGE_SIZE..u64::MAX;
        Self { areas, breaks: [None; N], bounds, layout, limits, charged: 0, faults: 0 }
    }

    /// Puts a break into use, which stands at its base. `false` when one is in use already.
    pub fn claim_break(&mut self, number: usize, brk: Break) -> bool {
        let free = self.breaks[number].is_none();
        if free {
            self.breaks[number] = Some(brk);
        }
        free
    }

    /// Takes a break, which stands at its base, out of use.
    pub fn release_break(&mut self, number: usize) {
        self.breaks[number] = None;
    }

    /// The fields of a break, if it is in use.
    pub const fn break_at(&self, number: usize) -> Option<Break> {
        self.breaks[number]
    }

    /// Enters an area where nothing is.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is empty, not page-aligned, or out of bounds; `EEXIST` when something is
    /// there; `ENOMEM` when there is no room in the list, or the account refuses.
    pub fn insert(&mut self, vma: Vma, backing: &mut impl Backing) -> Result<(), Errno> {
        let Range { start, end } = self.bounds;
        let aligned = (vma.start | vma.end).is_multiple_of(PAGE_SIZE);
        if !aligned || vma.start >= vma.end || vma.start < start || vma.end > end {
            return Err(Errno::EINVAL);
        }
        if self.overlapping(vma.start, vma.end).is_some() {
            return Err(Errno::EEXIST);
        }
        self.enter_at(self.areas.after(vma.start), vma, backing)
    }

    /// Gives up all memory and all promises. `false` if it has to be called again to finish.
    pub fn clear(&mut self, backing: &mut impl Backing) -> bool {
        self.take_out(0, self.bounds.end, backing).is_ok()
    }

    /// All areas, from low to high.
    pub fn vmas(&self) -> &[Vma] {
        self.areas.as_slice()
    }

    /// The area that holds the address. Logarithmic.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.areas.find(address)
    }

    /// The first area that ends above the address.
    pub fn first_from(&self, address: u64) -> Option<&Vma> {
        self.vmas().get(self.areas.after(address))
    }

    /// An area that has an address in `[start, end)`.
    pub fn overlapping(&self, start: u64, end: u64) -> Option<&Vma> {
        self.first_from(start).filter(|vma| vma.start < end)
    }

    /// The area below the address, the one that holds it, and the one above.
    pub fn around(&self, address: u64) -> [Option<&Vma>; 3] {
        self.areas.around(address)
    }

    /// The area that holds the address or lies nearest to it; of two that are equally near, the
    /// lower.
    pub fn nearest(&self, address: u64) -> Option<&Vma> {
        let distance = |vma: &&Vma| match vma.start.checked_sub(address) {
            Some(up) => up,
            None => address.saturating_sub(vma.end - 1),
        };
        self.around(address).into_iter().flatten().min_by_key(distance)
    }

    /// Frames that are charged for it.
    pub const fn charged(&self) -> u64 {
        self.charged
    }

    /// Page faults served so far. All of them are *minor*: none waits for a disk.
    pub const fn faults(&self) -> u64 {
        self.faults
    }

    /// Pages of the areas of which something holds.
    pub fn pages_that(&self, holds: impl Fn(&Vma) -> bool) -> u64 {
        self.vmas().iter().filter(|vma| holds(vma)).map(Vma::pages).sum()
    }

    /// Enters an area where nothing is, at its place in the list, or says why not: the list, the
    /// account.
    fn enter_at<E: From<OutOfFrames> + From<Errno>>(
        &mut self,
        at: usize,
        vma: Vma,
        backing: &mut impl Backing,
    ) -> Result<(), E> {
        self.areas.reserve(1)?;
        let charge = self.areas.charge_of(&(at..at), (vma.start, vma.end), iter::once(vma));
        backing.charge(charge)?;
        self.charged += charge;
        self.areas.insert(at, vma);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod model;
#[cfg(test)]
mod tests;
