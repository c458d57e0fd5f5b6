//! Freed cells of middling size that are kept as they are, for the next request of about their size: the front cache of what is
//! too large for runs.
//!
//! ```text
//!   heads[class] ──► cell ──► cell          used, as far as their neighbours know; the link is in the payload
//! ```
//!
//! To merge a cell with its neighbours, and to cut it again for the next request, touches half a dozen places of memory; to keep it
//! touches one. A kept cell is handed out whole, so it must fit closely.

#[cfg(feature = "checked")]
mod checked;

use core::alloc::Layout;
use core::ptr::NonNull;

use super::extent::Extent;
use super::size_class::{class_of, first_of_steps};
use super::{Heap, Request};
use crate::cell::{CELL_ALIGN, Cell};
use crate::provider::{Break, Map};
use crate::small::Class;

/// Bytes that are kept, at most: so many, and this part of the heap.
const LIMIT: usize = 4 << 20;
const SHARE: usize = 48;

/// Classes: those of the bins from the first that is not exact, over nearly five doublings of the size (to 30 KiB on 64-bit): as many as leave
/// the heap's state 4 KiB.
const CLASSES: usize = 39;

/// Classes of which a heap keeps cells that has its memory from a break, which is not to be moved for what cells are longer than they need
/// be: over three doublings (to 8 KiB).
const CLASSES_OVER_A_BREAK: usize = 24;

/// Cells of one class that are kept at most.
const MOST_CELLS: u8 = 16;

/// A cell may be larger than the request by this part of it.
const CLOSE: usize = 8;

/// How many classes are looked at for a cell that makes room.
const CLASSES_EVICTED: usize = 4;

/// How much the heap over a provider keeps: of so many classes, and this part of the heap.
const fn bounds<B: Break>() -> (usize, usize) {
    if B::SCATTERED { (CLASSES, SHARE / 3) } else { (CLASSES_OVER_A_BREAK, SHARE) }
}

/// The kept cells of a heap.
///
/// # Invariants
///
/// * a cell in list `c` is a valid used cell that no caller has, `class_of(size) = first_of_steps() + c`; it is in no other list
/// * `len[c]` is the number of cells in list `c`; `bytes` is the sum of all their sizes
#[derive(Debug)]
pub(super) struct Kept {
    heads: [Option<Cell>; CLASSES],
    len: [u8; CLASSES],
    bytes: usize,
    /// Bytes that may be kept, at most; 0: none.
    limit: usize,
    /// The class that is the next to give up a cell for want of room or memory.
    turn: u8,
    /// The last link that was found overwritten, until it is reported.
    #[cfg(feature = "checked")]
    broken: Option<crate::small::BrokenLink>,
}

impl Kept {
    pub(super) const fn new() -> Self {
        Self { limit: LIMIT, ..Self::none() }
    }

    /// Nothing is kept.
    pub(super) const fn none() -> Self {
        Self {
            heads: [None; CLASSES],
            len: [0; CLASSES],
            bytes: 0,
            limit: 0,
            turn: 0,
            #[cfg(feature = "checked")]
            broken: None,
        }
    }

