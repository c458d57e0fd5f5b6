//! Where an arena has its memory from: segments, which are cells of the parent.
//!
//! ```text
//!   the arena's heap ─► grow ─► is there a retired arena that has something to give back?  (adoption)
//!                               a segment of the parent, and an entry in the map for each of its units
//!                    ─► give_back ─► the entries are gone, the segment is a free cell of the parent
//! ```
//!
//! A segment is as long as an eighth of what the arena has, so that an arena has few of them, and
//! wastes little in the last one; and has room for a few of what it was needed for, so that little
//! is left over where one more does not fit.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::adopt::adopt;
use super::arena::Arena;
use super::parent::Parent;
use super::shared::{Place, Shared};
use super::slot::Slot;
use crate::lock::RawLock;
use crate::provider::{Break, BreakError, Map};
use crate::small::segments::{Owner, UNIT, layout_of, units_for};

/// The part of what an arena has that it asks for at once.
const SHARE: usize = 8;

/// How many blocks a segment holds, if it can be had so long, of the size that it was asked for.
const FEW: usize = 4;

/// But not more units than this, unless it must.
const MOST_UNITS: usize = (8 << 20) / UNIT;

/// How many slots are looked at, whether they are retired and have something to give back, before
/// the parent is asked.
const ADOPTED_AT_ONCE: usize = 16;

/// Who gives the memory, and on whose slot.
pub(super) struct Source<'heap, B, M, L> {
    pub(super) parent: &'heap Parent<B, M, L>,
    pub(super) shared: &'heap Shared<Arena<B, M, L>>,
    pub(super) place: Place<'heap, Arena<B, M, L>>,
}

impl<B, M, L> Clone for Source<'_, B, M, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B, M, L> Copy for Source<'_, B, M, L> {}

/// The provider of an arena's heap.
///
/// # Invariants
///
/// * `shared` stays as long as the arena
/// * whenever the arena's heap may call its provider, `parent` is its parent, and `slot` where the
///   caller is
pub(super) struct Supply<B, M, L> {
    owner: Owner,
    /// End of the last segment.
    end: *mut u8,
    /// Bytes for cells in all segments.
    bytes: usize,
    shared: NonNull<Shared<Arena<B, M, L>>>,
    parent: Option<NonNull<Parent<B, M, L>>>,
    slot: Option<NonNull<Slot<Arena<B, M, L>>>>,
}

impl<B, M, L> Supply<B, M, L> {
    pub(super) const fn new(owner: Owner, shared: NonNull<Shared<Arena<B, M, L>>>) -> Self {
        Self { owner, end: ptr::null_mut(), bytes: 0, shared, parent: None, slot: None }
    }

    /// Sets where memory comes from. The parent may be somewhere else the next time: a heap whose
    /// blocks are all freed can be moved.
    ///
    /// # Safety
    ///
    /// It is said again before the provider is called, once `parent` is not valid any more.
    #[inline(always)]
    pub(super) unsafe fn set_parent(&mut self, parent: &Parent<B, M, L>) {
        self.parent = Some(NonNull::from(parent));
    }

    /// Sets on which slot whoever uses the arena is. Returns the slot that was said before.
    ///
    /// # Safety
    ///
    /// The slot is one of `shared`. It is said again before somebody else uses the arena.
    pub(super) const unsafe fn set_slot(
        &mut self,
        slot: Option<NonNull<Slot<Arena<B, M, L>>>>,
    ) -> Option<NonNull<Slot<Arena<B, M, L>>>> {
        core::mem::replace(&mut self.slot, slot)
    }

    /// Bytes for cells in all segments.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn source<'heap>(&self) -> Option<Source<'heap, B, M, L>> {
        // SAFETY: the type's invariant.
        let parent = unsafe { self.parent?.as_ref() };
        // SAFETY: it stays.
        let shared = unsafe { self.shared.as_ref() };
        // SAFETY: slots stay.
        let slot = self.slot.map(|slot| unsafe { slot.as_ref() });
        Some(Source { parent, shared, place: Place::new(slot) })
    }
}

impl<B: Break, M: Map, L: RawLock> Supply<B, M, L> {
    /// A block of the parent for what the arena is made of.
    pub(super) fn part(&self, layout: Layout) -> Option<NonNull<u8>> {
        let Source { parent, place, .. } = self.source()?;
        // SAFETY: the parent lives as long as its arenas.
        parent.with(place, |heap| unsafe { heap.allocate(layout) })?
    }

    /// A segment of at least `least` units, and of `most` if it can be had.
    fn segment(
        &mut self,
        source: Source<'_, B, M, L>,
        least: usize,
        most: usize,
    ) -> Option<NonNull<[u8]>> {
        let Source { parent, shared, place } = source;
        let owner = self.owner;
        parent.with(place, |heap| {
            [most, least].into_iter().find_map(|units| {
                let layout = layout_of(units)?;
                // SAFETY: the parent lives as long as its arenas.
                let start = unsafe { heap.allocate(layout) }?;
                // SAFETY: as above.
                let part = |layout| unsafe { heap.allocate_zeroed(layout) };
                // SAFETY: with the parent locked; the map's parts are blocks of the parent.
                let reached = unsafe { shared.map.reach(start.addr().get(), units, part) };
                if !reached {
                    // SAFETY: just allocated.
                    unsafe { heap.deallocate(start, layout) };
                    return None;
                }
                // SAFETY: a new block of the parent, as long as that.
                Some(unsafe { shared.map.assign(start, units, owner) })
            })
        })?
    }
}

// SAFETY: a segment is a block of the parent, which is the arena's until it is freed. Between two
// of them lies the header of a cell of the parent's, so they never touch.
unsafe impl<B: Break, M: Map, L: RawLock> Break for Supply<B, M, L> {
    const ZEROED: bool = false;
    const SCATTERED: bool = true;

    fn granule(&self) -> usize {
        1
    }

    fn end(&self) -> *mut u8 {
        self.end
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let source = self.source().ok_or(BreakError::Refused)?;
        adopt(source, ADOPTED_AT_ONCE);
        let least = units_for(by);
        let most = (self.bytes / SHARE / UNIT)
            .max(units_for(by.saturating_mul(FEW)))
            .min(MOST_UNITS)
            .max(least);
        let piece = self.segment(source, least, most).ok_or(BreakError::OutOfMemory)?;
        self.bytes += piece.len();
        self.end = piece.cast::<u8>().as_ptr().wrapping_add(piece.len());
        Ok(piece)
    }

    unsafe fn shrink(&mut self, _by: usize) -> Result<(), BreakError> {
        Err(BreakError::Refused)
    }

    unsafe fn give_back(&mut self, piece: NonNull<[u8]>) {
        let Some(Source { parent, shared, place }) = self.source() else { return };
        self.bytes -= piece.len();
        if let Some(start) =
            shared.map.forget(piece.cast::<u8>().addr().get(), units_for(piece.len()))
        {
            // SAFETY: a block of the parent, which the arena has given up.
            unsafe { parent.free(place, start, None) };
        }
    }
}
