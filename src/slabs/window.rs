//! A window of the page map: words of the granules from a base on.
//!
//! ```text
//!   base                                                                    addresses
//!   ▼
//!   ├ leaf 0 ┼────── leaf 1 ─────┼─────────────── leaf 2 ─ ─ ─ ─ ─ ─ ─┐ limit     no slab here
//!     32 words 64                  128                                ▼
//!   └──────────────────────────────── a window ───────────────────────┘
//! ```
//!
//! Each leaf is twice as long as the one before, so a window grows without a copy, and a look-up is
//! a difference, a `bsr` and two loads. Words are written some at a time: the limit says how far.

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use super::slab::Slab;
use crate::cell::WORD;
use crate::slab_tuning::SlabTuning;

/// Number of leaves: with the usual sizes, enough for 8 TiB of addresses, or for all there are.
const LEAVES: usize = if usize::BITS == 64 { 27 } else { 17 };

/// Word of the map.
pub(super) type Word = NonNull<Slab>;

/// Words of the granules from a base on.
///
/// # Invariants
///
/// * the granules from `base` up to `limit` have a word, in a leaf
/// * every leaf is the payload of a used cell; leaves are there from the first up to some last one
#[derive(Debug)]
pub(super) struct Window<S> {
    /// Number of the first granule.
    pub(super) base: usize,
    /// Number of granules that have a word.
    pub(super) limit: usize,
    /// Where each leaf would begin if it had a word for every granule from the base on; null: it is
    /// not there.
    leaves: [*mut Word; LEAVES],
    sizes: PhantomData<fn() -> S>,
}

/// Result of an attempt to make the map reach further.
pub(super) enum Reach {
    /// It does.
    Further,
    /// The next leaf of the window is missing, and takes so many bytes.
    NeedsLeaf(usize),
    /// Another window is missing.
    NeedsWindow,
    /// It never will.
    Never,
}

/// Returns the number of the leaf of a granule, which is a distance from the base.
#[inline(always)]
const fn leaf_of<S: SlabTuning>(granule: usize) -> usize {
    (granule + S::FIRST_WORDS).ilog2() as usize - S::FIRST_WORDS.ilog2() as usize
}

/// Returns the first granule of a leaf.
const fn first_of<S: SlabTuning>(leaf: usize) -> usize {
    (S::FIRST_WORDS << leaf) - S::FIRST_WORDS
}

/// Returns the length of a leaf in bytes.
const fn len_of<S: SlabTuning>(leaf: usize) -> usize {
    (S::FIRST_WORDS << leaf) * WORD
}

impl<S: SlabTuning> Window<S> {
    pub(super) const fn new(base: usize) -> Self {
        let leaves = [core::ptr::null_mut(); LEAVES];
        Self { base, limit: 0, leaves, sizes: PhantomData }
    }

    /// Returns the word of an address. O(1).
    #[inline(always)]
    pub(super) fn word_at(&self, address: usize) -> Option<NonNull<Slab>> {
        let granule = (address / S::GRANULE).wrapping_sub(self.base);
        if granule >= self.limit {
            return None;
        }
        // SAFETY: a granule below the limit has a word, in a leaf that `LEAVES` covers: the type's
        // invariant.
        Some(unsafe {
            core::hint::assert_unchecked(granule <= usize::MAX / S::GRANULE);
            let leaf = *self.leaves.get_unchecked(leaf_of::<S>(granule));
            leaf.wrapping_add(granule).read()
        })
    }

    /// Returns whether all granules from `start` to `end` have a word.
    pub(super) const fn reaches(&self, start: usize, end: usize) -> bool {
        start / S::GRANULE >= self.base && end.div_ceil(S::GRANULE) - self.base <= self.limit
    }

    /// Writes the words of granules, by their distance from the base.
    ///
    /// # Safety
    ///
    /// The leaves of the granules are there.
    pub(super) unsafe fn write(&mut self, granules: Range<usize>, word: Word) {
        let mut first = granules.start;
        while first < granules.end {
            let leaf = leaf_of::<S>(first);
            let end = granules.end.min(first_of::<S>(leaf + 1));
            let mut place = self.leaves[leaf].wrapping_add(first);
            for _ in first..end {
                // SAFETY: the leaf is there (this method's clause), and has a word for the granule.
                unsafe { place.write(word) };
                place = place.wrapping_add(1);
            }
            first = end;
        }
    }

    /// Makes the window reach further towards granule `end`, and not beyond `most`. O(1): writes at
    /// most `WORDS_AT_ONCE` words.
    pub(super) fn reach(&mut self, end: usize, most: usize, absent: Word) -> Reach {
        let mut budget = S::WORDS_AT_ONCE;
        while self.base + self.limit < end && budget > 0 {
            let leaf = leaf_of::<S>(self.limit);
            let Some(words) = self.leaves.get(leaf) else { return Reach::Never };
            if words.is_null() {
                return Reach::NeedsLeaf(len_of::<S>(leaf));
            }
            let limit = first_of::<S>(leaf + 1).min(most - self.base);
            let more = (limit - self.limit).min(budget);
            // SAFETY: the leaf is there.
            unsafe { self.write(self.limit..self.limit + more, absent) };
            self.limit += more;
            budget -= more;
        }
        Reach::Further
    }

    /// Returns the number of the last leaf.
    fn last_leaf(&self) -> Option<usize> {
        (0..LEAVES).rev().find(|&leaf| !self.leaves[leaf].is_null())
    }

    /// Takes the last leaf out. No granule has a word then.
    pub(super) fn take_leaf(&mut self) -> Option<NonNull<u8>> {
        self.limit = 0;
        let last = self.last_leaf()?;
        let leaf = core::mem::replace(&mut self.leaves[last], core::ptr::null_mut());
        NonNull::new(leaf.wrapping_add(first_of::<S>(last))).map(NonNull::cast)
    }

    /// Returns the payload of each leaf, and its length in bytes.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let leaves = self.leaves.iter().enumerate().filter(|(_, leaf)| !leaf.is_null());
        leaves.filter_map(|(index, leaf)| {
            let first = leaf.wrapping_add(first_of::<S>(index));
            Some((NonNull::new(first)?.cast(), len_of::<S>(index)))
        })
    }

    /// Takes over memory for the next leaf.
    pub(super) fn provide_leaf(&mut self, memory: NonNull<u8>) {
        let leaf = leaf_of::<S>(self.limit);
        self.leaves[leaf] = memory.cast::<Word>().as_ptr().wrapping_sub(first_of::<S>(leaf));
    }

    /// Takes the last leaf out, if it describes no address below `end`.
    pub(super) fn take_idle_leaf(&mut self, end: usize) -> Option<NonNull<u8>> {
        let granules = end.div_ceil(S::GRANULE).saturating_sub(self.base);
        let last = self.last_leaf().filter(|&leaf| first_of::<S>(leaf) >= granules)?;
        let limit = self.limit.min(first_of::<S>(last));
        let leaf = self.take_leaf();
        self.limit = limit;
        leaf
    }

    /// Returns the numbers of the granules that have a word.
    pub(super) const fn granules(&self) -> Range<usize> {
        self.base..self.base + self.limit
    }
}
