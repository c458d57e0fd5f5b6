//! A heap's operations without the checks for misuse: small blocks go to the layer, all others to
//! cells and mappings.
//!
//! ```text
//!   allocate ───┬ small ─► layer: at hand ──(none)──► a slab, or a cell
//!               └ else ──► a mapping, or a freed cell ──► top ──► the break moves up
//!                          └──(refused)──► the layer gives everything up, and all is tried again
//!   deallocate ─┬ small ─► layer
//!               └ else ──► its mapping goes, or the layer keeps its cell, or it is coalesced
//!   reallocate ─► in place, or moved;   …_by_ptr: for callers that know only the address
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::bins::{class_of_long, has_exact_class};
use crate::cell::{CELL_ALIGN, Cell, WORD, copy_down};
use crate::chunks::{Chunks, Growth, Way};
use crate::large::{Large, Resized};
use crate::layer::Layer;
use crate::mapped::Mapped;
use crate::profile::Profile;
use crate::provider::{BreakError, Map, Source};
use crate::request::Request;
use crate::size_class::{Class, SMALL_MAX};

/// A heap below its public methods.
#[derive(Debug)]
pub(crate) struct Unchecked<B, M, P: Profile> {
    pub(crate) layer: P::LayerOf<P>,
    pub(crate) large: Large<B, M, P>,
    /// Hook that is called before a request is refused.
    pub(crate) oom_hook: Option<OutOfMemoryHook>,
}

/// Function that receives the layout of a request that is about to be refused, and may return
/// memory for the heap to [add](crate::Heap::add_region). The heap then tries the request again,
/// and calls the hook again if it still does not fit. `None`: the heap refuses the request.
///
/// The heap calls it while it is locked: it must not use the heap.
pub type OutOfMemoryHook = fn(Layout) -> Option<NonNull<[u8]>>;

impl<B, M, P: Profile> Unchecked<B, M, P> {
    pub(crate) const fn new(source: B, map: M) -> Self {
        Self {
            layer: <P::LayerOf<P> as Layer<P>>::NEW,
            large: Large { chunks: Chunks::new(source), mapped: Mapped::new(map) },
            oom_hook: None,
        }
    }

    pub(crate) const fn chunks(&self) -> &Chunks<B, P> {
        &self.large.chunks
    }

    #[inline(always)]
    pub(crate) const fn has_stopped(&self) -> bool {
        self.large.chunks.has_stopped()
    }

    /// Returns the class of a layout if its blocks come from the layer.
    #[inline(always)]
    pub(crate) fn class_of(layout: Layout) -> Option<Class> {
        P::LayerOf::<P>::class_of(layout)
    }
}

impl<B: Source, M: Map, P: Profile> Unchecked<B, M, P> {
    /// Implements [`Heap::allocate`](crate::Heap::allocate), and `try_allocate` if growth is
    /// forbidden.
    #[inline(always)]
    pub(crate) fn allocate(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        if P::LayerOf::<P>::PRESENT {
            if let Some(class) = Self::class_of(layout) {
                let block = self.layer.pop(class);
                if block.is_some() {
                    return block;
                }
                if layout.align() <= CELL_ALIGN {
                    return self.allocate_small(class, layout, growth);
                }
                return self.allocate_small_slow(class, layout, growth);
            }
        }
        self.allocate_unusual(layout, growth)
    }

