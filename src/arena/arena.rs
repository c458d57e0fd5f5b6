//! An arena: a heap of its own over segments, and what others have freed of it.
//!
//! ```text
//!   ┌───────────────────┐   others write here:   blocks of this arena that they freed
//!   │ mailbox           │
//!   ├───────────────────┤   cache lines apart, so that they do not disturb
//!   │ inbox             │   taken over from the mailbox's list, not yet freed
//!   │ outbox            │   blocks of others that were freed here
//!   │ heap over Supply  │   slabs, bins, top
//!   └───────────────────┘
//! ```
//!
//! Its memory is segments, which are cells of the parent:
//!
//! ```text
//!   the heap needs memory ─► has an abandoned arena something to give back?  (tidy it up)
//!                            a segment of the parent, and an entry in the map for each of its units
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
use super::shared::{HasMailbox, Place, Shared};
use super::slot::{LEVELS, Slot, State};
use super::sync::Link;
use crate::chunks::Trim;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::profile::{OfArena, Profile};
use crate::provider::{BreakError, Map, NoMap, Source};
use crate::segments::{ArenaLayer, Near, Owner, UNIT, layout_of, units_for};
use crate::slabs::Slab;

/// The heap of an arena.
pub(super) type ArenasHeap<B, M, P, L> = Heap<Supply<B, M, P, L>, NoMap, OfArena<P>>;

/// See the module.
///
/// # Invariants
///
/// `inner` is reached only by the caller that took the arena out of its slot's word, or has claimed
/// the slot.
#[repr(C)]
pub(super) struct Arena<B, M, P: Profile, L> {
    mailbox: Apart<Mailbox>,
    inner: UnsafeCell<Inner<B, M, P, L>>,
}

/// What only the caller in the arena uses.
#[repr(C, align(128))]
pub(super) struct Inner<B, M, P: Profile, L> {
    pub(super) owner: Owner,
    /// Where most of what is freed here lies.
    pub(super) near: Near,
    /// What all slots share, which outlives the arena.
    shared: NonNull<Shared<Arena<B, M, P, L>>>,
    /// Blocks of this arena that others have freed, and that have been taken over.
    pub(super) inbox: Option<NonNull<Link>>,
    /// The set of packets whose turn it is.
    pub(super) turn: usize,
    pub(super) outbox: Outbox,
    pub(super) heap: ArenasHeap<B, M, P, L>,
}

