//! Which slab an address lies in: one word a granule.
//!
//! ```text
//!   base                                                                    addresses
//!   ▼
//!   ├ leaf 0 ┼────── leaf 1 ─────┼─────────────── leaf 2 ─ ─ ─ ─ ─ ─ ─┐ limit     no slab here
//!     32 words 64                  128                                ▼
//! ```
//!
//! Each leaf is twice as long as the one before, so the map grows without a copy, and a look-up is a
//! difference, a `bsr` and two loads. A word leads to the descriptor of a slab, or to the one that
//! stands for no slab, so that a free needs no test for it. Words are written some at a time: the
//! limit says how far.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::slab::Slab;
use crate::cell::WORD;
use crate::slab_tuning::SlabTuning;

/// Number of leaves: with the usual sizes, enough for 8 TiB of addresses, or for all there are.
pub(crate) const LEAVES: usize = if usize::BITS == 64 { 27 } else { 17 };

/// Word of the map.
type Word = NonNull<Slab>;

/// Page map of a heap.
///
/// # Invariants
///
/// * the granules from `base` up to `limit` have a word, in a leaf; there are no slabs elsewhere
/// * the word of a granule of a slab leads to the slab's descriptor, any other word to `absent`
/// * every leaf is the payload of a used cell; leaves are there from the first up to some last one
#[derive(Debug)]
pub(crate) struct PageMap<S> {
    /// Number of the first granule.
    base: usize,
    /// Number of granules that have a word.
    limit: usize,
    /// Where each leaf would begin if it had a word for every granule from the base on; null: it is
    /// not there.
    leaves: [*mut Word; LEAVES],
    /// Descriptor that stands for no slab, in the first leaf.
    absent: Option<NonNull<Slab>>,
    sizes: PhantomData<fn() -> S>,
}

/// Result of an attempt to make the map reach further.
pub(crate) enum Reach {
    /// It does.
    Further,
    /// The next leaf is missing, and takes so many bytes.
    NeedsLeaf(usize),
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

/// Returns the number of words of a leaf.
const fn words_of<S: SlabTuning>(leaf: usize) -> usize {
    S::FIRST_WORDS << leaf
}

/// Returns the length of a leaf in bytes. The first one has the descriptor of no slab, too.
pub(crate) const fn len_of<S: SlabTuning>(leaf: usize) -> usize {
    words_of::<S>(leaf) * WORD + if leaf == 0 { size_of::<Slab>() } else { 0 }
}

impl<S: SlabTuning> PageMap<S> {
    pub(crate) const fn new() -> Self {
        let leaves = [core::ptr::null_mut(); LEAVES];
        Self { base: 0, limit: 0, leaves, absent: None, sizes: PhantomData }
    }

    /// Returns the descriptor of the slab in which an address lies, or the one that stands for no
    /// slab; `None` beyond the limit. O(1).
    #[inline(always)]
    pub(crate) fn word_at(&self, address: usize) -> Option<NonNull<Slab>> {
        let granule = (address / S::GRANULE).wrapping_sub(self.base);
        if granule >= self.limit {
            return None;
        }
        // SAFETY: the granule has a word: the type's invariant.
        Some(unsafe { self.place(granule).read() })
    }

    /// Returns the place of a granule's word. Only a granule with a leaf has one.
    #[inline(always)]
    fn place(&self, granule: usize) -> *mut Word {
        // SAFETY: a caller asks for no granule beyond the limit, which `LEAVES` covers.
        let leaf = unsafe {
            core::hint::assert_unchecked(granule <= usize::MAX / S::GRANULE);
            *self.leaves.get_unchecked(leaf_of::<S>(granule))
        };
        leaf.wrapping_add(granule)
    }

    /// Returns the descriptor of the slab in which an address lies, if it lies in one. O(1).
    #[inline(always)]
    pub(crate) fn slab_at(&self, address: usize) -> Option<NonNull<Slab>> {
        self.word_at(address).filter(|&slab| Some(slab) != self.absent)
    }

    /// Returns whether all granules from `start` to `end` have a word.
    pub(crate) const fn reaches(&self, start: usize, end: usize) -> bool {
        start / S::GRANULE >= self.base && end.div_ceil(S::GRANULE) - self.base <= self.limit
    }

