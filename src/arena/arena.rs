//! An arena: a heap of its own over segments, and blocks of it that other callers have freed.
//!
//! ```text
//!   ┌───────────────────┐   other callers write here: blocks of this arena that they freed
//!   │ mailbox           │
//!   ├───────────────────┤   cache lines apart, so that they do not disturb
//!   │ inbox             │   taken out of the mailbox's list, not yet freed
//!   │ outbox            │   blocks of other arenas that were freed here
//!   │ heap over Supply  │   slabs, bins, top
//!   └───────────────────┘
//! ```
//!
//! Its memory is segments, which are cells of the parent:
//!
//! ```text
//!   the heap needs memory ─► has an abandoned arena something to give back?  (tidy it up)
//!                            a segment of the parent, with an entry in the map for each unit
//!   a segment is free     ─► the entries are gone, the segment is a free cell of the parent
//! ```
//!
//! A segment is as long as an eighth of the arena, so that an arena has few of them and wastes
//! little in the last one; and has room for a few blocks of the size that it was needed for, so
//! that little is left over where one more does not fit.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::mailbox::Mailbox;
use super::outbox::Outbox;
use super::packets::Apart;
use super::parent::Parent;
use super::shared::{Place, Shared};
use super::slot::{Slot, State};
use super::sync::Link;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::profile::{OfArena, Profile};
use crate::provider::{BreakError, Map, NoMap, Source};
use crate::segments::{ArenaLayer, Near, Owner, SegmentWords, UNIT, layout_of, units_for};
use crate::slabs::Slab;

/// The heap of an arena.
pub(super) type ArenasHeap<B, M, P, L> = Heap<Supply<B, M, P, L>, NoMap, OfArena<P>>;

/// Heap of one slot, with its mailbox.
///
/// # Invariants
///
/// `inner` is reached only by the caller that took the arena out of its slot's word, or has claimed
/// or borrowed the slot.
#[repr(C)]
pub(super) struct Arena<B, M, P: Profile, L> {
    mailbox: Apart<Mailbox>,
    inner: UnsafeCell<Inner<B, M, P, L>>,
}

/// Part of an arena that only the caller inside uses.
#[repr(C, align(128))]
pub(super) struct Inner<B, M, P: Profile, L> {
    pub(super) owner: Owner,
    /// Leaf of the map in which most blocks lie that are freed here.
    pub(super) near: Near,
    /// Blocks of this arena that were taken out of the mailbox's list, and are not freed yet.
    pub(super) inbox: Option<NonNull<Link>>,
    pub(super) outbox: Outbox,
    pub(super) heap: ArenasHeap<B, M, P, L>,
}

impl<B, M, P: Profile, L> Arena<B, M, P, L> {
    /// Returns the mailbox for blocks that other callers have freed. Any caller may use it.
    pub(super) const fn mailbox(&self) -> &Mailbox {
        &self.mailbox.0
    }
}

