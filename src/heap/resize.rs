//! `realloc`: in place if that can be, otherwise a move (C7).

use core::alloc::Layout;
use core::ptr::NonNull;

#[cfg(feature = "checked")]
use super::checked::guarded;
use super::mapped::Remapped;
use super::{Heap, Request};
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::provider::{Break, Map};
use crate::raw_heap::move_block;

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Changes the size of a block and keeps its contents up to the smaller of both sizes.
    ///
    /// What becomes, or stays, small takes the place of the block of its new class that was freed
    /// last, if the front cache has one, unless it becomes only a little smaller. A small block
    /// that becomes a large one takes a freed cell, if one is large enough. Otherwise the heap
    /// tries, in this order: to cut off what is not needed; to take in the free cell behind; if the
    /// block is the last one, to move the break; to take in the free cell before, which moves
    /// the contents down, with or without the one behind; to move the block. A block
    /// with a mapping of its own is remapped, or moves into the heap when it has become small.
    ///
    /// # Errors
    ///
    /// `None` if there is no room. The block is as it was, where it was, and still the caller's. To
    /// become smaller never fails, but for a block of a run that is less aligned than blocks of
    /// its new size are: it must move. ([Plain](Heap::plain) heaps have none.)
    ///
    /// # Time
    ///
    /// O(1), plus a few calls of the provider, plus the copy if the block moves.
    ///
    /// # Safety
    ///
    /// `payload` came from this heap with this `layout` and was not freed since. After `Some`, only
    /// the new block may be used, and its layout is `new_size` with the old alignment.
    #[must_use]
    #[cfg_attr(not(feature = "tiny"), inline)]
    pub unsafe fn reallocate(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_reallocate(payload, layout, new_size));
        let new = Layout::from_size_align(new_size, layout.align()).ok()?;
        // SAFETY: the caller's promise.
        if let Some(resized) = unsafe { self.reallocate_through_cache(payload, layout, new) } {
            return Some(resized);
        }
        // SAFETY: the caller's promise.
        unsafe { self.reallocate_slowly(payload, layout, new) }
    }

    /// [`reallocate`](Heap::reallocate) where the front cache is of no help.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](Heap::reallocate).
    #[cfg_attr(not(feature = "tiny"), inline(never))]
    unsafe fn reallocate_slowly(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        new_layout: Layout,
    ) -> Option<NonNull<u8>> {
        let new_size = new_layout.size();
        let (old_class, new_class) = (self.small_class_of(layout), self.small_class_of(new_layout));
        // (Of blocks that are more aligned than most: the others have been looked at.)
        if old_class.is_some() && old_class == new_class {
            return Some(payload);
        }
        if self.stopped.is_some() {
            return None;
        }
        let request = Request::new(new_class.map_or(new_layout, |class| class.in_full(new_layout)));
        if let (Some(old_class), None) = (old_class, new_class)
            && !self.wants_mapping(new_layout)
            // SAFETY: the caller's promise.
            && let Some(moved) = unsafe { self.move_to_cell(payload, layout, old_class, request) }
        {
            return Some(moved);
        }
        let class_of_run = old_class.and_then(|_| self.small.pages.class_at(payload.addr().get()));
        if let Some(class_of_run) = class_of_run {
            // SAFETY: the caller's promise.
            return unsafe { self.reallocate_in_run(payload, layout, new_layout, class_of_run) };
        }
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
        // SAFETY: the same; of a block that does not become smaller all is its contents.
        let resized =
            unsafe { self.resize(cell, request, layout.size().min(new_size), may_move_break) };
        if let Some(resized) = resized {
            self.small.change_cell(old_class, new_class);
            return Some(resized);
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(self, payload, layout, new_size) }
    }

    /// Gives a used cell the request's size, where it is or a little further down. It takes in the
    /// free cells beside it, as few as do, and gives back what is left over. If the cell is
    /// larger than the request, this never fails.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, and its owner, who gives up the old place, needs the first
    /// `len` bytes of its payload only; they fit into the request.
    pub(super) unsafe fn resize(
        &mut self,
        cell: Cell,
        request: Request,
        len: usize,
        may_move_break: bool,
    ) -> Option<NonNull<u8>> {
        let needed = request.size();
        // SAFETY: `cell` is valid.
        let header = unsafe { cell.header() };
        let size = header.size();
        // SAFETY: a valid cell is followed by another or by a fence.
        let behind = unsafe { cell.offset(size) };
        // SAFETY: the cell, or the fence, behind.
        let mut free = unsafe { size_if_free(behind) };
        if size + free < needed && may_move_break {
            // SAFETY: `cell` is valid, followed by `behind`, and too short even with a free one
            // there.
            unsafe { self.move_break_behind(cell, behind, needed) };
            if self.stopped.is_some() {
                return None;
            }
            // SAFETY: as above; the break may have moved, or a new region may have begun.
            free = unsafe { size_if_free(behind) };
        }
        let (mut start, mut whole, mut prev_used) = (cell, size, header.is_prev_used());
        if size + free < needed {
            // SAFETY: `cell` is valid.
            start = unsafe { cell.prev_if_free() }?;
            whole += cell.addr() - start.addr();
            if whole + free < needed || request.lead(start.addr()) != 0 {
                return None;
            }
            // SAFETY: a valid free cell.
            unsafe { self.claim_if_free(start) };
            // No free cell precedes a free one.
            prev_used = true;
        }
        if whole < needed {
            // SAFETY: the cell behind, which is free: without it there would not be enough.
            whole += unsafe { self.claim_if_free(behind) };
        }
        if start != cell {
            // SAFETY: both places lie in the cells that are now one, and hold `len` bytes, as
            // payloads do in whole words.
            unsafe { cell.move_payload_down(start, len) };
        }
        let rest = if whole - needed < MIN_CELL { 0 } else { whole - needed };
        let used = whole - rest;
        // SAFETY: the lower part of what was claimed; nobody needs any other word of it than the
        // payload's first `len` bytes.
        unsafe { start.write_used(used, prev_used) };
        // SAFETY: inside what was claimed, or the cell behind it.
        let end = unsafe { start.offset(used) };
        if rest > 0 {
            // SAFETY: the upper part of what was claimed, which nobody uses, followed by what
            // followed the whole.
            unsafe { self.release(end, rest, true) };
        } else {
            // SAFETY: the cell, or the fence, that followed the whole.
            unsafe { end.set_prev_used(true) };
        }
        self.counters.resized(size, used);
        self.note_written(start, used);
        if used < size {
            self.trim_if_due();
        }
        Some(start.payload())
    }

    /// If only the top, or nothing, lies between a cell and the break, moves the break so that the
    /// cell can have `needed` bytes.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell followed by `behind`, and is shorter than `needed`, also
    /// together with `behind` if that is free.
    unsafe fn move_break_behind(&mut self, cell: Cell, behind: Cell, needed: usize) {
        let Some(extent) = &self.extent else { return };
        let is_last = self.top == Some(behind) || extent.fence() == behind;
        // What is scattered is never granted behind anything.
        if B::SCATTERED || !is_last || self.brk.end().addr() != extent.end() {
            return;
        }
        let Some(end) = cell.addr().checked_add(needed).and_then(|end| end.checked_add(WORD))
        else {
            return;
        };
        // A refusal is no error yet: the block may find room elsewhere.
        let _ = self.grow(end.saturating_sub(extent.end()).max(1));
    }
}

/// Size of a cell if it is free, else 0.
///
/// # Safety
///
/// `cell` is valid, or a fence.
unsafe fn size_if_free(cell: Cell) -> usize {
    // SAFETY: the caller's promise.
    let header = unsafe { cell.header() };
    if header.is_used() { 0 } else { header.size() }
}
