//! Slabs of which few blocks are live become cells again: each live block gets a header of its own,
//! in the free block before it, and what is free between them serves blocks of every size.
//!
//! ```text
//!   slab    │ free  │ live  │ free  │ free  │ free  │ live  │ free  │
//!   cells   │ free ┆h live   ┆h free              ┆h live   ┆h free ─►
//! ```
//!
//! A slab stays that has two live blocks side by side: the second one would have no place for its
//! header.

use core::ptr::NonNull;

use super::Slabs;
use super::map::SlabMap;
use super::slab::{Slab, State};
use crate::chunks::{Blocks, Tuning};
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::slab_tuning::SlabTuning;

/// A slab is sparse if at most one block of so many is live.
const SPARSE: u16 = 4;

/// Denominator of the share by which the heap grows between two searches for sparse slabs, and of
/// the share of it that such slabs must take for them to be dissolved.
const GROWTH_SHARE: usize = 16;

/// Denominator of the share of the heap that is free below the top when slabs begin in free memory
/// only.
const FREE_SHARE: usize = 8;

/// Number of granules that are free then, at least.
const FREE_LEAST: usize = 16;

/// Maximum number of blocks of a slab that can dissolve: those of the longest slab of the smallest
/// blocks that are aligned as cells are.
const MOST_BLOCKS: usize = 2048;

/// Number of bits of a word.
const BITS: usize = usize::BITS as usize;

/// Which blocks of a slab are live, by their number.
struct Live([usize; MOST_BLOCKS / BITS]);

impl Live {
    /// Notes which of the carved blocks are not in the slab's list; `false`: there are too many.
    /// O(blocks).
    fn note(&mut self, slab: &Slab) -> bool {
        let carved = usize::from(slab.carved);
        if carved > MOST_BLOCKS {
            return false;
        }
        for number in 0..carved {
            self.0[number / BITS] |= 1 << (number % BITS);
        }
        // SAFETY: `index_of` accepts the addresses of blocks only.
        let free = unsafe { slab.free.addresses(|address| slab.index_of(address).is_some()) };
        for number in free.take(carved).filter_map(|address| slab.index_of(address)) {
            self.0[number / BITS] &= !(1 << (number % BITS));
        }
        true
    }

    fn is_live(&self, number: usize) -> bool {
        self.0[number / BITS] >> (number % BITS) & 1 != 0
    }
}

/// Returns whether so much of the heap is free below the top that slabs begin in free memory only.
pub(super) fn has_much_free<B, M: Map, P: Tuning>(large: &Large<B, M, P>) -> bool {
    let chunks = &large.chunks;
    // SAFETY: the top is a valid free cell: the invariant of `Chunks`.
    let top = chunks.top().map_or(0, |top| unsafe { top.header() }.size());
    let heap = chunks.space().len();
    let free = heap - chunks.counters.used_bytes() - top;
    free > heap / FREE_SHARE && free > FREE_LEAST * P::Slabs::GRANULE
}

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Slabs<P, G, N> {
    /// Dissolves sparse slabs, if the heap has grown by a share since that was last done. Returns
    /// whether one was dissolved. O(slabs + their blocks) for each such growth.
    #[inline(never)]
    pub(super) fn dissolve_if_due<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
    ) -> bool {
        let heap = large.chunks.space().len();
        if heap < self.searched_at / 2 {
            self.searched_at = heap;
        }
        if self.slabs == 0 || heap < self.searched_at + heap / GROWTH_SHARE {
            return false;
        }
        self.searched_at = heap;
        let sparse = self.sparse(SPARSE).map(|at| {
            // SAFETY: descriptors of slabs are valid.
            unsafe { at.as_ref() }.len::<P::Slabs>()
        });
        sparse.sum::<usize>() > heap / GROWTH_SHARE && self.dissolve_sparse(large, SPARSE)
    }

    /// Dissolves the slabs of which at most one block of `share` is live. Returns whether there
    /// was one. O(slabs + their blocks).
    pub(super) fn dissolve_sparse<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        share: u16,
    ) -> bool {
        if P::CHECKED || large.chunks.has_stopped() {
            // The record of a checked block says how long the block is.
            return false;
        }
        let mut any = false;
        for at in self.sparse(share) {
            // SAFETY: the descriptor is one of a slab that has live blocks.
            any |= unsafe { self.dissolve_slab(large, at) };
        }
        any
    }

    /// Returns the slabs of which at most one block of `share` is live, but for those without live
    /// blocks. The answer outlives `self`: no table may be taken out as long as it is in use.
    fn sparse(&self, share: u16) -> impl Iterator<Item = NonNull<Slab>> + use<P, G, N> {
        // SAFETY: callers take no table out.
        let taken = unsafe { self.descriptors.taken() };
        taken.filter(move |at| {
            // SAFETY: descriptors are valid, and no reference to one is held across a call.
            let slab = unsafe { at.as_ref() };
            let may_have_live = matches!(slab.state(), State::Listed | State::Full);
            may_have_live && slab.taken::<P::Slabs>() <= slab.total / share
        })
    }

    /// Makes the live blocks of a slab cells, if each has room for a header. Returns whether it
    /// has done so.
    ///
    /// # Safety
    ///
    /// `at` is a slab of this heap that is listed or full.
    unsafe fn dissolve_slab<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        at: NonNull<Slab>,
    ) -> bool {
        // SAFETY: descriptors of slabs are valid, and no reference to one is held across a call.
        // The granules have words, because the slab began.
        unsafe {
            let class = at.as_ref().class;
            if self.heads[class.index()] == Some(at) {
                self.return_list(class);
            }
            let slab = at.as_ref();
            let mut live = Live([0; MOST_BLOCKS / BITS]);
            if !live.note(slab) {
                return false;
            }
            let (start, size, len) = (slab.start, class.size(), slab.len::<P::Slabs>());
            let places = usize::from(slab.carved);
            let is_live = |number| live.is_live(number);
            let Some(blocks) = Blocks::new(start, len, size, places, is_live) else {
                return false;
            };
            match slab.state() {
                State::Listed => self.remove(at),
                State::Kept => {
                    self.empty -= 1;
                    self.remove(at);
                }
                State::Full | State::Absent => {}
            }
            // Another thread that finds no slab reads the headers: they are written first.
            large.chunks.dissolve(&blocks, |cell| self.count(cell));
            self.forget(at);
        }
        true
    }

    /// Takes a slab out of the map and the counts, and gives its descriptor back.
    ///
    /// # Safety
    ///
    /// `at` is a slab of this heap that is in no list.
    pub(super) unsafe fn forget(&mut self, at: NonNull<Slab>) {
        // SAFETY: the descriptor is valid, and no reference to it is held across a call. The
        // granules have words, because the slab began.
        unsafe {
            let slab = at.as_ref();
            let (class, start, len) = (slab.class, slab.start, slab.len::<P::Slabs>());
            self.map.set(start.addr().get(), len, None);
            self.descriptors.put(at);
            self.slabs -= 1;
            self.loan -= self.loan_of(class);
            self.granules[class.index()] -= (len / P::Slabs::GRANULE) as u32;
            self.loan += self.loan_of(class);
        }
    }
}