impl<B, M, P: Profile, L> HasMailbox for Arena<B, M, P, L> {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox.0
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Arena<B, M, P, L> {
    pub(super) const LAYOUT: Layout = Layout::new::<Self>();

    /// Makes memory an arena without segments.
    ///
    /// # Safety
    ///
    /// The memory is as [`LAYOUT`](Arena::LAYOUT) says, and the arena's. What all slots share
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
            shared,
            inbox: None,
            turn: 0,
            outbox: Outbox::new(),
            heap,
        });
        // SAFETY: the caller's promise.
        unsafe { arena.write(Self { mailbox: Apart(Mailbox::new()), inner }) };
        // SAFETY: just written; nobody else knows of it.
        let (inner, _) = unsafe { Self::enter(arena) };
        // Nothing is given back by moving a break: see `Source::CONTIGUOUS`.
        inner.heap.set_trim(Trim::NEVER);
        let segments = NonNull::from(&inner.shared().map);
        // SAFETY: the heap is new, and all of its memory will be this owner's segments of the map.
        unsafe { inner.heap.layer().rely_on(segments, owner) };
        arena
    }

    /// Goes in.
    ///
    /// # Safety
    ///
    /// The caller is alone with the arena as long as the reference is in use: the type's invariant.
    pub(super) unsafe fn enter<'arena>(
        arena: NonNull<Self>,
    ) -> (&'arena mut Inner<B, M, P, L>, &'arena Mailbox) {
        // SAFETY: an arena that is there stays.
        let arena = unsafe { arena.as_ref() };
        // SAFETY: the caller's promise.
        (unsafe { &mut *arena.inner.get() }, &arena.mailbox.0)
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Inner<B, M, P, L> {
    /// The heap, of which any operation may be used now.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's.
    #[inline(always)]
    pub(super) unsafe fn heap(
        &mut self,
        parent: &Parent<B, M, P, L>,
    ) -> &mut ArenasHeap<B, M, P, L> {
        // SAFETY: it is said again before the next use.
        unsafe { self.heap.provider_mut().set_parent(parent) };
        &mut self.heap
    }

    /// What all slots share.
    #[inline(always)]
    pub(super) fn shared<'shared>(&self) -> &'shared Shared<Arena<B, M, P, L>> {
        // SAFETY: it outlives the arena.
        unsafe { self.shared.as_ref() }
    }

    /// The word of a block, if it is this arena's, as far as one look tells.
    #[inline(always)]
    pub(super) fn word_if_own(&self, block: *mut u8) -> Option<NonNull<Slab>> {
        self.near.word_of(block.addr(), self.owner)
    }

    /// Whose a block is.
    #[inline(always)]
    pub(super) fn owner_of(&mut self, block: NonNull<u8>) -> Owner {
        self.near.owner_of(block.addr().get()).unwrap_or_else(|| self.find_owner_of(block))
    }

    /// The same where it is not near.
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

    /// Sends what waits for others, takes up what others have freed, keeps nothing of what is free,
    /// and gives back every segment that is.
    pub(super) fn tidy_up(&mut self, source: GrantedBy<'_, B, M, P, L>, mailbox: &Mailbox) {
        self.collect(source, mailbox, |heap| _ = heap.trim(0));
    }

    /// Sends what waits for others, takes up what others have freed, and then runs `run`, for a
    /// caller on any slot.
    pub(super) fn collect(
        &mut self,
        source: GrantedBy<'_, B, M, P, L>,
        mailbox: &Mailbox,
        run: impl FnOnce(&mut ArenasHeap<B, M, P, L>),
    ) {
        let shared = self.shared();
        self.outbox.send_all(|owner| shared.mailbox_of(owner));
        // SAFETY: a slot of the same heap; what was said before is said again below.
        let before =
            unsafe { self.heap.provider_mut().set_slot(source.place.slot().map(NonNull::from)) };
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(source.parent) };
        self.take_up_all(mailbox);
        run(&mut self.heap);
        // SAFETY: the slot that the arena belongs to.
        unsafe { self.heap.provider_mut().set_slot(before) };
    }
}

/// The part of what an arena has that it asks for at once.
const SHARE: usize = 8;

/// How many blocks a segment holds, if it can be had so long, of the size that it was asked for.
const FEW: usize = 4;

/// But not more units than this, unless it must.
const MOST_UNITS: usize = (8 << 20) / UNIT;

/// How many slots are looked at, whether they are abandoned and have something to give back, before
/// the parent is asked.
const ADOPTED_AT_ONCE: usize = 16;

