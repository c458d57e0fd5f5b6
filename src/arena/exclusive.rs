//! Inspection: of the caller's arena at any time, of all while the heap is not in use.

use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::ArenaHeap;
use super::arena::{Arena, GrantedBy, Inner};
use super::shared::Shared;
use super::slot::{Slot, State};
use crate::check::Corruption;
use crate::heap::Heap;
use crate::inspect::{CellInfo, Stats};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};

/// Statistics of an [`ArenaHeap`]. All sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Statistics of the parent. Segments, and the arenas themselves, are blocks of it.
    pub parent: Stats,
    /// Number of blocks of the parent that are not callers': segments, arenas, and what they share.
    pub internal_blocks: usize,
    /// Size of those blocks.
    pub internal_bytes: usize,
    /// Size of the memory for cells in the segments of the arenas that were examined.
    pub segment_bytes: usize,
    /// Number of segments of these arenas.
    pub segments: usize,
    /// Number of arenas that were examined.
    pub arenas: usize,
    /// Number of slots that are abandoned.
    pub abandoned: usize,
    /// Usable size of all live blocks of these arenas. (Blocks that other callers have freed count
    /// until they are collected.)
    pub live_bytes: usize,
    /// Number of these blocks.
    pub live_blocks: usize,
}

impl ArenaStats {
    fn add<B: Source, M: Map, P: Profile, L: RawLock>(&mut self, arena: &Inner<B, M, P, L>) {
        let stats = arena.heap.stats();
        self.arenas += 1;
        self.segment_bytes += arena.heap.provider().bytes();
        self.segments += if stats.granted_bytes > 0 { stats.holes + 1 } else { 0 };
        self.live_bytes += stats.live_bytes;
        self.live_blocks += stats.live_cells;
    }
}

impl fmt::Display for ArenaStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { live_bytes, live_blocks, arenas, segments, segment_bytes, abandoned, .. } = self;
        write!(
            f,
            "arenas: {arenas} ({abandoned} abandoned), {segments} segments of {segment_bytes} B; "
        )?;
        write!(f, "live {live_bytes} B in {live_blocks} blocks; parent: {}", self.parent)
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Counts: the parent, and the caller's arena. [`Exclusive::stats`] counts all. O(cells),
    /// partly with the parent's lock held.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        let mut stats = ArenaStats::default();
        self.in_arena(|arena| stats.add(arena));
        stats.abandoned =
            self.shared().map_or(0, |shared| shared.abandoned.load(Ordering::Relaxed));
        stats.parent = self.in_parent(|heap| heap.stats()).unwrap_or_default();
        stats
    }

    /// Verifies the parent, and the caller's arena, unless the caller has interrupted an operation
    /// there. [`Exclusive::check`] verifies all. O(cells) as [`Heap::check`], partly with the
    /// parent's lock held.
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        self.in_arena(|arena| arena.heap.check()).unwrap_or(Ok(()))?;
        self.in_parent(|heap| heap.check()).unwrap_or(Ok(()))
    }

    /// Sends blocks of other arenas, collects blocks that other callers have freed, frees slabs
    /// without live blocks, and gives every free segment back to the parent: of the caller's arena,
    /// of abandoned slots, and of slots whose callers are idle. (Without a
    /// [barrier](crate::Cpu::barrier) these do so with their next operation.)
    ///
    /// # Time
    ///
    /// O(slots + slabs + blocks that are kept, or that others have freed), and a barrier.
    pub fn flush(&self) {
        self.visit().reclaim(None);
        self.in_parent(Heap::flush);
    }

    /// [`flush`](ArenaHeap::flush), and then moves the break down. See [`Heap::trim`].
    /// Returns the number of bytes given back.
    ///
    /// # Time
    ///
    /// That of [`flush`](ArenaHeap::flush), plus one call of the provider.
    pub fn trim(&self, keep: usize) -> usize {
        self.flush();
        self.in_parent(|heap| heap.trim(keep)).unwrap_or(0)
    }

    /// Runs `look` with the parent locked. It must not use this heap. Returns `None` if the caller
    /// has interrupted code that holds the parent's lock. Takes the wait for that lock, and the
    /// time of `look`.
    pub fn with_parent<R>(&self, look: impl FnOnce(&Heap<B, M, P>) -> R) -> Option<R> {
        self.in_parent(|heap| look(heap))
    }

    /// Shows each cell of the caller's arena, from low to high. Shows none if the caller has no
    /// arena, or was interrupted in it. `show` must not use this heap. O(cells).
    pub fn for_each_cell(&self, show: impl FnMut(CellInfo)) {
        self.in_arena(|arena| arena.heap.cells().for_each(show));
    }

    /// Returns the heap for a caller that is alone with it.
    ///
    /// # Safety
    ///
    /// While the answer is in use, no other caller uses the heap; and all earlier operations
    /// happened before this call.
    pub const unsafe fn exclusive(&self) -> Exclusive<'_, B, C, M, P, L> {
        Exclusive(self)
    }
}

