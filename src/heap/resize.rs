//! `realloc`: in place if that can be, otherwise a move (C7).

use core::alloc::Layout;
use core::ptr::NonNull;

use super::mapped::Remapped;
use super::{Heap, Request};
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::provider::{Break, Map};
use crate::raw_heap::move_block;

impl<B: Break, M: Map> Heap<B, M> {
    /// Changes the size of a block and keeps its contents up to the smaller of both sizes.
    ///
    /// It tries, in this order: to cut off what is not needed; to take in the free cell behind; if the block is the last one, to move
    /// the break; to take in the free cell before, which moves the contents down, with or without the one behind; to move the block.
    /// A block with a mapping of its own is remapped, or moves into the heap when it has become small.
    ///
    /// # Errors
    ///
    /// `None` if there is no room. The block is as it was, where it was, and still the caller's. To become smaller never fails.
    ///
    /// # Time
    ///
    /// O(1), plus a few calls of the provider, plus the copy if the block moves.
    ///
    /// # Safety
    ///
    /// `payload` came from this heap with this `layout` and was not freed since. After `Some`, only the new block may be used, and
    /// its layout is `new_size` with the old alignment.
    #[must_use]
    pub unsafe fn reallocate(&mut self, payload: NonNull<u8>, layout: Layout, new_size: usize) -> Option<NonNull<u8>> {
        if self.stopped.is_some() {
            return None;
        }
        let new_layout = Layout::from_size_align(new_size, layout.align()).ok()?;
        let request = Request::new(new_layout)?;
        // SAFETY: the caller's promise.
        match unsafe { self.reallocate_mapped(payload, new_layout) } {
            Remapped::To(payload) => return Some(payload),
            Remapped::MustMove => {
                // SAFETY: the caller's promise.
                let moved = unsafe { move_block(self, payload, layout, new_size) };
                return moved.or((new_size <= layout.size()).then_some(payload));
            }
            Remapped::NotMapped => {}
        }
        // SAFETY: `payload` is that of a valid used cell: the caller's promise.
        let cell = unsafe { Cell::of_payload(payload) };
        // What has become large enough for a mapping does not take the break along.
        let may_move_break = !self.wants_mapping(new_layout);
        // SAFETY: the same.
        if unsafe { self.resize_in_place(cell, request.size(), may_move_break) } {
            return Some(payload);
        }
        // SAFETY: the same; a block that does not fit in place becomes larger, so all of its old size is its contents.
        if let Some(moved) = unsafe { self.move_down(cell, request, layout.size()) } {
            return Some(moved);
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(self, payload, layout, new_size) }
    }

    /// Makes a used cell at least `needed` bytes long where it is, if need be by moving the break, and gives back what it does not need.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, and the caller needs its first `needed` bytes only.
    unsafe fn resize_in_place(&mut self, cell: Cell, needed: usize, may_move_break: bool) -> bool {
        // SAFETY: `cell` is valid.
        let size = unsafe { cell.header() }.size();
        // SAFETY: `cell` is valid.
        let available = size + unsafe { self.free_behind(cell) };
        if available < needed && may_move_break {
            // SAFETY: `cell` is valid.
            unsafe { self.move_break_behind(cell, needed) };
        }
        // SAFETY: `cell` is valid; the break may have moved, or a new region may have begun.
        let available = size + unsafe { self.free_behind(cell) };
        if available < needed {
            return false;
        }
        if size < needed {
            // SAFETY: `cell` is valid and used.
            unsafe { self.absorb_next(cell) };
        }
        // SAFETY: `cell` is valid, used, and its first `needed` bytes are the caller's.
        let now = unsafe { self.give_back_behind(cell, needed) };
        self.counters.resized(size, now);
        self.note_written(cell, now);
        if now < size {
            self.trim_if_due();
        }
        true
    }

