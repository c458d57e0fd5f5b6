//! Resizes a block: in its place if that has room, else it moves.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Unchecked;
use crate::cell::{Cell, WORD, copy_down};
use crate::chunks::{Growth, Way};
use crate::layer::Layer;
use crate::mapped::Remapped;
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::request::Request;
use crate::size_class::Class;

impl<B: Source, M: Map, P: Profile> Unchecked<B, M, P> {
    /// Implements [`Heap::reallocate`](crate::Heap::reallocate).
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate).
    #[inline(always)]
    pub(crate) unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        if new_size > isize::MAX as usize - (layout.align() - 1) {
            return None;
        }
        // SAFETY: the alignment is that of a layout, and the size, rounded up to it, is at most
        // `isize::MAX`.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the clauses are those of this method; the alignment stays.
        unsafe { self.resize(block, layout, new) }
    }

    /// Implements [`Heap::reallocate_by_ptr`](crate::Heap::reallocate_by_ptr).
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate_by_ptr`](crate::Heap::reallocate_by_ptr).
    pub(crate) unsafe fn reallocate_by_ptr(
        &mut self,
        block: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        if self.has_stopped() {
            return None;
        }
        // SAFETY: the clauses are those of this method.
        let resized = unsafe { self.layer.reallocate_at_hand(&mut self.large, block, new) };
        if resized.is_some() {
            return resized;
        }
        // SAFETY: the block is live: this method's clause.
        let capacity = unsafe { self.capacity(block) };
        let old = Layout::from_size_align(capacity, 1).ok()?;
        // SAFETY: the block is live, and its caller may use `capacity` bytes. It stays only if its
        // place is aligned for the new layout.
        unsafe {
            if block.addr().get() % new.align() == 0 {
                self.resize(block, old, new)
            } else {
                self.move_block(block, old, new)
            }
        }
    }

    /// Resizes a block. Its old layout says no more than how many bytes the caller may use: the
    /// block is found by its address.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate); the address of the block is a
    /// multiple of the new alignment.
    #[inline(always)]
    unsafe fn resize(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        if P::LayerOf::<P>::PRESENT && !P::CHECKED {
            let Some(class) = self.class_at(block) else {
                // SAFETY: the clauses are those of this method. The block lies in no slab.
                return unsafe { self.reallocate_cell(block, layout, new) };
            };
            // SAFETY: the clauses are those of this method; the block lies in a slab of that class.
            return unsafe {
                match self.layer.reallocate_at_hand(&mut self.large, block, new) {
                    Some(resized) => Some(resized),
                    None => self.reallocate_in_slab(block, layout, new, class),
                }
            };
        }
        // SAFETY: the clauses are those of this method; after `None` the block has not changed.
        unsafe {
            match self.layer.reallocate_at_hand(&mut self.large, block, new) {
                Some(resized) => Some(resized),
                None => self.reallocate_unusual(block, layout, new),
            }
        }
    }

    /// Resizes a block that lies in no slab.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate); the block has a header.
    #[inline(never)]
    unsafe fn reallocate_cell(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        if self.large.has_lost(block) {
            return None;
        }
        // SAFETY: the block has a header (this method's clause), and the heap has not stopped.
        let cell = unsafe { Cell::<P>::of_payload(block) };
        // SAFETY: the heap wrote the header when it allocated the block.
        if M::AVAILABLE && unsafe { cell.header() }.is_fencepost() {
            // SAFETY: the clauses are those of this method.
            return unsafe { self.reallocate_unusual(block, layout, new) };
        }
        let needed = Request::new(new).size();
        // Calls in tail position: each function saves the registers that it needs, and most none.
        // SAFETY: the block is a cell, and its owner needs only what fits into the new size. Each
        // function has the way that it is for.
        unsafe {
            match self.large.chunks.way_to(cell, needed) {
                Way::Stay => Some(block),
                Way::Shorten => {
                    self.layer.note_cell_resized(cell.header().size(), needed);
                    let is_due = self.large.chunks.shorten(cell, needed);
                    if is_due { self.trim_behind(block) } else { Some(block) }
                }
                Way::Lengthen => self.lengthen_cell(block, needed),
                Way::Move => self.move_cell(block, new),
            }
        }
    }

    /// Makes a cell longer, with the free cell behind it.
    ///
    /// # Safety
    ///
    /// The clauses of [`lengthen`](crate::chunks::Chunks::lengthen) hold for the block's cell.
    #[inline(never)]
    unsafe fn lengthen_cell(&mut self, block: NonNull<u8>, needed: usize) -> Option<NonNull<u8>> {
        // SAFETY: the block is a cell, and the clauses are those of this method.
        let (old, new) =
            unsafe { self.large.chunks.lengthen(Cell::<P>::of_payload(block), needed) };
        self.layer.note_cell_resized(old, new);
        Some(block)
    }

    /// Gives memory back if that is due, after a block has become shorter. Returns the block.
    #[inline(never)]
    fn trim_behind(&mut self, block: NonNull<u8>) -> Option<NonNull<u8>> {
        self.large.chunks.trim_if_due();
        self.settle();
        Some(block)
    }

    /// Resizes a cell that must become longer, and for which the free cell behind it does not
    /// suffice.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate); the block is a cell.
    #[inline(never)]
    unsafe fn move_cell(&mut self, block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the block is a cell (this method's clause), and the heap has not stopped.
        let (len, may_stay) = unsafe {
            let cell = Cell::<P>::of_payload(block);
            let needed = Request::new(new).size();
            (cell.header().size() - WORD, self.large.chunks.may_have_room(cell, needed))
        };
        if may_stay {
            // SAFETY: the block is a cell, and has `len` bytes, which fit into the request.
            let resized = unsafe { self.resize_cell_outlined(block, len, new) };
            if resized.is_some() {
                return resized;
            }
        }
        let Some(moved) = self.allocate(new, Growth::Allowed) else {
            // The layer has given up all free memory for the move.
            // SAFETY: as before.
            return unsafe { self.resize_cell_outlined(block, len, new) };
        };
        // SAFETY: the blocks do not overlap, and each holds `len` bytes, which are whole words. The
        // caller gives up the old block, which is a cell.
        unsafe {
            copy_down::<P>(block, moved, len);
            self.deallocate_large(block);
        }
        Some(moved)
    }

    /// Resizes a block for which the layer has nothing at hand.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate).
    #[inline(never)]
    unsafe fn reallocate_unusual(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        if self.large.has_lost(block) {
            return None;
        }
        // A longer block does not lie in a slab.
        let is_short = layout.size() <= P::LayerOf::<P>::LONGEST;
        let slab = if is_short { self.class_at(block) } else { None };
        if let Some(slab) = slab {
            // SAFETY: the clauses are those of this method; the block lies in a slab of that class.
            return unsafe { self.reallocate_in_slab(block, layout, new, slab) };
        }
        // SAFETY: the block is live (this method's clause) and lies in no slab, so it has a header.
        match unsafe { self.large.reallocate_mapped(block, new) } {
            Remapped::To(moved, _) => return Some(moved.block()),
            Remapped::MustMove => {
                // SAFETY: the clauses are those of this method.
                let moved = unsafe { self.move_block(block, layout, new) };
                return moved.or((new.size() <= layout.size()).then_some(block));
            }
            Remapped::NotMapped => {}
        }
        let len = layout.size().min(new.size());
        // SAFETY: the block is a cell; it needs the first `len` bytes only.
        let resized = unsafe { self.resize_cell(block, len, new) };
        if resized.is_some() {
            return resized;
        }
        // SAFETY: the block is live, and has this layout.
        let moved = unsafe { self.move_block(block, layout, new) };
        if moved.is_some() || !P::LayerOf::<P>::PRESENT {
            return moved;
        }
        // The layer has given up all free memory for the move.
        // SAFETY: as before.
        unsafe { self.resize_cell_outlined(block, len, new) }
    }

    /// [`resize_cell`](Unchecked::resize_cell) as a function of its own.
    ///
    /// # Safety
    ///
    /// The clauses of [`resize_cell`](Unchecked::resize_cell).
    #[inline(never)]
    unsafe fn resize_cell_outlined(
        &mut self,
        block: NonNull<u8>,
        len: usize,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.resize_cell(block, len, new) }
    }

    /// Resizes a block that is a cell, in its place or in that of the free cell before it.
    ///
    /// # Safety
    ///
    /// The block is a cell, and its owner needs only the first `len` bytes, which fit into the new
    /// layout.
    #[inline(always)]
    unsafe fn resize_cell(
        &mut self,
        block: NonNull<u8>,
        len: usize,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // The cell lies in a region: if none is known, the heap has stopped.
        self.large.chunks.space().lowest()?;
        // SAFETY: the block is a cell (this method's clause), and the heap has not stopped.
        let cell = unsafe { Cell::<P>::of_payload(block) };
        // SAFETY: the block is a cell, whose header the heap wrote.
        let old_size = unsafe { cell.header() }.size();
        // A block that has become large enough for a mapping does not move the break.
        let may_move_break = !self.large.mapped.wants(new);
        let request = Request::new(new);
        // SAFETY: the cell is used, and its owner needs only the first `len` bytes: this method's
        // clauses.
        let resized = unsafe { self.large.chunks.resize(cell, request, len, may_move_break) };
        // Two exits: after the first one, the caller needs none of its arguments any more.
        if let Some(block) = resized {
            if P::LayerOf::<P>::PRESENT {
                // SAFETY: the block is a cell, whose header `resize` wrote.
                let size = unsafe { Cell::<P>::of_payload(block).header() }.size();
                self.layer.note_cell_resized(old_size, size);
            }
            self.settle();
            return Some(block);
        }
        self.settle();
        None
    }

    /// Resizes a block of a slab: it stays if the new size is smaller but above half of the old
    /// one, else it moves.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate); the block lies in a slab of
    /// this class.
    #[inline(never)]
    unsafe fn reallocate_in_slab(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new: Layout,
        class: Class,
    ) -> Option<NonNull<u8>> {
        let may_stay = new.size() <= class.size();
        if may_stay && new.size() > class.size() / 2 {
            return Some(block);
        }
        // SAFETY: the clauses are those of this method.
        let moved = unsafe { self.move_block(block, layout, new) };
        if moved.is_some() || may_stay {
            return moved.or(Some(block));
        }
        if self.has_stopped() || self.class_at(block).is_some() {
            return None;
        }
        // The slab was dissolved for the move, and the block may have room as a cell.
        // SAFETY: the block is live, and has a header, because it lies in no slab any more. It
        // becomes longer.
        unsafe { self.resize_cell_outlined(block, layout.size(), new) }
    }

    /// Allocates, copies, frees. On `None` the old block is untouched.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate).
    unsafe fn move_block(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let moved = self.allocate(new, Growth::Allowed)?;
        // SAFETY: the blocks do not overlap, and each holds the copied bytes, rounded up to whole
        // words. The caller gives up the old block (this method's clause).
        unsafe {
            copy_down::<P>(block, moved, layout.size().min(new.size()));
            self.deallocate(block, layout);
        }
        Some(moved)
    }
}