impl<B, M, P: Profile, L> Shared<Arena<B, M, P, L>> {
    /// Returns the mailbox of an owner.
    pub(super) fn mailbox_of(&self, owner: Owner) -> Option<&Mailbox> {
        let (slot, level) = self.slot_of(owner)?;
        // SAFETY: an arena that was made stays.
        Some(unsafe { slot.arena(level)?.as_ref() }.mailbox())
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Arena<B, M, P, L> {
    pub(super) const LAYOUT: Layout = Layout::new::<Self>();

    /// Makes memory an arena without segments.
    ///
    /// # Safety
    ///
    /// The memory has [`LAYOUT`](Arena::LAYOUT) and belongs to the arena. What all slots share
    /// outlives it.
    pub(super) unsafe fn begin(
        memory: NonNull<u8>,
        owner: Owner,
        shared: NonNull<Shared<Self>>,
    ) -> NonNull<Self> {
        let arena = memory.cast::<Self>();
        let heap = ArenasHeap::with_profile(Supply::new(owner, shared), NoMap);
        let inner = UnsafeCell::new(Inner {
            owner,
            near: Near::NOTHING,
            inbox: None,
            outbox: Outbox::new(),
            heap,
        });
        // SAFETY: the memory is the arena's: this function's clause.
        unsafe { arena.write(Self { mailbox: Apart(Mailbox::new()), inner }) };
        // SAFETY: just written, so no other caller has a pointer to it.
        let (inner, _) = unsafe { Self::enter(arena) };
        let segments = NonNull::from(&inner.shared().map);
        if let Some(slabs) = inner.heap.layer().slabs() {
            // SAFETY: the heap is new, and all of its memory will be this owner's segments of the
            // map.
            slabs.map = unsafe { SegmentWords::of(segments, owner) };
        }
        arena
    }

    /// Enters an arena.
    ///
    /// # Safety
    ///
    /// The caller is alone with the arena as long as the reference is in use: the type's invariant.
    pub(super) unsafe fn enter<'arena>(
        arena: NonNull<Self>,
    ) -> (&'arena mut Inner<B, M, P, L>, &'arena Mailbox) {
        // SAFETY: an arena that is there stays.
        let arena = unsafe { arena.as_ref() };
        // SAFETY: the caller is alone with the arena: this function's clause.
        (unsafe { &mut *arena.inner.get() }, &arena.mailbox.0)
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Inner<B, M, P, L> {
    /// Returns the heap, whose operations may call its provider now.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's.
    #[inline(always)]
    pub(super) unsafe fn heap(
        &mut self,
        parent: &Parent<B, M, P, L>,
    ) -> &mut ArenasHeap<B, M, P, L> {
        // It may lie somewhere else the next time: a heap whose blocks are all freed can be moved.
        self.heap.provider_mut().parent = Some(NonNull::from(parent));
        &mut self.heap
    }

    /// Returns what all slots share.
    #[inline(always)]
    pub(super) const fn shared<'shared>(&self) -> &'shared Shared<Arena<B, M, P, L>> {
        self.heap.provider().shared()
    }

    /// Returns the word of a block, if the block lies in this arena, as far as one look-up tells.
    #[inline(always)]
    pub(super) fn word_if_own(&self, block: *mut u8) -> Option<NonNull<Slab>> {
        self.near.word_of(block.addr(), self.owner)
    }

    /// Returns the owner of a block.
    #[inline(always)]
    pub(super) fn owner_of(&mut self, block: NonNull<u8>) -> Owner {
        self.near.owner_of(block.addr().get()).unwrap_or_else(|| self.find_owner_of(block))
    }

    /// [`owner_of`](Inner::owner_of) for a block that is not near.
    #[cold]
    #[inline(never)]
    fn find_owner_of(&mut self, block: NonNull<u8>) -> Owner {
        let owner = self.shared().map.owner_of(block.addr().get());
        if owner == self.owner || self.near.is_nothing() {
            // SAFETY: it outlives the arena.
            let near = unsafe { self.shared().map.near(block.addr().get()) };
            self.near = near.unwrap_or(Near::NOTHING);
        }
        owner
    }

    /// Sends blocks of other arenas, collects blocks that other callers have freed, and gives back
    /// every free segment.
    pub(super) fn tidy_up(&mut self, source: GrantedBy<'_, B, M, P, L>, mailbox: &Mailbox) {
        self.after_mail(source, mailbox, |heap| _ = heap.trim(0));
    }

    /// Sends blocks of other arenas, collects blocks that other callers have freed, and then runs
    /// `run`, for a caller on any slot.
    pub(super) fn after_mail(
        &mut self,
        source: GrantedBy<'_, B, M, P, L>,
        mailbox: &Mailbox,
        run: impl FnOnce(&mut ArenasHeap<B, M, P, L>),
    ) {
        let shared = self.shared();
        self.outbox.send_all(|owner| shared.mailbox_of(owner));
        // SAFETY: a slot of the same heap; the former one is set again below.
        let before = unsafe { self.heap.provider_mut().set_slot(source.place.map(NonNull::from)) };
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(source.parent) };
        self.collect_all(mailbox);
        run(&mut self.heap);
        // SAFETY: the slot that the arena belongs to.
        unsafe { self.heap.provider_mut().set_slot(before) };
    }
}

/// Denominator of the share of itself by which an arena grows at once.
const SHARE: usize = 8;

/// Number of blocks of the requested size that a segment holds, if the parent has one so long.
const FEW: usize = 4;

/// Maximum number of units of a segment that is longer than it must be.
const MOST_UNITS: usize = (8 << 20) / UNIT;

/// Number of slots that are examined, and tidied up if they are abandoned, before the parent is
/// asked.
const ADOPTED_AT_ONCE: usize = 16;

/// Parent that grants memory, and the slot on which the caller is.
pub(super) struct GrantedBy<'heap, B, M, P: Profile, L> {
    pub(super) parent: &'heap Parent<B, M, P, L>,
    pub(super) shared: &'heap Shared<Arena<B, M, P, L>>,
    pub(super) place: Place<'heap, Arena<B, M, P, L>>,
}

impl<B, M, P: Profile, L> Clone for GrantedBy<'_, B, M, P, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B, M, P: Profile, L> Copy for GrantedBy<'_, B, M, P, L> {}

/// A slot whose arenas are of this kind.
type SlotOf<B, M, P, L> = NonNull<Slot<Arena<B, M, P, L>>>;

/// The provider of an arena's heap.
///
/// # Invariants
///
/// * `shared` stays as long as the arena
/// * whenever the arena's heap may call its provider, `parent` is its parent, and `slot` the
///   caller's slot
pub(super) struct Supply<B, M, P: Profile, L> {
    owner: Owner,
    /// End of the last segment.
    end: *mut u8,
    /// Bytes for cells in all segments.
    bytes: usize,
    /// A segment may have become free as a whole.
    has_free_segment: bool,
    shared: NonNull<Shared<Arena<B, M, P, L>>>,
    parent: Option<NonNull<Parent<B, M, P, L>>>,
    slot: Option<SlotOf<B, M, P, L>>,
}

impl<B, M, P: Profile, L> Supply<B, M, P, L> {
    pub(super) const fn new(owner: Owner, shared: NonNull<Shared<Arena<B, M, P, L>>>) -> Self {
        Self {
            owner,
            end: ptr::null_mut(),
            bytes: 0,
            has_free_segment: false,
            shared,
            parent: None,
            slot: None,
        }
    }

