//! Freed cells of middling size that are kept as they are, for the next request of about their size: the front cache of what is
//! too large for runs.
//!
//! ```text
//!   heads[class] ──► cell ──► cell          used, as far as their neighbours know; the link is in the payload
//! ```
//!
//! To merge a cell with its neighbours, and to cut it again for the next request, touches half a dozen places of memory; to keep it
//! touches one. A kept cell is handed out whole, so it must fit closely.

mod check;
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

/// Bytes that are kept, at most.
const LIMIT: usize = 4 << 20;

/// Classes: those of the bins from the first that is not exact, over nearly five doublings of the size (to 28 KiB on 64-bit).
/// One more is always empty, so that each has a next one.
const CLASSES: usize = 38;

/// How much a heap keeps.
struct Bounds {
    /// Cells of so many classes.
    classes: usize,
    /// So many of each, at most.
    most_cells: u8,
    /// This part of the heap, and so many bytes, at most.
    share: usize,
    most_bytes: usize,
    /// Whether for a cell that comes where enough is kept an older one is given up. If not, both are.
    makes_room: bool,
}

/// A break is not to be moved for what cells are longer than they need be: to 8 KiB.
const OVER_A_BREAK: Bounds = Bounds { classes: 24, most_cells: 8, share: 32, most_bytes: 2 << 20, makes_room: false };

/// An arena keeps more.
const IN_PIECES: Bounds = Bounds { classes: CLASSES, most_cells: 16, share: 16, most_bytes: LIMIT, makes_room: true };

/// What there is to keep for a heap over this provider.
const fn bounds<B: Break>() -> Bounds {
    if B::SCATTERED { IN_PIECES } else { OVER_A_BREAK }
}

/// A cell may be larger than the request by this part of it.
const CLOSE: usize = 8;

/// How many classes are looked at for a cell that makes room.
const CLASSES_EVICTED: usize = 4;

/// The kept cells of a heap.
///
/// # Invariants
///
/// * a cell in list `c` is a valid used cell that no caller has, `class_of(size) = first_of_steps() + c`; it is in no other list
/// * `len[c]` is the number of cells in list `c`; `bytes` is the sum of all their sizes
#[derive(Debug)]
pub(super) struct Kept {
    heads: [Option<Cell>; CLASSES + 1],
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
            heads: [None; CLASSES + 1],
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
    pub(super) fn take<B: Break>(&mut self, size: usize, class: usize) -> Option<Cell> {
        let Bounds { classes, .. } = const { bounds::<B>() };
        let class = class.wrapping_sub(first_of_steps());
        if class >= classes {
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

    /// Keeps a used cell of `size` bytes that its caller has given up.
    ///
    /// # Safety
    ///
    /// It is a valid used cell, and nobody uses or lists it. `class < CLASSES` is that of its size.
    #[inline]
    unsafe fn put(&mut self, cell: Cell, class: usize, size: usize) {
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
    }

    /// Takes out a cell of the class whose turn it is, or of one of the next, `classes` in all. The class behind it is the next time's.
    pub(super) fn evict<B: Break>(&mut self, classes: usize) -> Option<Cell> {
        (0..classes).find_map(|_| {
            let class = usize::from(self.turn);
            self.turn = if class + 1 < const { bounds::<B>() }.classes { self.turn + 1 } else { 0 };
            self.pop(class)
        })
    }

    /// Takes out any cell.
    pub(super) fn take_any<B: Break>(&mut self) -> Option<Cell> {
        self.evict::<B>(CLASSES)
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
        let cell = self.kept.take::<B>(size, class_of(size))?;
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
        let Bounds { classes, most_cells, share, most_bytes, makes_room } = const { bounds::<B>() };
        let class = class_of(size).wrapping_sub(first_of_steps());
        if class >= classes {
            return false;
        }
        // The break's region and what was added, each may lie in the other: the larger one is certain, and known at once.
        let region = if B::SCATTERED { self.regions.pieces } else { self.extent.as_ref().map_or(0, Extent::len) };
        let limit = self.kept.limit.min(most_bytes).min(region.max(self.regions.added()) / share);
        if self.kept.bytes + size > limit {
            self.evict_one(if makes_room { CLASSES_EVICTED } else { 1 });
            if !makes_room || self.kept.bytes + size > limit {
                return false;
            }
        }
        if self.kept.len[class] >= most_cells {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { self.kept.put(cell, class, size) };
        true
    }

    /// Frees a kept cell, if there is one in the next `classes` classes.
    #[inline(never)]
    fn evict_one(&mut self, classes: usize) {
        if let Some(evicted) = self.kept.evict::<B>(classes)
            // SAFETY: a kept cell is used, and nobody uses it.
            && unsafe { self.free_cell(evicted.payload()) }
        {
            self.trim_if_due();
        }
    }
}