/// A heap that no other caller uses at the moment: all arenas can be examined. See
/// [`ArenaHeap::exclusive`].
pub struct Exclusive<'heap, B, C, M, P: Profile, L>(pub(super) &'heap ArenaHeap<B, C, M, P, L>);

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Exclusive<'_, B, C, M, P, L> {
    fn source(&self) -> Option<GrantedBy<'_, B, M, P, L>> {
        Some(GrantedBy { parent: &self.0.parent, shared: self.0.shared()?, place: None })
    }

    /// Returns all arenas that may be used.
    pub(super) fn arenas<'a>(
        &self,
        shared: &'a Shared<Arena<B, M, P, L>>,
    ) -> impl Iterator<Item = NonNull<Arena<B, M, P, L>>> + use<'a, B, C, M, P, L> {
        let slots = shared.slots().filter(|slot| slot.state() != State::Dead);
        slots.flat_map(Slot::arenas)
    }

    /// Returns every freed block to its arena, frees slabs without live blocks, and gives back
    /// every free segment. O(slots + slabs + blocks that are kept, or that others have freed).
    pub fn flush(&self) {
        let Some(source) = self.source() else { return };
        // Once to send every block, and once to collect it.
        for _ in 0..2 {
            for arena in self.arenas(source.shared) {
                // SAFETY: the caller is alone with the heap.
                let (inner, mailbox) = unsafe { Arena::enter(arena) };
                inner.tidy_up(source, mailbox);
            }
        }
        self.0.parent.with(source.place, |heap| heap.flush());
    }

    /// [`flush`](Exclusive::flush), and then moves the break down as far as it goes. Returns the
    /// number of bytes given back.
    ///
    /// # Time
    ///
    /// That of [`flush`](Exclusive::flush), plus one call of the provider.
    pub fn trim(&self, keep: usize) -> usize {
        self.flush();
        self.0.parent.locked(|heap| heap.trim(keep))
    }

    /// Counts the parent and all arenas. O(cells).
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        let mut stats = ArenaStats::default();
        if let Some(shared) = self.0.shared() {
            stats.abandoned = shared.abandoned.load(Ordering::Relaxed);
            for arena in self.arenas(shared) {
                // SAFETY: the caller is alone with the heap.
                stats.add(unsafe { Arena::enter(arena) }.0);
            }
            shared.map.parts(|_, layout| {
                stats.internal_blocks += 1;
                stats.internal_bytes += layout.size();
            });
            stats.internal_blocks += 1 + stats.arenas + stats.segments;
            let shared_bytes = Shared::<Arena<B, M, P, L>>::layout(shared.len())
                .map_or(0, |(layout, _)| layout.size());
            stats.internal_bytes += shared_bytes
                + stats.arenas * Arena::<B, M, P, L>::LAYOUT.size()
                + stats.segment_bytes;
        }
        stats.parent = self.0.parent.locked(|heap| heap.stats());
        stats
    }

    /// Gives back all arenas, if none of their blocks is live: the heap is then as new, except for
    /// live blocks of the parent. Returns `false` if there is a live block: then it did what
    /// [`flush`](Exclusive::flush) does. O(cells).
    pub fn dissolve(&self) -> bool {
        self.flush();
        let Some(source) = self.source() else { return true };
        let shared = source.shared;
        let is_dead = shared.slots().any(|slot| slot.state() == State::Dead);
        if is_dead || self.stats().segments > 0 {
            return false;
        }
        self.0.shared.store(ptr::null_mut(), Ordering::Relaxed);
        self.0.parent.locked(|heap| {
            for arena in self.arenas(shared) {
                // SAFETY: a block of the parent, to which no pointer leads any more.
                unsafe { heap.deallocate(arena.cast(), Arena::<B, M, P, L>::LAYOUT) };
            }
            // SAFETY: as before.
            shared.map.parts(|part, layout| unsafe { heap.deallocate(part, layout) });
            if let Some((layout, _)) = Shared::<Arena<B, M, P, L>>::layout(shared.len()) {
                // SAFETY: as before.
                unsafe { heap.deallocate(NonNull::from(shared).cast(), layout) };
            }
            heap.flush();
        });
        true
    }
}

impl<B, C, M, P: Profile, L> fmt::Debug for Exclusive<'_, B, C, M, P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exclusive").field(self.0).finish()
    }
}
