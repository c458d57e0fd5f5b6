//! What all slots share, and every caller finds without a lock: the slots, and the map of segments.
//!
//! It lies in a block of the parent, which the first operation makes, and stays there.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::slot::{LEVELS, Slot};
use super::sync::{AtomicUsize, Ordering};
use crate::segments::{Owner, SegmentMap};

/// Level of interrupt handlers.
pub(super) const NESTED: usize = 1;

/// Minimum growth of all arenas after which idle ones are tidied up, in bytes.
const LEAST_GROWTH: usize = 4 << 20;

/// Denominator of the share of itself by which the arenas grow until idle ones are tidied up.
const GROWTH_SHARE: usize = 4;

/// What all slots share.
///
/// # Invariants
///
/// * `slots` leads to `len` slots, behind this in the same block. The arena at `level` of slot `s`
///   is owner number `s · LEVELS + level`
/// * a slot that is not new has a number below `reached`
#[repr(C)]
pub(super) struct Shared<T> {
    // What every operation reads comes first, and apart from what is written now and then.
    slots: NonNull<Slot<T>>,
    len: usize,
    pub(super) map: SegmentMap,
    /// Number of slots that are abandoned, or claimed.
    pub(super) abandoned: AtomicUsize,
    /// Number of the first slot of those that are all new. Their memory need not be examined, and
    /// most of it may never have been touched.
    reached: AtomicUsize,
    /// Number of the slot that is examined next, and tidied up if it is abandoned.
    turn: AtomicUsize,
    /// Bytes of the segments of all arenas.
    pub(super) granted: AtomicUsize,
    /// Bytes of segments beyond which idle arenas are tidied up.
    limit: AtomicUsize,
}

impl<T> Shared<T> {
    /// Returns the layout for `slots` slots, and the offset of the slots in it.
    pub(super) fn layout(slots: usize) -> Option<(Layout, usize)> {
        Layout::new::<Self>().extend(Layout::array::<Slot<T>>(slots).ok()?).ok()
    }

    /// Maximum number of slots.
    pub(super) const MOST_SLOTS: usize = u16::MAX as usize / LEVELS;

    /// Makes zeroed memory what `len` slots share.
    ///
    /// # Safety
    ///
    /// The memory is zeroed, has the layout that [`layout`](Shared::layout) returns, with the slots
    /// at `offset`, and belongs to the caller.
    pub(super) unsafe fn begin(memory: NonNull<u8>, len: usize, offset: usize) -> NonNull<Self> {
        let shared = memory.cast::<Self>();
        // SAFETY: slots and fields lie in the block. Of the other fields zero is a valid value.
        unsafe {
            (&raw mut (*shared.as_ptr()).slots).write(memory.add(offset).cast());
            (&raw mut (*shared.as_ptr()).len).write(len);
            shared.as_ref().map.begin_at(memory.addr().get());
        }
        shared
    }

    /// Returns the number of slots.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the slot with this number, if there is one.
    #[inline(always)]
    pub(super) fn slot(&self, number: usize) -> Option<&Slot<T>> {
        if number >= self.len {
            return None;
        }
        // SAFETY: `slots` leads to `len` slots (the type's invariant), which are only ever shared.
        Some(unsafe { self.slots.add(number).as_ref() })
    }

    /// Notes that the slot with this number is about to be attached for the first time.
    pub(super) fn reach(&self, number: usize) {
        self.reached.fetch_max(number + 1, Ordering::Relaxed);
    }

    /// Returns all slots that were ever attached, and maybe some new ones.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot<T>> {
        (0..self.reached.load(Ordering::Relaxed)).filter_map(|number| self.slot(number))
    }

    /// Returns the next `most` of them in turn.
    pub(super) fn next_slots(&self, most: usize) -> impl Iterator<Item = &Slot<T>> {
        let reached = self.reached.load(Ordering::Relaxed);
        let most = most.min(reached);
        let first = self.turn.fetch_add(most, Ordering::Relaxed);
        (0..most).filter_map(move |step| self.slot(first.wrapping_add(step) % reached))
    }

    /// Returns the bytes of the segments of all arenas.
    pub(super) fn granted(&self) -> usize {
        self.granted.load(Ordering::Relaxed)
    }

    /// Returns whether the arenas have so much memory that idle ones should be tidied up.
    pub(super) fn is_reclaim_due(&self) -> bool {
        self.granted() > self.limit.load(Ordering::Relaxed)
    }

    /// Notes that idle arenas were tidied up, or are about to be: again when all arenas have grown
    /// by a share.
    pub(super) fn note_reclaimed(&self) {
        let bytes = self.granted();
        let limit = bytes.saturating_add((bytes / GROWTH_SHARE).max(LEAST_GROWTH));
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns the slot of an owner, and its level there.
    pub(super) fn slot_of(&self, owner: Owner) -> Option<(&Slot<T>, usize)> {
        let index = owner.index()?;
        Some((self.slot(index / LEVELS)?, index % LEVELS))
    }
}

/// Slot of a caller; `None`: the caller is on no slot.
pub(super) type Place<'heap, T> = Option<&'heap Slot<T>>;
