//! Middling blocks of an arena that were freed, and for which the front cache has no room: where
//! some is made.
//!
//! ```text
//!   deallocate ─► its list ──(full)──► the list may be longer by one, within the limit of all middling blocks
//!                                                └──(not within it)──► others lose room, a few in turn, with what they have there
//!                                      or it is as long as any may be: merged with its neighbours
//! ```
//!
//! So what is kept is what is freed often, be it of one class or of all. To merge a cell with its
//! neighbours, and to cut it again for the next request, touches half a dozen places of memory; to
//! keep it touches one.

use core::ptr::NonNull;

use super::{Front, SmallBlocks};
use crate::cell::{Cell, WORD};
use crate::chunks::Tuning;
use crate::large::Large;
use crate::provider::{Map, Source};

/// So many classes lose room for one block, at most, where there is none for another.
const CLASSES_NARROWED: usize = 4;

impl<P: Tuning> SmallBlocks<P> {
    /// Keeps a cell that its caller gives up in the front cache, if it is a middling block, and
    /// there is room, or can be. O(1).
    ///
    /// # Safety
    ///
    /// If the answer is true, the cell is the cache's: `payload` is that of a valid used cell, and
    /// nobody uses it any more.
    pub(crate) unsafe fn keep_medium_block<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) -> bool {
        // SAFETY: the caller's promise.
        let cell = unsafe { Cell::<P>::of_payload(payload) };
        // SAFETY: as above.
        let capacity = unsafe { cell.header() }.size() - WORD;
        let Some(front) = Front::held_by(capacity) else { return false };
        // SAFETY: the caller gives the block up, and it holds this class.
        (self.cache.has_room(front) || self.make_room_in_front(large, front))
            && unsafe { self.cache.push(front, payload) }
    }

    /// Frees a block that is a cell: keeps it, if there is room for it.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell, and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn keep_or_free<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: the clauses are those of this method; a cell that was not kept is as before.
        unsafe {
            if !self.keep_medium_block(large, payload) {
                large.chunks.free_and_trim(payload);
            }
        }
    }

    /// Makes room for one more block of a class. What others had there is freed.
    fn make_room_in_front<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        front: Front,
    ) -> bool {
        if !self.cache.may_widen(front) {
            return false;
        }
        let mut narrowed = 0;
        while !self.cache.widen(front) {
            if narrowed == CLASSES_NARROWED {
                return false;
            }
            narrowed += 1;
            if let Some(block) = self.cache.narrow_next() {
                // SAFETY: a middling block is a cell, which nobody uses.
                unsafe { large.chunks.free(block) };
            }
        }
        true
    }
}