    /// Makes the map reach further towards `end`. `start` and `end` are addresses of the heap, whose
    /// lowest one is `lowest`. O(1): writes at most `WORDS_AT_ONCE` words.
    pub(crate) fn reach(&mut self, lowest: usize, start: usize, end: usize) -> Reach {
        let Some(absent) = self.absent else {
            self.base = lowest / S::GRANULE;
            return Reach::NeedsLeaf(len_of::<S>(0));
        };
        if start / S::GRANULE < self.base {
            return Reach::Never;
        }
        let granules = end.div_ceil(S::GRANULE) - self.base;
        let mut budget = S::WORDS_AT_ONCE;
        while self.limit < granules && budget > 0 {
            let leaf = leaf_of::<S>(self.limit);
            let Some(words) = self.leaves.get(leaf) else { return Reach::Never };
            if words.is_null() {
                return Reach::NeedsLeaf(len_of::<S>(leaf));
            }
            let more = (first_of::<S>(leaf + 1) - self.limit).min(budget);
            for granule in self.limit..self.limit + more {
                // SAFETY: the leaf is there, and has a word for the granule.
                unsafe { words.wrapping_add(granule).write(absent) };
            }
            self.limit += more;
            budget -= more;
        }
        Reach::Further
    }

    /// Takes over memory for the leaf that [`reach`](PageMap::reach) misses.
    ///
    /// # Safety
    ///
    /// `memory` is as long as `reach` says, aligned for a word, and the map's until it gives it
    /// back.
    pub(crate) unsafe fn provide(&mut self, memory: NonNull<u8>) {
        let leaf = leaf_of::<S>(self.limit);
        let mut words = memory;
        if leaf == 0 {
            let absent = memory.cast::<Slab>();
            // SAFETY: the first leaf has room for the descriptor: `len_of`.
            words = unsafe {
                absent.write(Slab::ABSENT);
                absent.add(1).cast()
            };
            self.absent = Some(absent);
        }
        self.leaves[leaf] = words.cast::<Word>().as_ptr().wrapping_sub(first_of::<S>(leaf));
    }

    /// Writes the words of the `len` bytes from `address` on: they lead to `slab`, or to no slab.
    ///
    /// # Safety
    ///
    /// The map reaches as far as their end.
    pub(crate) unsafe fn set(&mut self, address: usize, len: usize, slab: Option<NonNull<Slab>>) {
        let Some(word) = slab.or(self.absent) else { return };
        let mut granule = (address / S::GRANULE).wrapping_sub(self.base);
        let end = granule + len / S::GRANULE;
        while granule < end {
            // The granules of a slab are in one leaf, or in two.
            let (leaf, end) = (
                self.leaves[leaf_of::<S>(granule)],
                end.min(first_of::<S>(leaf_of::<S>(granule) + 1)),
            );
            for granule in granule..end {
                // SAFETY: the granule has a word, in this leaf: this method's clause.
                unsafe { leaf.wrapping_add(granule).write(word) };
            }
            granule = end;
        }
    }

    /// Takes a leaf out: there is no slab. The first one comes last.
    pub(crate) fn take_leaf(&mut self) -> Option<NonNull<u8>> {
        self.limit = 0;
        let last = (1..LEAVES).rev().find(|&leaf| !self.leaves[leaf].is_null());
        let leaf = core::mem::replace(&mut self.leaves[last.unwrap_or(0)], core::ptr::null_mut());
        match last {
            Some(last) => NonNull::new(leaf.wrapping_add(first_of::<S>(last))).map(NonNull::cast),
            None => self.absent.take().map(NonNull::cast),
        }
    }

    /// Returns whether a payload is that of a leaf.
    pub(crate) fn is_leaf(&self, payload: NonNull<u8>) -> bool {
        self.leaves().any(|(leaf, _)| leaf == payload)
    }

    /// Returns the payload of each leaf, and its length in bytes.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let later = self.leaves.iter().enumerate().skip(1).filter(|(_, leaf)| !leaf.is_null());
        let later = later.filter_map(|(index, leaf)| {
            Some((
                NonNull::new(leaf.wrapping_add(first_of::<S>(index)))?.cast(),
                len_of::<S>(index),
            ))
        });
        self.absent.map(|absent| (absent.cast(), len_of::<S>(0))).into_iter().chain(later)
    }

    /// Returns the descriptor that stands for no slab.
    pub(crate) const fn absent(&self) -> Option<NonNull<Slab>> {
        self.absent
    }

    /// Returns the number of granules that have a word.
    pub(crate) const fn len(&self) -> usize {
        self.limit
    }

    /// Returns the descriptor of the slab that begins with a granule, by its number.
    pub(crate) fn slab_of(&self, granule: usize) -> Option<NonNull<Slab>> {
        let address = (self.base + granule) * S::GRANULE;
        let begins = |slab: &NonNull<Slab>| {
            // SAFETY: words of the map lead to valid descriptors: the type's invariant.
            unsafe { slab.as_ref() }.start.addr().get() == address
        };
        self.slab_at(address).filter(begins)
    }

    /// Returns the addresses of the granules that have a word.
    pub(crate) fn granules(&self) -> impl Iterator<Item = usize> {
        (self.base..self.base + self.limit).map(|granule| granule * S::GRANULE)
    }
}