    /// Makes a used cell and the free one before it one cell, if they, perhaps with a free one behind, hold the request where the
    /// alignment allows; the first `len` bytes of the payload move along.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell whose payload holds `len` bytes; they are the caller's, who gives up the old place.
    unsafe fn move_down(&mut self, cell: Cell, request: Request, len: usize) -> Option<NonNull<u8>> {
        // SAFETY: `cell` is valid.
        let prev = unsafe { cell.prev_if_free() }?;
        if request.lead(prev.addr())? != 0 {
            return None;
        }
        // SAFETY: `cell` is valid.
        let size = unsafe { cell.header() }.size();
        let distance = cell.addr() - prev.addr();
        if distance + size < request.size() {
            // SAFETY: `cell` is valid.
            if distance + size + unsafe { self.free_behind(cell) } < request.size() {
                return None;
            }
            // SAFETY: `cell` is valid and used; if the one behind was not free, both together would have sufficed.
            unsafe { self.absorb_next(cell) };
        }
        // SAFETY: a valid free cell.
        unsafe { self.claim_if_free(prev) };
        // SAFETY: `cell` is valid.
        let whole = distance + unsafe { cell.header() }.size();
        // SAFETY: both cells, one behind the other, followed by what followed the second; no free cell precedes a free one.
        unsafe { prev.write_used(whole, true) };
        // SAFETY: both ranges lie in the new cell's payload, which holds more than `len` bytes.
        unsafe { prev.payload().copy_from(cell.payload(), len) };
        // SAFETY: `prev` is valid and used now, and holds the request.
        let now = unsafe { self.give_back_behind(prev, request.size()) };
        self.counters.resized(size, now);
        self.note_written(prev, now);
        Some(prev.payload())
    }

    /// Shortens a used cell to `needed` bytes if what is left over is enough for a cell. Returns its size then.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell of at least `needed` bytes, of which its owner needs no more.
    unsafe fn give_back_behind(&mut self, cell: Cell, needed: usize) -> usize {
        // SAFETY: `cell` is valid.
        let size = unsafe { cell.header() }.size();
        if size - needed < MIN_CELL {
            return size;
        }
        // SAFETY: what is cut off is a cell at least, and is unused.
        unsafe { self.cut_tail(cell, needed) };
        needed
    }

    /// Size of the free cell behind a cell, 0 if that is used.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell.
    unsafe fn free_behind(&self, cell: Cell) -> usize {
        // SAFETY: `cell` is valid and no fence.
        let next = unsafe { cell.next() };
        // SAFETY: a valid cell or a fence.
        let header = unsafe { next.header() };
        if header.is_used() { 0 } else { header.size() }
    }

    /// If only the top, or nothing, lies between a cell and the break, moves the break so that the cell can have `needed` bytes.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell that is shorter than `needed`, also together with a free cell behind.
    unsafe fn move_break_behind(&mut self, cell: Cell, needed: usize) {
        // SAFETY: `cell` is valid and no fence.
        let next = unsafe { cell.next() };
        let Some(extent) = &self.extent else { return };
        let is_last = self.top == Some(next) || extent.fence() == next;
        if !is_last || self.brk.end() != extent.end().as_ptr() {
            return;
        }
        let Some(end) = cell.addr().checked_add(needed).and_then(|end| end.checked_add(WORD)) else { return };
        // A refusal is no error yet: the block may find room elsewhere.
        let _ = self.grow(end.saturating_sub(extent.end().addr().get()).max(1));
    }

    /// Makes the free cell behind a used one part of it.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell; the one behind it is free.
    unsafe fn absorb_next(&mut self, cell: Cell) {
        // SAFETY: `cell` is valid.
        let header = unsafe { cell.header() };
        // SAFETY: `cell` is valid and no fence.
        let next = unsafe { cell.next() };
        // SAFETY: a valid cell.
        let size = header.size() + unsafe { self.claim_if_free(next) };
        // SAFETY: both cells, one behind the other, followed by what followed the second.
        unsafe { cell.write_used(size, header.is_prev_used()) };
        // SAFETY: just written.
        let behind = unsafe { cell.next() };
        // SAFETY: what followed the free cell.
        unsafe { behind.set_prev_used(true) };
    }
}