    /// Allocates a block of a class that has none at hand.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_small(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if self.layer.may_refill(class) {
            return self.allocate_refilled(class, layout, growth);
        }
        let request = Request::new(layout);
        if !has_exact_class::<P>(request.size()) {
            return self.allocate_medium(class, layout, growth);
        }
        match self.layer.allocate_at_once(&mut self.large, class, request) {
            Some(block) => Some(block),
            // A call in tail position: what comes before saves no register.
            None => self.allocate_small_slow(class, layout, growth),
        }
    }

    /// Allocates a block of a class that has no block at hand as a cell, if that takes one step.
    /// The layout is no more aligned than every cell is.
    #[inline]
    pub(crate) fn allocate_at_once(&mut self, class: Class, layout: Layout) -> Option<NonNull<u8>> {
        self.layer.allocate_at_once(&mut self.large, class, Request::new(layout))
    }

    /// Allocates a small block of a slab that may have a free one.
    #[inline(never)]
    fn allocate_refilled(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        match self.layer.refill(class) {
            Some(block) => Some(block),
            None => self.allocate_small_slow(class, layout, growth),
        }
    }

    /// [`allocate_small`](Unchecked::allocate_small) for a block whose cell has no class of its own
    /// size: the search takes more registers.
    #[inline(never)]
    fn allocate_medium(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        match self.layer.allocate_at_once(&mut self.large, class, Request::new(layout)) {
            Some(block) => Some(block),
            None => self.allocate_small_slow(class, layout, growth),
        }
    }

    /// Allocates a small block that takes more than one step.
    #[cold]
    #[inline(never)]
    fn allocate_small_slow(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        match self.layer.allocate(&mut self.large, class, layout, growth) {
            Some(block) => Some(block),
            None => self.allocate_small_last(class, layout, growth),
        }
    }

    /// Allocates a small block for a request that would be refused, if the hook adds memory.
    #[cold]
    #[inline(never)]
    fn allocate_small_last(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        loop {
            self.settle();
            if !self.add_memory_for(layout, growth) {
                return None;
            }
            let block = self.layer.allocate(&mut self.large, class, layout, growth);
            if block.is_some() {
                return block;
            }
        }
    }

    /// Allocates a block that does not come from the layer.
    #[inline(never)]
    fn allocate_unusual(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let is_long = layout.align() <= CELL_ALIGN && layout.size() > SMALL_MAX;
        if P::COMPACT || !is_long {
            return self.allocate_odd(layout, growth);
        }
        if growth == Growth::Allowed && self.large.mapped.wants(layout) {
            if let Some(block) = self.large.allocate_mapped(layout) {
                return Some(block);
            }
        }
        self.allocate_long(layout, growth)
    }

    /// Allocates a long block that gets no mapping.
    #[inline(never)]
    fn allocate_long(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let request = Request::of_long(layout);
        match self.large.chunks.take_free(request, class_of_long::<P>(request.size())) {
            Some(block) => Some(block),
            None => self.allocate_unfreed(layout, growth),
        }
    }

    /// Allocates a long block for which no freed cell is long enough.
    #[inline(never)]
    fn allocate_unfreed(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let request = Request::of_long(layout);
        match self.layer.take_unfreed(&mut self.large, request, growth) {
            Some(block) => Some(block),
            None => self.allocate_last(layout, request, growth, true),
        }
    }

    /// Allocates a block that has no bytes, is more aligned than every cell is, or is short in a
    /// heap without a layer.
    #[inline(never)]
    fn allocate_odd(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let request = Request::new(layout);
        if growth == Growth::Allowed && self.large.mapped.wants(layout) {
            if let Some(block) = self.large.allocate_mapped(layout) {
                return Some(block);
            }
        }
        if P::COMPACT && !P::LayerOf::<P>::PRESENT {
            // Compact code has one function for the first and the last attempt.
            return self.allocate_last(layout, request, growth, false);
        }
        match self.layer.allocate_cell(&mut self.large, request, growth) {
            Some(block) => Some(block),
            None => self.allocate_last(layout, request, growth, true),
        }
    }

    /// Allocates a block for a request that would be refused, after the layer has given up all free
    /// memory that it held back. `has_tried` says whether the provider has refused the request.
    #[cold]
    #[inline(never)]
    fn allocate_last(
        &mut self,
        layout: Layout,
        request: Request,
        growth: Growth,
        has_tried: bool,
    ) -> Option<NonNull<u8>> {
        // A break that has just refused is not asked again if the layer held nothing back.
        let keeps_nothing = !P::LayerOf::<P>::PRESENT && B::CONTIGUOUS && !M::AVAILABLE;
        let is_vain = has_tried && keeps_nothing;
        let mut growth_now = if is_vain { Growth::Forbidden } else { growth };
        loop {
            self.flush();
            let mut block = self.large.allocate_last(layout, request, growth_now);
            if block.is_none() && self.layer.dissolve(&mut self.large) {
                self.flush();
                block = self.large.chunks.take_any(request);
                if block.is_none() && B::CONTIGUOUS {
                    // The top may have become longer, and less is missing.
                    block = self.large.chunks.take_new(request, growth_now);
                }
            }
            growth_now = growth;
            self.settle();
            if block.is_some() || !self.add_memory_for(layout, growth) {
                return block;
            }
        }
    }

    /// Calls the hook for a request that is about to be refused. Returns whether the heap has got
    /// memory.
    #[cold]
    fn add_memory_for(&mut self, layout: Layout, growth: Growth) -> bool {
        let Some(hook) = self.oom_hook.filter(|_| growth == Growth::Allowed) else { return false };
        if self.has_stopped() {
            return false;
        }
        let Some(memory) = hook(layout) else { return false };
        // SAFETY: memory of the hook fulfils `add_region`'s contract: the clause of
        // `Heap::set_out_of_memory_hook`.
        unsafe { self.large.chunks.add_expected(memory) }
    }

    /// Makes the layer forget its memory if the heap has stopped: it must not be touched any more.
    #[inline(always)]
    fn settle(&mut self) {
        if self.has_stopped() {
            self.layer.forget_all();
        }
    }

    /// Implements [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
    pub(crate) fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let may_be_fresh = B::ZEROED || M::ZEROED;
        if Self::class_of(layout).is_some() || !may_be_fresh {
            let block = self.allocate(layout, Growth::Allowed)?;
            // SAFETY: the block is new, and holds `layout.size()` bytes.
            unsafe { block.write_bytes(0, layout.size()) };
            return Some(block);
        }
        let request = Request::new(layout);
        if self.large.mapped.wants(layout) {
            if let Some(block) = self.large.allocate_mapped(layout) {
                if !M::ZEROED {
                    // SAFETY: the block is new, and holds `layout.size()` bytes.
                    unsafe { block.write_bytes(0, layout.size()) };
                }
                return Some(block);
            }
        }
        if let Some(block) = self.large.chunks.take_freed(request) {
            // SAFETY: the block is new, and holds `layout.size()` bytes.
            unsafe { block.write_bytes(0, layout.size()) };
            return Some(block);
        }
        if let Some(block) = self.large.chunks.take_top_zeroed(request, layout.size()) {
            return Some(block);
        }
        let block = self.allocate_last(layout, request, Growth::Allowed, true)?;
        // SAFETY: the block is new, and holds `layout.size()` bytes.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// Implements [`Heap::deallocate`](crate::Heap::deallocate).
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::deallocate`](crate::Heap::deallocate).
    #[inline(always)]
    pub(crate) unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // A longer block does not lie in a slab. For any other, the layer looks.
        if P::LayerOf::<P>::PRESENT && layout.size() <= P::LayerOf::<P>::LONGEST {
            // SAFETY: the block is live and given up: this method's clauses.
            return unsafe { self.layer.deallocate(&mut self.large, block) };
        }
        // SAFETY: the block is live and given up (this method's clauses), and lies in no slab, so
        // it has a header.
        unsafe { self.deallocate_large(block) };
    }

    /// Frees a block with a header: a cell, or one that has a mapping of its own.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::deallocate`](crate::Heap::deallocate); the block has a header.
    #[inline(never)]
    unsafe fn deallocate_large(&mut self, block: NonNull<u8>) {
        // SAFETY: the block is live, has a header, and is given up: this method's clauses.
        if self.large.has_lost(block) || unsafe { self.large.deallocate_mapped(block) } {
            return;
        }
        // SAFETY: the block is live and given up: this method's clauses. It has a header and no
        // mapping, so it is a cell.
        unsafe { self.layer.deallocate_cell(&mut self.large, block) };
    }

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
        if P::LayerOf::<P>::PRESENT && !P::CHECKED {
            let Some(class) = self.class_at(block) else {
                // SAFETY: the clauses are those of this method. The block lies in no slab.
                return unsafe { self.reallocate_cell(block, layout, new) };
            };
            let layer = &mut self.layer;
            // SAFETY: the clauses are those of this method.
            let resized = unsafe { layer.reallocate_at_hand(&mut self.large, block, new) };
            if resized.is_some() {
                return resized;
            }
            // SAFETY: the clauses are those of this method; the block lies in a slab of that class.
            return unsafe { self.reallocate_in_slab(block, layout, new, class) };
        }
        // SAFETY: the clauses are those of this method.
        let resized = unsafe { self.layer.reallocate_at_hand(&mut self.large, block, new) };
        if resized.is_some() {
            return resized;
        }
        // SAFETY: the clauses are those of this method; the block has not changed.
        unsafe { self.reallocate_unusual(block, layout, new) }
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
                Way::Shorten => self.shorten_cell(block, needed),
                Way::Lengthen => self.lengthen_cell(block, needed),
                Way::Move => self.move_cell(block, new),
            }
        }
    }

    /// Makes a cell shorter.
    ///
    /// # Safety
    ///
    /// The clauses of [`shorten`](Chunks::shorten) hold for the block's cell.
    #[inline(always)]
    unsafe fn shorten_cell(&mut self, block: NonNull<u8>, needed: usize) -> Option<NonNull<u8>> {
        // SAFETY: the block is a cell, and the clauses are those of this method.
        let is_due = unsafe {
            let cell = Cell::<P>::of_payload(block);
            self.layer.note_cell_resized(cell.header().size(), needed);
            self.large.chunks.shorten(cell, needed)
        };
        if is_due { self.trim_behind(block) } else { Some(block) }
    }

    /// Makes a cell longer, with the free cell behind it.
    ///
    /// # Safety
    ///
    /// The clauses of [`lengthen`](Chunks::lengthen) hold for the block's cell.
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
            Resized::To(moved) => return Some(moved),
            Resized::MustMove => {
                // SAFETY: the clauses are those of this method.
                let moved = unsafe { self.move_block(block, layout, new) };
                return moved.or((new.size() <= layout.size()).then_some(block));
            }
            Resized::Cell => {}
        }
        let len = layout.size().min(new.size());
        // SAFETY: the block is a cell; it needs the first `len` bytes only.
        let resized = unsafe { self.resize_cell(block, len, new) };
        if resized.is_some() {
            return resized;
        }
        if !P::LayerOf::<P>::PRESENT {
            // SAFETY: the block is live, and has this layout.
            return unsafe { self.move_block(block, layout, new) };
        }
        // SAFETY: the clauses are those of this method; the block has no mapping and lies in no
        // slab, so it is a cell.
        unsafe { self.move_or_resize(block, layout, new) }
    }

    /// Moves a block that is a cell and cannot be resized in place. If there is no room, tries to
    /// resize in place again: the layer has given up all free memory for the move.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate); the block is a cell.
    #[inline(never)]
    unsafe fn move_or_resize(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the block is live, and has this layout.
        let moved = unsafe { self.move_block(block, layout, new) };
        if moved.is_some() {
            return moved;
        }
        // SAFETY: the block is a cell, and its owner needs only the first bytes.
        unsafe { self.resize_cell_outlined(block, layout.size().min(new.size()), new) }
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

    /// Returns the class of the slab in which a block lies.
    #[inline(always)]
    fn class_at(&self, block: NonNull<u8>) -> Option<Class> {
        self.layer.class_at(block.addr().get())
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

    /// Implements [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr).
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr).
    #[inline]
    pub(crate) unsafe fn deallocate_by_ptr(&mut self, block: NonNull<u8>) {
        // If the heap has stopped, the header may lie in memory that was taken.
        if self.has_stopped() {
            return;
        }
        if P::LayerOf::<P>::PRESENT {
            // SAFETY: the block is live and given up: this method's clauses.
            return unsafe { self.layer.deallocate(&mut self.large, block) };
        }
        // SAFETY: the block is live and given up (this method's clauses), and has a header.
        unsafe { self.deallocate_large(block) };
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
        let is_aligned = block.addr().get() % new.align() == 0;
        for _ in 0..2 {
            if is_aligned {
                // SAFETY: the clauses are those of this method; `capacity` is the block's, and its
                // place is aligned for the layout.
                let resized = unsafe { self.resize_by_ptr(block, capacity, new) };
                if resized.is_some() {
                    return resized;
                }
            }
            // SAFETY: the clauses are those of this method; `capacity` is the block's.
            let moved = unsafe { self.move_by_ptr(block, capacity, new) };
            if moved.is_some() || self.has_stopped() {
                return moved;
            }
            // The layer has given up all free memory for the move: the block may have room now.
        }
        (is_aligned && new.size() <= capacity).then_some(block)
    }

    /// Resizes a block in place or by remapping; `None` if that is not possible.
    ///
    /// # Safety
    ///
    /// The clauses of [`reallocate_by_ptr`](Unchecked::reallocate_by_ptr); the block has `capacity`
    /// bytes, and its place is aligned for the new layout.
    unsafe fn resize_by_ptr(
        &mut self,
        block: NonNull<u8>,
        capacity: usize,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        if self.class_at(block).is_some() {
            // It stays if the new size is smaller but above half of the old one.
            let stays = new.size() > capacity / 2 && new.size() <= capacity;
            return stays.then_some(block);
        }
        // SAFETY: the block is live (a clause of `reallocate_by_ptr`) and lies in no slab, so it
        // has a header.
        match unsafe { self.large.reallocate_mapped(block, new) } {
            Resized::To(moved) => return Some(moved),
            Resized::MustMove => return None,
            Resized::Cell => {}
        }
        // SAFETY: the block is a cell, and its owner needs only the first bytes.
        unsafe { self.resize_cell_outlined(block, capacity.min(new.size()), new) }
    }

    /// Moves a block of `capacity` bytes to a new one.
    ///
    /// # Safety
    ///
    /// The clauses of [`reallocate_by_ptr`](Unchecked::reallocate_by_ptr); the block has `capacity`
    /// bytes.
    unsafe fn move_by_ptr(
        &mut self,
        block: NonNull<u8>,
        capacity: usize,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let moved = self.allocate(new, Growth::Allowed)?;
        // SAFETY: the blocks do not overlap, and each holds the copied bytes, rounded up to whole
        // words. The caller gives up the old block (this method's clause).
        unsafe {
            copy_down::<P>(block, moved, capacity.min(new.size()));
            self.deallocate_by_ptr(block);
        }
        Some(moved)
    }

    /// Returns the usable size of a block, in bytes; 0 in a heap that has stopped.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap.
    pub(crate) unsafe fn capacity(&self, block: NonNull<u8>) -> usize {
        if self.has_stopped() {
            return 0;
        }
        match self.class_at(block) {
            Some(class) => class.size(),
            // SAFETY: the block is live (this method's clause) and lies in no slab, so it has a
            // header.
            None => unsafe { self.large.capacity(block) },
        }
    }

    /// Implements [`Heap::reserve`](crate::Heap::reserve).
    pub(crate) fn reserve(&mut self, layout: Layout) -> Result<(), BreakError> {
        let request = Request::new(layout);
        self.layer.note_reserved();
        if self.chunks().has_freed(request) {
            return Ok(());
        }
        let mut answer = self.large.chunks.make_room(request);
        if answer.is_err() && !self.has_stopped() {
            self.flush();
            let has_room = self.has_room_now(request)
                || self.layer.dissolve(&mut self.large) && {
                    self.flush();
                    self.has_room_now(request)
                };
            if has_room {
                answer = Ok(());
            } else if !B::CONTIGUOUS && self.large.chunks.trim(0) > 0 {
                answer = self.large.chunks.make_room(request);
            }
        }
        self.settle();
        answer
    }

    /// Returns whether there is room for a request after the layer has given memory up. That may
    /// have become part of the top.
    fn has_room_now(&mut self, request: Request) -> bool {
        self.chunks().has_any(request)
            || P::LayerOf::<P>::PRESENT && self.large.chunks.make_room(request).is_ok()
    }

    /// Frees all memory that the layer holds back.
    pub(crate) fn flush(&mut self) {
        if !self.has_stopped() {
            self.layer.flush(&mut self.large);
        }
    }

    /// Implements [`Heap::trim`](crate::Heap::trim).
    pub(crate) fn trim(&mut self, keep: usize) -> usize {
        self.flush();
        let by = self.large.chunks.trim(keep);
        self.settle();
        by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Heap;
    use crate::profile::{Plain, Small};
    use crate::provider::{FixedBreak, NoMap};
    use std::boxed::Box;

    #[test]
    fn reserve_finds_every_cell_that_allocate_finds() {
        reserve_finds_every_cell::<Plain>();
        reserve_finds_every_cell::<Small>();
    }

    fn reserve_finds_every_cell<P: Profile>() {
        const LONG: usize = 4400;
        let no_break = FixedBreak::from_array(Box::leak(Box::new([])));
        let mut heap = Heap::<_, _, P>::with_profile(no_break, NoMap);
        // A bounded search looks at fewer cells of one class; only the first one is long enough.
        for len in [LONG, 4300, 4300, 4300, 4300, 4300, 4300] {
            let memory: &mut [u64] = Box::leak(Box::new([0; 1000]));
            // SAFETY: the memory is leaked and long enough, and nothing else uses it.
            unsafe { heap.add_region(memory.as_mut_ptr().cast(), len) }.unwrap();
        }
        let layout = Layout::from_size_align(LONG - 5 * WORD, 8).unwrap();
        assert_eq!(heap.reserve(layout.size()), Ok(()));
        // SAFETY: the heap outlives the block.
        assert!(unsafe { heap.allocate(layout) }.is_some());
    }
}
