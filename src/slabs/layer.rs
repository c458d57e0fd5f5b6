//! Slabs as the layer of a heap: each operation by its name in [`Layer`].

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::{Descriptors, FreeList, SlabMap, Slabs};
use crate::cell::{Cell, copy_down};
use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::layer::{InSlab, Layer};
use crate::link_copy::BrokenLink;
use crate::provider::{Map, Source};
use crate::quota::Quota;
use crate::request::Request;
use crate::size_class::Class;

// SAFETY: a block of a class is one of a slab of it or of a larger class, or a cell: as long and as
// aligned as its layout asks. It is in no list while a caller has it.
unsafe impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Layer<P> for Slabs<P, G, N> {
    const NEW: Self = Self {
        lists: [const { FreeList::EMPTY }; N],
        heads: [None; N],
        granules: [0; N],
        cells: [0; N],
        waits: [0; N],
        map: G::NEW,
        is_reserved: false,
        wanted: (0, 0),
        descriptors: Descriptors::new(),
        slabs: 0,
        on_loan: [false; N],
        loan: 0,
        empty: 0,
        searched_at: 0,
        quota: if G::HAS_QUOTA { Quota::NONE } else { Quota::UNUSED },
        broken: None,
        profile: PhantomData,
    };

    const PRESENT: bool = true;

    const LONGEST: usize = Class::longest::<N>();

    #[inline(always)]
    fn class_of(layout: Layout) -> Option<Class> {
        Class::of::<N>(layout)
    }

    #[inline(always)]
    fn pop(&mut self, class: Class) -> Option<NonNull<u8>> {
        if P::CHECKED {
            self.watch(class);
        }
        // SAFETY: the blocks of a class's list are free, and in memory of the heap: the type's
        // invariant.
        unsafe { self.list(class).pop() }
    }

    #[inline(always)]
    fn may_refill(&self, class: Class) -> bool {
        let index = class.index();
        // SAFETY: callers pass the first `N` classes only: those that `class_of` returns.
        unsafe { core::hint::assert_unchecked(index < N) };
        self.heads[index].is_some()
    }

    #[inline(always)]
    fn refill(&mut self, class: Class) -> Option<NonNull<u8>> {
        self.refill_inline::<true>(class)
    }

    #[inline(always)]
    fn allocate_at_once<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        request: Request,
    ) -> Option<NonNull<u8>> {
        let index = class.index();
        // SAFETY: callers pass the first `N` classes only: those that `class_of` returns.
        unsafe { core::hint::assert_unchecked(index < N) };
        if P::CHECKED || self.waits[index] <= 1 {
            return None;
        }
        debug_assert!(!request.is_over_aligned());
        let block = large.chunks.take_at_once(request)?;
        self.waits[index] -= 1;
        self.count_cell(block);
        Some(block)
    }

    #[inline(always)]
    fn allocate<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if self.heads[class.index()].is_some() {
            if let Some(block) = self.refill_list(class) {
                return Some(block);
            }
        }
        self.allocate_more(large, class, layout, growth)
    }

    #[inline(always)]
    unsafe fn deallocate<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
    ) {
        match self.map.word_at_hand(block.addr().get()) {
            // SAFETY: words of the map lead to valid descriptors: the clause of `SlabMap`.
            Some(at) => unsafe { self.push_to(large, at, block) },
            // SAFETY: the clauses are those of this method.
            None => unsafe { self.push_beyond(large, block) },
        }
    }

    #[inline(never)]
    fn take_new<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        // What the slabs can give back comes first.
        if self.empty > 0 {
            self.release_empty(large);
            if let Some(block) = large.chunks.take(request) {
                return Some(block);
            }
        }
        if growth == Growth::Allowed && self.dissolve_if_due(large) {
            if let Some(block) = large.chunks.take(request) {
                return Some(block);
            }
        }
        large.chunks.take_new(request, growth)
    }

    #[inline(always)]
    fn count_cell(&mut self, payload: NonNull<u8>) {
        // SAFETY: a new cell has a valid header.
        self.count(unsafe { Cell::<P>::of_payload(payload).header() }.size());
    }

    #[inline(always)]
    unsafe fn deallocate_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: the cell is valid, and nothing uses it: this method's clause.
        let may_be_due = unsafe {
            self.uncount(Cell::<P>::of_payload(payload).header().size());
            large.chunks.free_inline(payload)
        };
        if may_be_due {
            self.trim_if_due(large);
        }
    }

    #[inline(always)]
    fn note_cell_resized(&mut self, old: usize, new: usize) {
        self.uncount(old);
        self.count(new);
    }

    #[inline(always)]
    unsafe fn reallocate_at_hand<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let at = self.map.slab_at(block.addr().get())?;
        // SAFETY: descriptors of slabs are valid.
        let old = unsafe { at.as_ref() }.class;
        let class = Class::of::<N>(new)?;
        let is_little_smaller = class < old && new.size() > old.size() / 2;
        if class == old || is_little_smaller && old.size() % new.align() == 0 {
            return Some(block);
        }
        let moved = match self.pop(class) {
            Some(moved) => moved,
            None => self.refill_list(class)?,
        };
        // SAFETY: two blocks, which do not overlap, each at least as long as the copied bytes, in
        // whole words. The caller gives the old block up.
        unsafe {
            copy_down::<P>(block, moved, old.size().min(new.size()));
            self.push_to(large, at, block);
        }
        Some(moved)
    }

    #[inline(always)]
    fn class_at(&self, address: usize) -> Option<Class> {
        // SAFETY: the descriptor of a slab is valid: the type's invariant.
        self.map.slab_at(address).map(|slab| unsafe { slab.as_ref() }.class)
    }

    fn is_internal(&self, payload: NonNull<u8>) -> bool {
        self.map.is_part(payload) || self.descriptors.is_table(payload)
    }

    fn flush<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        self.give_up(large);
    }

    fn dissolve<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) -> bool {
        self.dissolve_sparse(large, 1)
    }

    fn note_reserved(&mut self) {
        self.is_reserved = true;
    }

    #[cold]
    #[inline(never)]
    fn forget_all(&mut self) {
        *self = <Self as Layer<P>>::NEW;
    }

    fn in_slab(&self, block: NonNull<u8>) -> Option<InSlab> {
        let address = block.addr().get();
        // SAFETY: the descriptor of a slab is valid: the type's invariant.
        let slab = unsafe { self.map.slab_at(address)?.as_ref() };
        let (start, size) = (slab.start.addr().get(), slab.class.size());
        let index = (address - start) / size;
        let around = (index < usize::from(slab.total)).then_some(start + index * size);
        Some(InSlab { class: slab.class, around })
    }

    fn is_free_in_slab(&self, block: NonNull<u8>) -> bool {
        let address = block.addr().get();
        let Some(at) = self.map.slab_at(address) else { return false };
        // SAFETY: the descriptor of a slab is valid: the type's invariant.
        let slab = unsafe { at.as_ref() };
        let class = slab.class;
        let is_block = |other| slab.index_of(other).is_some();
        let has = |list: &FreeList| {
            // SAFETY: `is_block` accepts only blocks of the slab.
            let mut blocks = unsafe { list.addresses(is_block) }.take(usize::from(slab.total));
            blocks.any(|other| other == address)
        };
        !is_block(address)
            || has(&slab.free)
            || self.heads[class.index()] == Some(at) && has(&self.lists[class.index()])
    }

    fn take_broken(&mut self) -> Option<BrokenLink> {
        self.broken.take()
    }
}