    /// Sets how many bytes may be kept. The caller sees to it that there are not more.
    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(LIMIT);
    }

    /// Takes out a cell that fits `size` bytes closely, if it may lie anywhere; `class` is that of the bins. O(1): two are looked at, and
    /// which of them it is, if one, is not decided by a branch, which nobody could predict.
    #[inline(always)]
    pub(super) fn take(&mut self, size: usize, class: usize) -> Option<Cell> {
        let class = class.wrapping_sub(first_of_steps());
        // What is in the last class serves requests of the one below.
        if class >= CLASSES - 1 {
            return None;
        }
        let excess = [self.excess(class, size), self.excess(class + 1, size)];
        let class = class + usize::from(excess[0] > size / CLOSE);
        if excess[0].min(excess[1]) > size / CLOSE { None } else { self.pop(class) }
    }

    /// By how much the cell of a class that came last is larger than `size` bytes; if it is smaller, or there is none, a huge number.
    #[inline(always)]
    fn excess(&self, class: usize, size: usize) -> usize {
        // SAFETY: a kept cell is valid.
        unsafe { Cell::size_of(self.heads[class]) }.wrapping_sub(size)
    }

    /// Keeps a used cell of `size` bytes that its caller has given up, if its list has room.
    ///
    /// # Safety
    ///
    /// If the answer is true, the cell is kept: it is a valid used cell, and nobody uses or lists it. `class < CLASSES` is that of its size.
    #[inline]
    pub(super) unsafe fn put(&mut self, cell: Cell, class: usize, size: usize) -> bool {
        if self.len[class] >= MOST_CELLS {
            return false;
        }
        let next = self.heads[class].replace(cell);
        // SAFETY: a used cell whose payload nobody uses.
        unsafe { cell.link().write(next) };
        #[cfg(feature = "checked")]
        // SAFETY: the same.
        unsafe {
            checked::note(cell);
        }
        self.len[class] += 1;
        self.bytes += size;
        true
    }

    /// Takes out a cell of the class whose turn it is, or of one of the next, `classes` in all. The class behind it is the next time's.
    pub(super) fn evict(&mut self, classes: usize) -> Option<Cell> {
        (0..classes).find_map(|_| {
            let class = usize::from(self.turn);
            self.turn = if class + 1 < CLASSES { self.turn + 1 } else { 0 };
            self.pop(class)
        })
    }

    /// Takes out any cell.
    pub(super) fn take_any(&mut self) -> Option<Cell> {
        self.evict(CLASSES)
    }

    /// Takes out the cell of a class that came last.
    fn pop(&mut self, class: usize) -> Option<Cell> {
        #[cfg(feature = "checked")]
        self.watch(class);
        let cell = self.heads[class]?;
        // SAFETY: a kept cell's payload begins with its link.
        self.heads[class] = unsafe { cell.link().read() };
        self.len[class] -= 1;
        // SAFETY: a kept cell is valid.
        self.bytes -= unsafe { cell.header() }.size();
        Some(cell)
    }

    /// Forgets all cells, and keeps none from now on.
    pub(super) const fn abandon(&mut self) {
        *self = Self::none();
    }

    /// The kept cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        self.heads.iter().flat_map(|&head| {
            core::iter::successors(head, |&cell| {
                #[cfg(feature = "checked")]
                // SAFETY: in a list.
                unsafe { checked::sound_link(cell) }.ok()?;
                // SAFETY: a kept cell's payload begins with its link.
                unsafe { cell.link().read() }
            })
        })
    }
}

impl<B: Break, M: Map> Heap<B, M> {
    /// A block that is not small and was kept, if one fits the layout closely. O(1).
    #[inline(always)]
    pub(crate) fn pop_kept(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // What is guarded goes through the whole operation.
        if cfg!(feature = "checked") || layout.align() > CELL_ALIGN || Class::of(layout).is_some() {
            return None;
        }
        let size = Request::new(layout)?.size();
        let cell = self.kept.take(size, class_of(size))?;
        self.small.large_requested();
        Some(cell.payload())
    }

    /// Keeps a cell that its caller gives up, if there is room for it. Where there is not, a class that has not been looked at for long
    /// makes some.
    ///
    /// # Safety
    ///
    /// If the answer is true, the cell is the heap's: `payload` is that of a valid used cell, and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn keep_cell(&mut self, payload: NonNull<u8>) -> bool {
        if self.kept.limit == 0 {
            return false;
        }
        // SAFETY: the caller's promise.
        let cell = unsafe { Cell::of_payload(payload) };
        // SAFETY: as above.
        let size = unsafe { cell.header() }.size();
        let (classes, share) = const { bounds::<B>() };
        let class = class_of(size).wrapping_sub(first_of_steps());
        if class >= classes {
            return false;
        }
        // The break's region and what was added, each may lie in the other: the larger one is certain, and known at once.
        let region = if B::SCATTERED { self.regions.pieces } else { self.extent.as_ref().map_or(0, Extent::len) };
        let limit = self.kept.limit.min(region.max(self.regions.added()) / share);
        if self.kept.bytes + size > limit {
            self.evict_one();
            if self.kept.bytes + size > limit {
                return false;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.kept.put(cell, class, size) }
    }

    /// Frees a kept cell, if there is one in a few classes.
    #[inline(never)]
    fn evict_one(&mut self) {
        if let Some(evicted) = self.kept.evict(CLASSES_EVICTED)
            // SAFETY: a kept cell is used, and nobody uses it.
            && unsafe { self.free_cell(evicted.payload()) }
        {
            self.trim_if_due();
        }
    }
}
