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

use core::ptr::NonNull;

use super::Heap;
use super::extent::Extent;
use super::request::Request;
use super::size_class::{class_of, first_of_steps};
use crate::cell::Cell;
use crate::provider::{Break, Map};

/// Bytes that are kept, at most: so many, and this part of the heap; a larger one where speed is favoured.
const LIMIT: usize = 2 << 20;
const SHARE: u8 = 32;
const FAVOURED_SHARE: u8 = 8;

/// Classes: those of the bins from the first that is not exact, over three doublings of the size (to 8 KiB on 64-bit).
const CLASSES: usize = 24;

/// Cells of one class that are kept at most; and where speed is favoured.
const MOST_CELLS: u8 = 8;
const FAVOURED_MOST_CELLS: u8 = 32;

/// A cell may be larger than the request by this part of it.
const CLOSE: usize = 8;

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
    /// The part of the heap that may be kept, at most.
    share: u8,
    /// Cells of one class that may be kept, at most.
    most: u8,
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
            share: SHARE,
            most: MOST_CELLS,
            turn: 0,
            #[cfg(feature = "checked")]
            broken: None,
        }
    }

    /// From now on more is kept.
    pub(super) const fn favour_speed(&mut self) {
        (self.share, self.most) = (FAVOURED_SHARE, FAVOURED_MOST_CELLS);
    }

    /// Sets how many bytes may be kept. The caller sees to it that there are not more.
    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(LIMIT);
    }

    /// Takes out a cell that fits the request closely, if it may lie anywhere; `class` is that of the request's size. O(1): two are looked
    /// at.
    #[inline(always)]
    pub(super) fn take(&mut self, request: Request, class: usize) -> Option<Cell> {
        let class = class.wrapping_sub(first_of_steps());
        if class >= CLASSES {
            return None;
        }
        self.take_close(class, request.size()).or_else(|| self.take_close(class + 1, request.size()))
    }

    /// Takes out the cell of a class that came last, if it fits closely.
    #[inline(always)]
    fn take_close(&mut self, class: usize, size: usize) -> Option<Cell> {
        let cell = (*self.heads.get(class)?)?;
        // SAFETY: a kept cell is valid.
        let more = unsafe { cell.header() }.size().wrapping_sub(size);
        if more > size / CLOSE { None } else { self.pop(class) }
    }

    /// Keeps a used cell of `size` bytes that its caller has given up, if its list has room.
    ///
    /// # Safety
    ///
    /// If the answer is true, the cell is kept: it is a valid used cell, and nobody uses or lists it. `class < CLASSES` is that of its size.
    #[inline]
    pub(super) unsafe fn put(&mut self, cell: Cell, class: usize, size: usize) -> bool {
        if self.len[class] >= self.most {
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
        let class = class_of(size).wrapping_sub(first_of_steps());
        if class >= CLASSES {
            return false;
        }
        // The break's region and what was added, each may lie in the other: the larger one is certain, and known at once.
        let region = if B::SCATTERED { self.regions.pieces } else { self.extent.as_ref().map_or(0, Extent::len) };
        let limit = self.kept.limit.min(region.max(self.regions.added()) / usize::from(self.kept.share));
        if self.kept.bytes + size > limit {
            if let Some(evicted) = self.kept.evict(1) {
                // SAFETY: a kept cell is used, and nobody uses it.
                unsafe { self.free_cell(evicted.payload()) };
            }
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { self.kept.put(cell, class, size) }
    }
}
