//! Zeroed blocks from the top: fresh memory that reads as zero is not written to (C7).

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::cell::WORD;
use crate::provider::Source;
use crate::request::Request;
use crate::space::Extent;

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Takes a cell for the request from the top, and zeroes the first `size` bytes of its payload,
    /// as far as they are not fresh. Moves the break up if necessary.
    pub(crate) fn take_top_zeroed(&mut self, request: Request, size: usize) -> Option<NonNull<u8>> {
        let fresh_now = |chunks: &Self| chunks.space.extent().map(Extent::fresh);
        let mut fresh = fresh_now(self);
        let payload = match self.take_top(request) {
            Some(payload) => payload,
            None => {
                self.make_room(request).ok()?;
                fresh = fresh_now(self);
                self.take_top(request)?
            }
        };
        // The block was split off the top when everything from `fresh` on was zero, except the last
        // word of the top.
        let start = payload.addr().get();
        let fresh = fresh.filter(|_| B::ZEROED);
        let dirty = fresh.map_or(size, |fresh| fresh.saturating_sub(start).min(size));
        // If the block took the whole top, its last word is the former size at the top's end.
        let end = self.space.extent().map_or(0, |extent| extent.fencepost().addr());
        let last_word = end.saturating_sub(WORD).saturating_sub(start).max(dirty);
        // SAFETY: the block is new, and both ranges lie inside its `size` bytes: `dirty ≤ size`,
        // and `last_word < size` where it is used.
        unsafe {
            payload.write_bytes(0, dirty);
            if last_word < size {
                payload.add(last_word).write_bytes(0, size - last_word);
            }
        }
        Some(payload)
    }
}
