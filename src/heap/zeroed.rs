//! `calloc`: blocks of zeros, and not a write more than that takes (C7).

use core::alloc::Layout;
use core::ptr::NonNull;

#[cfg(feature = "checked")]
use super::checked::guarded;
use super::extent::Extent;
use super::{Heap, Request};
use crate::cell::WORD;
use crate::provider::{Break, Map};
use crate::small::Class;

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Allocates a block of zeros (C7). What comes fresh from a provider whose memory is
    /// [zeroed](Break::ZEROED) is not written to: if its pages appear on first touch, they do
    /// not appear for this.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Heap::allocate).
    ///
    /// # Time
    ///
    /// As for [`allocate`](Heap::allocate), plus O(bytes that are not known to be zero).
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_allocate_zeroed(layout));
        if self.small_class_of(layout).is_some() || !B::ZEROED && !M::ZEROED {
            // SAFETY: the caller's promise.
            let payload = unsafe { self.allocate(layout) }?;
            // SAFETY: the block is new, and holds `layout.size()` bytes.
            unsafe { payload.write_bytes(0, layout.size()) };
            return Some(payload);
        }
        let request = Request::new(layout);
        if Class::of(layout).is_none() {
            self.small.large_requested();
        }
        if self.wants_mapping(layout)
            && let Some(payload) = self.allocate_mapped(layout)
        {
            if !M::ZEROED {
                // SAFETY: the block is new, and holds `layout.size()` bytes.
                unsafe { payload.write_bytes(0, layout.size()) };
            }
            return Some(payload);
        }
        if let Some(payload) = self.take_freed(request) {
            // SAFETY: the block is new, and holds `layout.size()` bytes.
            unsafe { payload.write_bytes(0, layout.size()) };
            return Some(payload);
        }
        let mut fresh = self.extent.as_ref().map(Extent::fresh);
        let payload = match self.take_from_top(request) {
            Some(payload) => payload,
            None => {
                if self.make_room(request).is_ok() {
                    fresh = self.extent.as_ref().map(Extent::fresh);
                    self.take_from_top(request)?
                } else {
                    fresh = None;
                    self.take_flushed(request)?
                }
            }
        };
        // SAFETY: the block is new, holds `layout.size()` bytes, and came from the top when the
        // memory was fresh from `fresh` on.
        unsafe { self.zero_what_is_not_fresh(payload, layout.size(), fresh.filter(|_| B::ZEROED)) };
        Some(payload)
    }

    /// Zeroes a block that was cut from the top, up to where its memory is fresh.
    ///
    /// # Safety
    ///
    /// The block is new, holds `size` bytes, and was cut from the top when everything from `fresh`
    /// on was zero, except the last word of the top. `None`: nothing is known.
    unsafe fn zero_what_is_not_fresh(
        &self,
        payload: NonNull<u8>,
        size: usize,
        fresh: Option<usize>,
    ) {
        let start = payload.addr().get();
        let dirty = fresh.map_or(size, |fresh| fresh.saturating_sub(start).min(size));
        // SAFETY: inside the block.
        unsafe { payload.write_bytes(0, dirty) };
        // If it took the whole top, the top's size at its end is now the block's last word.
        let end = self.extent.as_ref().map_or(0, |extent| extent.fence().addr());
        let last_word = end.saturating_sub(WORD).saturating_sub(start).max(dirty);
        if last_word < size {
            // SAFETY: inside the block.
            let last_word_of_block = unsafe { payload.add(last_word) };
            // SAFETY: from there to the end of the block.
            unsafe { last_word_of_block.write_bytes(0, size - last_word) };
        }
    }

    /// `calloc`: allocates `count` elements, one behind the other, and fills them with zeros (C7).
    /// The product is checked.
    ///
    /// # Errors
    ///
    /// `None` if no address space holds so many elements, and as for [`allocate`](Heap::allocate).
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn allocate_zeroed_array(
        &mut self,
        count: usize,
        element: Layout,
    ) -> Option<NonNull<u8>> {
        let size = element.pad_to_align().size().checked_mul(count)?;
        let layout = Layout::from_size_align(size, element.align()).ok()?;
        // SAFETY: the caller's promise.
        unsafe { self.allocate_zeroed(layout) }
    }
}