    /// Sets the slot of the caller inside the arena. Returns the former one.
    ///
    /// # Safety
    ///
    /// The slot is one of `shared`. It is set again before another caller uses the arena.
    pub(super) const unsafe fn set_slot(
        &mut self,
        slot: Option<SlotOf<B, M, P, L>>,
    ) -> Option<SlotOf<B, M, P, L>> {
        core::mem::replace(&mut self.slot, slot)
    }

    /// Returns the bytes for cells in all segments.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns what all slots share.
    const fn shared<'shared>(&self) -> &'shared Shared<Arena<B, M, P, L>> {
        // SAFETY: it stays as long as the arena: the type's invariant.
        unsafe { self.shared.as_ref() }
    }

    fn granted_by<'heap>(&self) -> Option<GrantedBy<'heap, B, M, P, L>> {
        // SAFETY: the type's invariant.
        let parent = unsafe { self.parent?.as_ref() };
        // SAFETY: slots stay.
        let place = self.slot.map(|slot| unsafe { slot.as_ref() });
        Some(GrantedBy { parent, shared: self.shared(), place })
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Supply<B, M, P, L> {
    /// Allocates a segment of `most` units, or of `least` if the parent has none so long.
    fn segment(
        &mut self,
        source: GrantedBy<'_, B, M, P, L>,
        least: usize,
        most: usize,
    ) -> Option<NonNull<[u8]>> {
        let GrantedBy { parent, shared, place } = source;
        let owner = self.owner;
        parent.with(place, |heap| {
            [most, least].into_iter().find_map(|units| {
                let layout = layout_of(units)?;
                // SAFETY: the parent lives as long as its arenas.
                let start = unsafe { heap.allocate(layout) }?;
                // SAFETY: as before.
                let part = |layout| unsafe { heap.allocate_zeroed(layout) };
                // SAFETY: with the parent locked; the map's parts are blocks of the parent.
                let reached = unsafe { shared.map.reach(start.addr().get(), units, part) };
                if !reached {
                    // SAFETY: just allocated.
                    unsafe { heap.deallocate(start, layout) };
                    return None;
                }
                // SAFETY: a new block of the parent, as long as that.
                let segment = unsafe { shared.map.assign(start, units, owner) };
                shared.granted.fetch_add(segment.len(), Ordering::Relaxed);
                Some(segment)
            })
        })?
    }
}

// SAFETY: a segment is a block of the parent, which is the arena's until it is freed. Between two
// of them lies the header of a cell of the parent's, so they never touch.
unsafe impl<B: Source, M: Map, P: Profile, L: RawLock> Source for Supply<B, M, P, L> {
    const ZEROED: bool = false;
    const CONTIGUOUS: bool = false;

    fn brk(&self) -> *mut u8 {
        self.end
    }

    fn obtain(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let source = self.granted_by().ok_or(BreakError::Refused)?;
        source.adopt(ADOPTED_AT_ONCE);
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

    unsafe fn give_back(&mut self, segment: NonNull<[u8]>) {
        let Some(GrantedBy { parent, shared, place }) = self.granted_by() else { return };
        self.bytes -= segment.len();
        shared.granted.fetch_sub(segment.len(), Ordering::Relaxed);
        let start = segment.cast::<u8>().addr().get();
        if let Some(start) = shared.map.forget(start) {
            // SAFETY: a block of the parent, which the arena has given up.
            unsafe { parent.free(place, start, None) };
        }
    }

    #[inline]
    fn may_begin_segment(&self, address: usize) -> bool {
        self.shared().map.begins_region(address)
    }

    fn note_free_segment(&mut self) {
        self.has_free_segment = true;
    }

    fn take_free_segment(&mut self) -> bool {
        core::mem::take(&mut self.has_free_segment)
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> GrantedBy<'_, B, M, P, L> {
    /// Examines the next slots in turn, and tidies up those that are abandoned and got blocks back
    /// since, or were left untidy. O(`most`) slots, and the blocks that were freed there.
    fn adopt(self, most: usize) {
        if self.shared.abandoned.load(Ordering::Relaxed) > 0 {
            self.shared.next_slots(most).for_each(|slot| self.adopt_slot(slot));
        }
    }

    /// Tidies up a slot, if it is abandoned and got blocks back since, or was left untidy.
    fn adopt_slot(self, slot: &Slot<Arena<B, M, P, L>>) {
        // SAFETY: an arena that is there stays.
        let has_mail =
            || slot.arenas().any(|arena| !unsafe { arena.as_ref() }.mailbox().is_empty());
        let is_worth_it = slot.state() == State::Abandoned && (slot.is_untidy() || has_mail());
        if !is_worth_it || !slot.change(State::Abandoned, State::Claimed) {
            return;
        }
        slot.set_untidy(false);
        // SAFETY: the slot is claimed.
        unsafe { self.tidy_up_slot(slot) };
        slot.release(State::Abandoned);
    }

    /// Tidies up the arenas of a slot.
    ///
    /// # Safety
    ///
    /// The caller has claimed the slot.
    pub(super) unsafe fn tidy_up_slot(self, slot: &Slot<Arena<B, M, P, L>>) {
        for arena in slot.arenas() {
            // SAFETY: the caller is alone with the arenas of a claimed slot: this method's clause.
            let (inner, mailbox) = unsafe { Arena::enter(arena) };
            inner.tidy_up(self, mailbox);
        }
    }
}
