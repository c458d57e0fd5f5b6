//! Freed cells of middling size that are kept as they are, for the next request of about their
//! size: the front cache of what is too large for runs.
//!
//! ```text
//!   heads[class] ──► cell ──► cell          used, as far as their neighbours know; the link is in the payload
//! ```
//!
//! To merge a cell with its neighbours, and to cut it again for the next request, touches half a
//! dozen places of memory; to keep it touches one. A kept cell is handed out whole, so it must fit
//! closely: a break is not to be moved for what cells are longer than they need be. (Where memory
//! comes in pieces, they may be longer, and are kept in the front cache: middling.rs.)

mod checked;

use core::ptr::NonNull;

use super::SmallBlocks;
use crate::bins::{Classes, Fine};
use crate::cell::{Cell, Form};
use crate::chunks::Tuning;
use crate::large::Large;
use crate::link_copy::BrokenLink;
use crate::provider::{Map, Source};
use crate::request::select;
use crate::space::Extent;

/// Cells below this size, in bytes, are in exact classes.
const EXACT_BELOW: usize = Fine::EXACT_BELOW;

/// Bytes that are kept, at most: so many, and this part of the heap.
const LIMIT: usize = 2 << 20;
const SHARE: usize = 32;

/// Classes: those of the bins from the first that is not exact, over three doublings of the size
/// (to 8 KiB on 64-bit). One more is always empty, so that each has a next one.
const CLASSES: usize = 24;

/// Cells from this size on are too long to be kept.
const TOO_LONG: usize = EXACT_BELOW << (CLASSES / Fine::PER_DOUBLING);

/// Cells of one class that are kept, at most.
const MOST_CELLS: u8 = 8;

/// A cell may be larger than the request by this part of it.
const CLOSE: usize = 8;

/// The kept cells of a heap.
///
/// # Invariants
///
/// * a cell in list `c` is a valid used cell that no caller has, `class_of(size) = Fine::EXACT
///   + c`; it is in no other list
/// * `len[c]` is the number of cells in list `c`; `bytes` is the sum of all their sizes
/// * `room ≤ limit`
#[derive(Debug)]
pub(crate) struct Kept<F> {
    pub(crate) heads: [Option<Cell<F>>; CLASSES + 1],
    pub(crate) len: [u8; CLASSES + 1],
    pub(crate) bytes: usize,
    /// Bytes that may be kept, at most, by the size that the heap had when it was looked at. That
    /// is done when there is no room.
    room: usize,
    /// Bytes that may be kept, at most, whatever the size of the heap; 0: none.
    limit: usize,
    /// The class that was last in turn to give up a cell for want of room or memory. The next one
    /// is calculated from it, so the compiler knows its bounds and checks none.
    turn: u8,
    /// The last link that was found overwritten, until it is reported.
    broken: Option<BrokenLink>,
}

impl<F: Form> Kept<F> {
    pub(super) const fn new() -> Self {
        Self { limit: LIMIT, ..Self::none() }
    }

    /// Nothing is kept.
    pub(super) const fn none() -> Self {
        Self {
            heads: [None; CLASSES + 1],
            len: [0; CLASSES + 1],
            bytes: 0,
            room: 0,
            limit: 0,
            turn: CLASSES as u8 - 1,
            broken: None,
        }
    }

    /// Sets how many bytes may be kept. The caller sees to it that there are not more.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(LIMIT);
        self.forget_room();
    }

    /// The heap may have become smaller: how much may be kept is to be found out.
    pub(super) const fn forget_room(&mut self) {
        self.room = 0;
    }

    /// Takes out a cell that fits `size` bytes closely, if it may lie anywhere; `class` is that of
    /// the bins. O(1): two are looked at, and which of them it is, if one, is not decided by a
    /// branch, which nobody could predict.
    #[inline(always)]
    pub(crate) fn take(&mut self, size: usize, class: usize) -> Option<Cell<F>> {
        let class = class.wrapping_sub(Fine::EXACT);
        if class >= CLASSES {
            return None;
        }
        let excess = [self.excess(class, size), self.excess(class + 1, size)];
        let is_far = excess[0] > size / CLOSE;
        let excess = select(is_far, excess[1], excess[0]);
        if excess > size / CLOSE {
            None
        } else {
            self.pop(class + usize::from(is_far), size + excess)
        }
    }

    /// By how much the cell of a class that came last is larger than `size` bytes; if it is
    /// smaller, or there is none, a huge number.
    #[inline(always)]
    fn excess(&self, class: usize, size: usize) -> usize {
        // SAFETY: a kept cell is valid.
        unsafe { Cell::size_of(self.heads[class]) }.wrapping_sub(size)
    }

    /// Keeps a used cell of `size` bytes that its caller has given up, if its class has not enough
    /// of them.
    ///
    /// # Safety
    ///
    /// `EXACT_BELOW ≤ size < TOO_LONG`. If the answer is true, it is a valid used cell, and nobody
    /// uses or lists it.
    #[inline(always)]
    unsafe fn put(&mut self, cell: Cell<F>, size: usize) -> bool {
        let class = Fine::class_of_long(size) - Fine::EXACT;
        if self.len[class] >= MOST_CELLS {
            return false;
        }
        let next = self.heads[class].replace(cell);
        // SAFETY: a used cell whose payload nobody uses.
        unsafe { cell.link().write(next) };
        if F::CHECKED {
            // SAFETY: the same.
            unsafe { checked::note(cell) };
        }
        self.len[class] += 1;
        self.bytes += size;
        true
    }

    /// Takes out a cell of the class whose turn it is, or of one of the next, `classes` in all. The
    /// class behind it is the next time's.
    pub(crate) fn evict(&mut self, classes: usize) -> Option<Cell<F>> {
        (0..classes).find_map(|_| {
            let next = usize::from(self.turn) + 1;
            let class = if next < CLASSES { next } else { 0 };
            self.turn = class as u8;
            // SAFETY: a kept cell is valid.
            let size = unsafe { self.heads[class]?.header() }.size();
            self.pop(class, size)
        })
    }

    /// Takes out any cell.
    pub(crate) fn take_any(&mut self) -> Option<Cell<F>> {
        self.evict(CLASSES)
    }

    /// Takes out the cell of a class that came last, which is `size` bytes long.
    #[inline]
    fn pop(&mut self, class: usize, size: usize) -> Option<Cell<F>> {
        if F::CHECKED {
            self.watch(class);
        }
        let cell = self.heads[class]?;
        // SAFETY: a kept cell's payload begins with its link.
        self.heads[class] = unsafe { cell.link().read() };
        self.len[class] -= 1;
        self.bytes -= size;
        Some(cell)
    }

    /// Forgets all cells, and keeps none from now on.
    pub(super) const fn abandon(&mut self) {
        *self = Self::none();
    }

    /// The kept cells.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<F>> {
        self.heads.iter().flat_map(|&head| {
            core::iter::successors(head, |&cell| {
                if F::CHECKED {
                    // SAFETY: in a list.
                    unsafe { checked::sound_link(cell) }.ok()?;
                }
                // SAFETY: a kept cell's payload begins with its link.
                unsafe { cell.link().read() }
            })
        })
    }
}