/// Who gives the memory, and on whose slot.
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
/// * whenever the arena's heap may call its provider, `parent` is its parent, and `slot` where the
///   caller is
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

    /// Sets where memory comes from. The parent may be somewhere else the next time: a heap whose
    /// blocks are all freed can be moved.
    ///
    /// # Safety
    ///
    /// It is said again before the provider is called, once `parent` is not valid any more.
    #[inline(always)]
    pub(super) unsafe fn set_parent(&mut self, parent: &Parent<B, M, P, L>) {
        self.parent = Some(NonNull::from(parent));
    }

    /// Sets on which slot whoever uses the arena is. Returns the slot that was said before.
    ///
    /// # Safety
    ///
    /// The slot is one of `shared`. It is said again before somebody else uses the arena.
    pub(super) const unsafe fn set_slot(
        &mut self,
        slot: Option<SlotOf<B, M, P, L>>,
    ) -> Option<SlotOf<B, M, P, L>> {
        core::mem::replace(&mut self.slot, slot)
    }

    /// Bytes for cells in all segments.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn granted_by<'heap>(&self) -> Option<GrantedBy<'heap, B, M, P, L>> {
        // SAFETY: the type's invariant.
        let parent = unsafe { self.parent?.as_ref() };
        // SAFETY: it stays.
        let shared = unsafe { self.shared.as_ref() };
        // SAFETY: slots stay.
        let slot = self.slot.map(|slot| unsafe { slot.as_ref() });
        Some(GrantedBy { parent, shared, place: Place::new(slot) })
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Supply<B, M, P, L> {
    /// A block of the parent for what the arena is made of.
    pub(super) fn part(&self, layout: Layout) -> Option<NonNull<u8>> {
        let GrantedBy { parent, place, .. } = self.granted_by()?;
        // SAFETY: the parent lives as long as its arenas.
        parent.with(place, |heap| unsafe { heap.allocate(layout) })?
    }

    /// A segment of at least `least` units, and of `most` if it can be had.
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
                let segment = unsafe { shared.map.assign(start, units, owner) };
                shared.note_granted(segment.len());
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

    fn step(&self) -> usize {
        1
    }

    fn brk(&self) -> *mut u8 {
        self.end
    }

    fn obtain(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let source = self.granted_by().ok_or(BreakError::Refused)?;
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

    unsafe fn lower(&mut self, _: usize) -> Result<(), BreakError> {
        Err(BreakError::Refused)
    }

    unsafe fn give_back(&mut self, segment: NonNull<[u8]>) {
        let Some(GrantedBy { parent, shared, place }) = self.granted_by() else { return };
        self.bytes -= segment.len();
        shared.note_given_back(segment.len());
        let start = segment.cast::<u8>().addr().get();
        if let Some(start) = shared.map.forget(start) {
            // SAFETY: a block of the parent, which the arena has given up.
            unsafe { parent.free(place, start, None) };
        }
    }

    #[inline]
    fn may_begin_segment(&self, address: usize) -> bool {
        // SAFETY: the type's invariant: what is shared stays as long as the arena.
        unsafe { self.shared.as_ref() }.map.begins_region(address)
    }

    fn note_free_segment(&mut self) {
        self.has_free_segment = true;
    }

    fn take_free_segment(&mut self) -> bool {
        core::mem::take(&mut self.has_free_segment)
    }
}

/// Looks at the next few slots in turn, and tidies up those that are abandoned and have got
/// something back since, or were left untidy. O(`most`) slots, and what was freed there.
fn adopt<B: Source, M: Map, P: Profile, L: RawLock>(
    source: GrantedBy<'_, B, M, P, L>,
    most: usize,
) {
    if source.shared.abandoned.load(Ordering::Relaxed) > 0 {
        source.shared.next_slots(most).for_each(|slot| adopt_slot(source, slot));
    }
}

/// Tidies up a slot, if it is abandoned and has got something back since, or was left untidy.
fn adopt_slot<B: Source, M: Map, P: Profile, L: RawLock>(
    source: GrantedBy<'_, B, M, P, L>,
    slot: &Slot<Arena<B, M, P, L>>,
) {
    let arenas = || (0..LEVELS).filter_map(|level| slot.arena(level));
    // SAFETY: an arena that is there stays.
    let has_mail = || arenas().any(|arena| !unsafe { arena.as_ref() }.mailbox().seems_empty());
    let is_worth_it = slot.state() == State::Abandoned && (slot.is_untidy() || has_mail());
    if !is_worth_it || !slot.change(State::Abandoned, State::Claimed) {
        return;
    }
    slot.set_untidy(false);
    for arena in arenas() {
        // SAFETY: the slot is claimed.
        let (inner, mailbox) = unsafe { Arena::enter(arena) };
        inner.tidy_up(source, mailbox);
    }
    slot.release(State::Abandoned);
}
