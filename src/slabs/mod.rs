//! Slabs: equal blocks without headers, in cells of the heap below.
//!
//! ```text
//!   pop ──► list of the class ──(empty)──► its first slab ──(full)──► the next slab, or a new one
//!                                                                     or a cell: allocate.rs
//!   push ─► page map ─► descriptor: the slab's own list, one counter
//!                           └──(the counter is 0)──► no slab: a cell, or a mapping: deallocate.rs
//!                                                    relisted, kept, or released: release.rs
//! ```
//!
//! | part | contract |
//! |---|---|
//! | `slab.rs` | a slab: its blocks, its descriptor |
//! | `shape.rs` | how many blocks a slab has, and which one an address is; arithmetic only |
//! | `free_list.rs` | free blocks, linked through their first words |
//! | `map.rs` | address → descriptor: what slabs need of a map; an arena's is in `segments/` |
//! | `page_map.rs`, `window.rs` | the map of one heap, and a part of it |
//! | `descriptors.rs` | memory for descriptors |
//! | `layer.rs` | slabs as the layer of a heap |
//! | `dissolve.rs` | a slab becomes the cells of its live blocks |
//!
//! Rules of this folder:
//!
//! 1. A pop and a push have one test each, beside the look-up. All else is behind the list that is
//!    empty, or the counter that is 0.
//! 2. A block of a class may be a cell: the page map, not the layout, tells where it goes back to.
//! 3. A class has cells until a slab pays: until it is little beside all blocks of the class. A
//!    class with many requests gets slabs earlier, on loan: such slabs, one a class, are together
//!    a small share of the heap, or of what the provider may still grant.
//! 4. The heap gives all of it up before it refuses a request.
//! 5. A slab of which few blocks are live becomes cells again, if the heap grows in spite of it, or
//!    must refuse a request.

mod allocate;
mod deallocate;
mod descriptors;
mod dissolve;
mod free_list;
mod layer;
mod map;
mod page_map;
mod release;
mod shape;
mod slab;
mod window;

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::cell::{CELL_ALIGN, MIN_CELL, WORD};
use crate::chunks::Tuning;
use crate::link_copy::BrokenLink;
use crate::quota::Quota;
use crate::size_class::{CLASSES, Class};

pub use descriptors::Descriptors;
pub(crate) use free_list::FreeList;
pub use map::SlabMap;
pub use page_map::PageMap;
pub(crate) use shape::alignment_of;
pub use slab::Slab;
pub(crate) use slab::State;