impl<P: Tuning, const LISTS: usize> SmallBlocks<P, LISTS> {
    /// Frees a block that is a cell: keeps it, if there is room for it. Where there is not, a class
    /// that has not been looked at for long gives up one, too.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell, and nobody uses it any more.
    #[inline]
    pub(crate) unsafe fn keep_or_free<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: the caller's promise.
        if !B::CONTIGUOUS && unsafe { self.keep_medium_block(large, payload) } {
            return;
        }
        // SAFETY: the caller's promise.
        let cell = unsafe { Cell::<P>::of_payload(payload) };
        // SAFETY: as above.
        let size = unsafe { cell.header() }.size();
        if B::CONTIGUOUS && (EXACT_BELOW..TOO_LONG).contains(&size) {
            if self.kept.bytes + size > self.kept.room {
                // SAFETY: the caller's promise.
                return unsafe { self.deallocate_crowded(large, payload, size) };
            }
            // SAFETY: the caller's promise.
            if unsafe { self.kept.put(cell, size) } {
                return;
            }
        }
        // SAFETY: this method's own clause.
        unsafe { self.free_and_trim(large, payload) };
    }

    /// Frees a cell, and gives memory back if that is due. Only then can the heap stop: the check
    /// for it is here, so that callers end with a jump.
    ///
    /// # Safety
    ///
    /// As for [`keep_or_free`](SmallBlocks::keep_or_free).
    #[inline(never)]
    pub(super) unsafe fn free_and_trim<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: this method's own clause.
        if unsafe { large.chunks.free_inline(payload) } {
            self.trim_if_due(large);
        }
    }

    /// Gives memory back if that is due.
    #[inline(always)]
    pub(super) fn trim_if_due<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        if large.chunks.may_be_due() {
            self.trim(large);
        }
    }

    #[inline(never)]
    fn trim<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        large.chunks.trim_if_due();
        self.settle(large);
    }

    /// Frees a cell of `size` bytes for which there was no room when the size of the heap was
    /// looked at last.
    ///
    /// # Safety
    ///
    /// The clauses of [`keep_or_free`](SmallBlocks::keep_or_free); `EXACT_BELOW ≤ size < TOO_LONG`.
    #[inline(never)]
    unsafe fn deallocate_crowded<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
        size: usize,
    ) {
        // The break's region and what was added, each may lie in the other: the larger one is
        // certain, and known at once.
        let region =
            large.chunks.space().extent().map_or(0, Extent::len).max(large.chunks.space().added());
        self.kept.room = self.kept.limit.min(region / SHARE);
        if self.kept.bytes + size > self.kept.room {
            if self.evict_one(large) {
                return;
            }
        } else {
            // SAFETY: the payload is that of a valid used cell: this method's clause.
            let cell = unsafe { Cell::<P>::of_payload(payload) };
            // SAFETY: the clauses are those of this method.
            if unsafe { self.kept.put(cell, size) } {
                return;
            }
        }
        // SAFETY: the clauses are those of this method.
        unsafe { self.free_and_trim(large, payload) };
    }

    /// Frees a kept cell, if the class whose turn it is has one. Returns whether the heap has
    /// stopped, which only a movement of the break can cause.
    fn evict_one<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) -> bool {
        let Some(evicted) = self.kept.evict(1) else { return false };
        // SAFETY: a kept cell is used, and nothing uses it.
        if !unsafe { large.chunks.free(evicted.payload()) } {
            return false;
        }
        self.trim_if_due(large);
        large.chunks.has_stopped()
    }
}
