//! What all slots share, and everybody finds without a lock: the slots, and the map of whose memory
//! is whose.
//!
//! It lies in a block of the parent, is made with the first operation, and stays where it is.

use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::NonNull;

use super::mailbox::Mailbox;
use super::slot::{LEVELS, Slot};
use super::sync::{AtomicUsize, Ordering};
use crate::segments::{Owner, SegmentMap};

/// The level of those who interrupt.
pub(super) const NESTED: usize = 1;

/// An arena, as far as those know it who are not in it.
pub(super) trait HasMailbox {
    /// Where blocks go that others have freed.
    fn mailbox(&self) -> &Mailbox;
}

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
    /// Slots that are abandoned, or claimed.
    pub(super) abandoned: AtomicUsize,
    /// Slots from this number on are new: nobody has to look at their memory, of which most may
    /// never have been touched.
    reached: AtomicUsize,
    /// The slot that is looked at next for what may be tidied up.
    turn: AtomicUsize,
    /// Bytes of the segments of all arenas.
    granted: AtomicUsize,
    /// Bytes of segments up to which idle arenas are left alone.
    limit: AtomicUsize,
}

impl<T> Shared<T> {
    /// How much memory it takes with so many slots, and where in it they are.
    pub(super) fn layout(slots: usize) -> Option<(Layout, usize)> {
        Layout::new::<Self>().extend(Layout::array::<Slot<T>>(slots).ok()?).ok()
    }

    /// How many slots can be told apart.
    pub(super) const MOST_SLOTS: usize = u16::MAX as usize / LEVELS;

    /// Makes zeroed memory what `len` slots share.
    ///
    /// # Safety
    ///
    /// The memory is zeroed, as long and aligned as [`layout`](Shared::layout) says, with the slots
    /// at `offset`, and nobody else's.
    pub(super) unsafe fn begin(memory: NonNull<u8>, len: usize, offset: usize) -> NonNull<Self> {
        // SAFETY: inside the block.
        let slots = unsafe { memory.add(offset) }.cast::<Slot<T>>();
        let shared = memory.cast::<Self>();
        // SAFETY: where the field is, in the block.
        let slots_place = unsafe { shared.byte_add(offset_of!(Self, slots)) };
        // SAFETY: as above.
        unsafe { slots_place.cast().write(slots) };
        // SAFETY: where the field is, in the block.
        let len_place = unsafe { shared.byte_add(offset_of!(Self, len)) };
        // SAFETY: as above.
        unsafe { len_place.cast().write(len) };
        // SAFETY: every field is valid now: of the others zero is a valid value.
        unsafe { shared.as_ref() }.map.begin_at(memory.addr().get());
        shared
    }

    /// How many slots there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The slot with this number, if there is one.
    #[inline(always)]
    pub(super) fn slot(&self, number: usize) -> Option<&Slot<T>> {
        if number >= self.len {
            return None;
        }
        // SAFETY: the type's invariant.
        let slot = unsafe { self.slots.add(number) };
        // SAFETY: zero is a valid slot, and slots are only ever shared.
        Some(unsafe { slot.as_ref() })
    }

    /// Says that the slot with this number is about to be attached for the first time.
    pub(super) fn reach(&self, number: usize) {
        self.reached.fetch_max(number + 1, Ordering::Relaxed);
    }

    /// All slots that were ever attached, and maybe some that are new.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot<T>> {
        (0..self.reached.load(Ordering::Relaxed)).filter_map(|number| self.slot(number))
    }

    /// The next `most` of them in turn.
    pub(super) fn next_slots(&self, most: usize) -> impl Iterator<Item = &Slot<T>> {
        let reached = self.reached.load(Ordering::Relaxed);
        let most = most.min(reached);
        let first = self.turn.fetch_add(most, Ordering::Relaxed);
        (0..most).filter_map(move |step| self.slot(first.wrapping_add(step) % reached))
    }

    /// Bytes of the segments of all arenas.
    pub(super) fn granted(&self) -> usize {
        self.granted.load(Ordering::Relaxed)
    }

    /// Notes that an arena has got a segment.
    pub(super) fn note_granted(&self, bytes: usize) {
        self.granted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that an arena has given a segment back.
    pub(super) fn note_given_back(&self, bytes: usize) {
        self.granted.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether the arenas have so much memory that idle ones should be tidied up.
    pub(super) fn is_reclaim_due(&self) -> bool {
        self.granted() > self.limit.load(Ordering::Relaxed)
    }

    /// Leaves idle arenas alone until all have more than so many bytes.
    pub(super) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// The slot of this owner, and which of its levels it is.
    pub(super) fn slot_of(&self, owner: Owner) -> Option<(&Slot<T>, usize)> {
        let index = owner.index()?;
        Some((self.slot(index / LEVELS)?, index % LEVELS))
    }

    /// Where blocks of this owner go.
    pub(super) fn mailbox_of(&self, owner: Owner) -> Option<&Mailbox>
    where
        T: HasMailbox,
    {
        let (slot, level) = self.slot_of(owner)?;
        let arena = slot.arena(level)?;
        // SAFETY: an arena that is there stays; others see of it what a mailbox is.
        Some(unsafe { T::mailbox(arena.as_ref()) })
    }
}

/// Where a caller is: on a slot, or nowhere.
pub(super) struct Place<'heap, T>(Option<&'heap Slot<T>>);

impl<'heap, T> Place<'heap, T> {
    pub(super) const fn new(slot: Option<&'heap Slot<T>>) -> Self {
        Self(slot)
    }

    pub(super) const fn slot(self) -> Option<&'heap Slot<T>> {
        self.0
    }
}

impl<T> Clone for Place<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<'_, T> {}