/// Slabs of a heap.
///
/// # Invariants
///
/// [`Heap::check`](crate::Heap::check) verifies all of them; [`Rule`](crate::Rule) names each.
///
/// * a slab is the payload of a used cell, and its granules, and no others, lead to its descriptor
/// * a slab is in the list of its class `⟺` it is listed; one without live blocks is alone there
/// * `lists[c]` has blocks of the first slab of the class only; its descriptor counts them as taken
/// * `granules`, `slabs`, `loan` and `empty` say what the slabs are
/// * there are leaves and tables only if there are slabs, or were since the heap gave up
#[derive(Debug)]
pub struct Slabs<P: Tuning, G = PageMap<<P as Tuning>::Slabs>, const N: usize = CLASSES> {
    /// Blocks at hand.
    pub(crate) lists: [FreeList; N],
    /// First slab of each class that has, or may have, a free block.
    pub(crate) heads: [Option<NonNull<Slab>>; N],
    /// Length of all slabs of each class, in granules.
    pub(crate) granules: [u32; N],
    /// Number of cells that are as long as the blocks of each class: an estimate, for a block can
    /// become a cell of another class without notice, and numbers wrap. One below 0 says that cells
    /// were freed that were not counted.
    cells: [i16; N],
    /// For each class, 1 + the number of cells until it is considered whether the next slab may
    /// begin; 0: the class never had a cell.
    waits: [u8; N],
    pub(crate) map: G,
    /// The next block must not move the break: `reserve` has made room for it.
    is_reserved: bool,
    /// Addresses of the place for a slab that the map did not reach.
    wanted: (usize, usize),
    pub(crate) descriptors: Descriptors,
    /// Number of slabs.
    pub(crate) slabs: usize,
    /// Classes whose slabs are on loan: the last one did not pay when it began.
    pub(crate) on_loan: [bool; N],
    /// Length of all slabs on loan, in granules.
    pub(crate) loan: usize,
    /// Number of slabs that are kept although they have no live blocks.
    pub(crate) empty: usize,
    /// Length of the heap when sparse slabs were last searched for, in bytes.
    searched_at: usize,
    /// Number of blocks that may be put at hand until an allocation is sampled.
    pub(crate) quota: Quota,
    /// Link that was found overwritten.
    broken: Option<BrokenLink>,
    profile: PhantomData<fn() -> P>,
}

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Slabs<P, G, N> {
    /// Returns the blocks at hand of a class.
    #[inline(always)]
    fn list(&mut self, class: Class) -> &mut FreeList {
        // SAFETY: callers pass the first `N` classes only: those that `class_of` returns.
        unsafe { self.lists.get_unchecked_mut(class.index()) }
    }

    /// Counts a cell of so many bytes.
    #[inline(always)]
    fn count(&mut self, size: usize) {
        if let Some(class) = Class::of_cell::<N>(size) {
            let cells = &mut self.cells[class.index()];
            *cells = cells.wrapping_add(1);
        }
    }

    /// Undoes [`count`](Slabs::count).
    #[inline(always)]
    fn uncount(&mut self, size: usize) {
        if let Some(class) = Class::of_cell::<N>(size) {
            let cells = &mut self.cells[class.index()];
            *cells = cells.wrapping_sub(1);
        }
    }

    /// Returns an estimate of the number of cells of blocks of a class: of those counted there, or
    /// of those that are as long as the cell of its longest block, whichever is more. Negative
    /// counts become 0.
    fn counted(&mut self, class: Class) -> usize {
        let size = (class.size() + WORD).next_multiple_of(CELL_ALIGN).max(MIN_CELL);
        let longest = Class::of_cell::<N>(size).unwrap_or(class);
        let most = [class, longest].map(|class| {
            let cells = &mut self.cells[class.index()];
            *cells = (*cells).max(0);
            *cells
        });
        most[0].max(most[1]) as usize
    }

    /// Returns the length of the slabs of a class that are on loan, in granules.
    pub(crate) const fn loan_of(&self, class: Class) -> usize {
        let index = class.index();
        if self.on_loan[index] { self.granules[index] as usize } else { 0 }
    }

    /// Verifies the link of the next block of a class. If it was overwritten, the blocks behind it
    /// are lost: they count as live.
    fn watch(&mut self, class: Class) {
        // SAFETY: the blocks of a class's list are free, and in memory of the heap: the type's
        // invariant. Only a checked heap calls this.
        if let Err(broken) = unsafe { self.list(class).watch() } {
            self.broken.get_or_insert(broken);
        }
    }

    /// Puts a slab into the list of its class: first if the list is empty, else second, so that the
    /// first one stays the one whose blocks are at hand. O(1).
    ///
    /// # Safety
    ///
    /// `slab` is a slab of this heap, and in no list.
    unsafe fn insert(&mut self, mut slab: NonNull<Slab>) {
        // SAFETY: descriptors of slabs are valid, and no reference to one is held across a call:
        // the type's invariant and this method's clause.
        unsafe {
            let class = slab.as_ref().class.index();
            let Some(mut head) = self.heads[class] else {
                (slab.as_mut().next, slab.as_mut().prev) = (None, None);
                self.heads[class] = Some(slab);
                return;
            };
            let second = head.as_mut().next.replace(slab);
            (slab.as_mut().next, slab.as_mut().prev) = (second, Some(head));
            if let Some(mut second) = second {
                second.as_mut().prev = Some(slab);
            }
        }
    }

    /// Takes a slab out of the list of its class. O(1).
    ///
    /// # Safety
    ///
    /// `slab` is a slab of this heap, and in its class's list.
    unsafe fn remove(&mut self, slab: NonNull<Slab>) {
        // SAFETY: descriptors of slabs in a list are valid, and no reference to one is held across
        // a call: the type's invariant.
        unsafe {
            let Slab { next, prev, class, .. } = *slab.as_ref();
            if let Some(mut next) = next {
                next.as_mut().prev = prev;
            }
            match prev {
                Some(mut prev) => prev.as_mut().next = next,
                None => self.heads[class.index()] = next,
            }
        }
    }
}
