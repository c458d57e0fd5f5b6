//! Allocates a block: from the layer, as a cell, or as a mapping.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Unchecked;
use crate::bins::Classes;
use crate::cell::CELL_ALIGN;
use crate::chunks::Growth;
use crate::layer::Layer;
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::request::Request;
use crate::size_class::{Class, SMALL_MAX};

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
    fn allocate_small(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if self.layer.may_refill(class) {
            return self.allocate_refilled(class, layout, growth);
        }
        let request = Request::new(layout);
        if request.size() >= P::Classes::EXACT_BELOW {
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
        if growth == Growth::Allowed && self.large.mapped.wants(layout) {
            if let Some(block) = self.large.allocate_mapped(layout) {
                return Some(block);
            }
        }
        let is_long = layout.align() <= CELL_ALIGN && layout.size() > SMALL_MAX;
        if P::COMPACT || !is_long {
            return self.allocate_odd(layout, growth);
        }
        self.allocate_long(layout, growth)
    }

    /// Allocates a long block that gets no mapping.
    #[inline(never)]
    fn allocate_long(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let request = Request::of_long(layout);
        match self.large.chunks.take_free(request, P::Classes::class_of_long(request.size())) {
            Some(block) => Some(block),
            None => self.allocate_unfreed(layout, growth),
        }
    }

    /// Allocates a long block for which no freed cell is long enough.
    #[inline(never)]
    fn allocate_unfreed(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let request = Request::of_long(layout);
        if let Some(block) = self.large.chunks.take_top(request) {
            return Some(block);
        }
        match self.layer.take_new(&mut self.large, request, growth) {
            Some(block) => Some(block),
            None => self.allocate_last(layout, request, growth, true),
        }
    }

    /// Allocates a block that gets no mapping and has no bytes, is more aligned than every cell is,
    /// or is short in a heap without a layer.
    #[inline(never)]
    fn allocate_odd(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        let request = Request::new(layout);
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

    /// Implements [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
    pub(crate) fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let may_be_fresh = B::ZEROED || M::ZEROED;
        let (block, is_zeroed) = if Self::class_of(layout).is_some() || !may_be_fresh {
            (self.allocate(layout, Growth::Allowed)?, false)
        } else {
            self.allocate_fresh(layout)?
        };
        if !is_zeroed {
            // SAFETY: the block is new, and holds `layout.size()` bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        Some(block)
    }

    /// Allocates a block whose memory may be fresh. Returns whether its bytes are zeros.
    fn allocate_fresh(&mut self, layout: Layout) -> Option<(NonNull<u8>, bool)> {
        let request = Request::new(layout);
        if self.large.mapped.wants(layout) {
            if let Some(block) = self.large.allocate_mapped(layout) {
                return Some((block, M::ZEROED));
            }
        }
        if let Some(block) = self.large.chunks.take_freed(request) {
            return Some((block, false));
        }
        if let Some(block) = self.large.chunks.take_top_zeroed(request, layout.size()) {
            return Some((block, true));
        }
        Some((self.allocate_last(layout, request, Growth::Allowed, true)?, false))
    }
}
