//! Which slab an address lies in: one word a granule.
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
//! a difference, a `bsr` and two loads. A word leads to the descriptor of a slab, or to the one
//! that stands for no slab, so that a free needs no test for it. Words are written some at a time:
//! the limit says how far.
//!
//! Regions that lie far apart, or below the first one, have windows of their own. The longest is
//! looked at first, the others only for a block that it does not reach.

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use super::descriptors::Descriptors;
use super::map::{SlabMap, take_internal};
use super::slab::Slab;
use crate::cell::{Region, WORD};
use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::slab_tuning::SlabTuning;

/// Number of leaves: with the usual sizes, enough for 8 TiB of addresses, or for all there are.
pub(crate) const LEAVES: usize = if usize::BITS == 64 { 27 } else { 17 };

/// Word of the map.
type Word = NonNull<Slab>;

/// Maximum number of windows.
const WINDOWS: usize = 8;

/// A leaf may always have this length, in bytes. A longer one is at most this share of the heap:
/// where holes are large, it would describe little else.
const LEAST_LEAF: usize = 512;
const LEAF_SHARE: usize = 64;

/// Words of the granules from a base on.
///
/// # Invariants
///
/// * the granules from `base` up to `limit` have a word, in a leaf
/// * every leaf is the payload of a used cell; leaves are there from the first up to some last one
#[derive(Debug)]
struct Window<S> {
    /// Number of the first granule.
    base: usize,
    /// Number of granules that have a word.
    limit: usize,
    /// Where each leaf would begin if it had a word for every granule from the base on; null: it is
    /// not there.
    leaves: [*mut Word; LEAVES],
    sizes: PhantomData<fn() -> S>,
}

/// Window beside the first one, in a cell.
#[derive(Debug)]
struct Other<S> {
    window: Window<S>,
    next: Option<NonNull<Other<S>>>,
}

/// Page map of a heap.
///
/// # Invariants
///
/// * a granule has at most one word; there are no slabs where there is none
/// * the word of a granule of a slab leads to the slab's descriptor, any other word to `absent`
/// * no window reaches further than the first
/// * every other window is the payload of a used cell
#[derive(Debug)]
pub struct PageMap<S> {
    first: Window<S>,
    others: Option<NonNull<Other<S>>>,
    /// Descriptor that stands for no slab; `None`: there is no map.
    absent: Option<NonNull<Slab>>,
}

/// Result of an attempt to make the map reach further.
enum Reach {
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

/// Returns the number of words of a leaf.
const fn words_of<S: SlabTuning>(leaf: usize) -> usize {
    S::FIRST_WORDS << leaf
}

/// Returns the length of a leaf in bytes.
pub(crate) const fn len_of<S: SlabTuning>(leaf: usize) -> usize {
    words_of::<S>(leaf) * WORD
}

impl<S: SlabTuning> Window<S> {
    const fn new(base: usize) -> Self {
        let leaves = [core::ptr::null_mut(); LEAVES];
        Self { base, limit: 0, leaves, sizes: PhantomData }
    }

    /// Returns the word of an address. O(1).
    #[inline(always)]
    fn word_at(&self, address: usize) -> Option<NonNull<Slab>> {
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
    const fn reaches(&self, start: usize, end: usize) -> bool {
        start / S::GRANULE >= self.base && end.div_ceil(S::GRANULE) - self.base <= self.limit
    }

    /// Writes the words of granules, by their distance from the base.
    ///
    /// # Safety
    ///
    /// The leaves of the granules are there.
    unsafe fn write(&mut self, granules: Range<usize>, word: Word) {
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
    fn reach(&mut self, end: usize, most: usize, absent: Word) -> Reach {
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
    fn take_leaf(&mut self) -> Option<NonNull<u8>> {
        self.limit = 0;
        let last = self.last_leaf()?;
        let leaf = core::mem::replace(&mut self.leaves[last], core::ptr::null_mut());
        NonNull::new(leaf.wrapping_add(first_of::<S>(last))).map(NonNull::cast)
    }

    /// Returns the payload of each leaf, and its length in bytes.
    fn leaves(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let leaves = self.leaves.iter().enumerate().filter(|(_, leaf)| !leaf.is_null());
        leaves.filter_map(|(index, leaf)| {
            let first = leaf.wrapping_add(first_of::<S>(index));
            Some((NonNull::new(first)?.cast(), len_of::<S>(index)))
        })
    }
}

impl<S: SlabTuning> PageMap<S> {
    #[cold]
    fn search_others(&self, address: usize) -> Option<NonNull<Slab>> {
        self.others().find_map(|window| window.word_at(address))
    }

    /// Returns the windows beside the first.
    fn others(&self) -> impl Iterator<Item = &Window<S>> {
        let mut next = self.others;
        core::iter::from_fn(move || {
            // SAFETY: windows in the list were written by `provide_window`, and change only through
            // an exclusive reference to the map.
            let other = unsafe { next?.as_ref() };
            next = other.next;
            Some(&other.window)
        })
    }

    /// Returns the windows, the first one first.
    fn windows(&self) -> impl Iterator<Item = &Window<S>> {
        core::iter::once(&self.first).chain(self.others())
    }

    /// Returns the window with a number.
    fn window_mut(&mut self, number: usize) -> Option<&mut Window<S>> {
        let Some(mut before) = number.checked_sub(1) else { return Some(&mut self.first) };
        let mut other = self.others;
        while before > 0 {
            // SAFETY: windows in the list were written by `provide_window`.
            other = unsafe { other?.as_ref() }.next;
            before -= 1;
        }
        // SAFETY: as before; the map is borrowed exclusively.
        other.map(|mut other| &mut unsafe { other.as_mut() }.window)
    }

    /// Returns the number of the window that a slab at `start` belongs to: of those that begin
    /// below it, the one that begins highest.
    fn window_of(&self, start: usize) -> Option<usize> {
        let windows = self.windows().enumerate();
        let below = windows.filter(|(_, window)| window.base <= start / S::GRANULE);
        below.max_by_key(|(_, window)| window.base).map(|(number, _)| number)
    }

    /// Begins the map of a heap whose lowest address is `lowest`.
    ///
    /// # Safety
    ///
    /// There is no map. `absent` is a descriptor that nothing uses as long as there is one.
    unsafe fn begin(&mut self, lowest: usize, absent: NonNull<Slab>) {
        self.absent = Some(absent);
        self.first = Window::new(lowest / S::GRANULE);
    }

    /// Makes the map reach further from `start`, the place of a slab, towards `end`. A window takes
    /// leaves of at most `longest` bytes; beyond, a region has a window of its own. O(windows):
    /// writes at most `WORDS_AT_ONCE` words.
    fn reach(&mut self, start: usize, end: usize, longest: usize) -> Reach {
        let Some(absent) = self.absent else { return Reach::Never };
        let Some(number) = self.window_of(start) else { return Reach::NeedsWindow };
        let (start, end) = (start / S::GRANULE, end.div_ceil(S::GRANULE));
        let above = self.windows().map(|window| window.base).filter(|&base| base > start);
        let most = above.min().unwrap_or(usize::MAX);
        if end > most {
            return Reach::Never;
        }
        let Some(window) = self.window_mut(number) else { return Reach::Never };
        let answer = match window.reach(end, most, absent) {
            Reach::NeedsLeaf(len) if len > longest => Reach::NeedsWindow,
            answer => answer,
        };
        let limit = window.limit;
        if limit > self.first.limit {
            self.make_first(number);
        }
        answer
    }

    /// Exchanges a window with the first one.
    fn make_first(&mut self, number: usize) {
        let Some(mut window) = self.window_mut(number).map(NonNull::from) else { return };
        // SAFETY: another window than the first, in its own cell; the map is borrowed exclusively.
        core::mem::swap(&mut self.first, unsafe { window.as_mut() });
    }

    /// Takes over memory for the leaf that [`reach`](PageMap::reach) misses for a slab at `start`.
    ///
    /// # Safety
    ///
    /// `memory` is as long as `reach` says, aligned for a word, and the map's until it gives it
    /// back.
    pub(crate) unsafe fn provide_leaf(&mut self, start: usize, memory: NonNull<u8>) {
        let window = self.window_of(start).and_then(|number| self.window_mut(number));
        let Some(window) = window else { return };
        let leaf = leaf_of::<S>(window.limit);
        window.leaves[leaf] = memory.cast::<Word>().as_ptr().wrapping_sub(first_of::<S>(leaf));
    }

    /// Length of the memory for another window, in bytes.
    const WINDOW_LEN: usize = size_of::<Other<S>>();

    /// Returns whether there may be another window from `start` on.
    fn may_have_window(&self, start: usize) -> bool {
        let base = start / S::GRANULE;
        self.windows().count() < WINDOWS
            && !self
                .windows()
                .any(|window| (window.base..=window.base + window.limit).contains(&base))
    }

    /// Takes over memory for another window, which begins at `start`.
    ///
    /// # Safety
    ///
    /// `memory` has `WINDOW_LEN` bytes, is aligned for a word, and the map's until it gives it
    /// back.
    unsafe fn provide_window(&mut self, start: usize, memory: NonNull<u8>) {
        let other = memory.cast::<Other<S>>();
        let window = Window::new(start / S::GRANULE);
        // SAFETY: the memory holds a window: this method's clause.
        unsafe { other.write(Other { window, next: self.others }) };
        self.others = Some(other);
    }

    /// Returns the payload of each leaf and each window, and its length in bytes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let mut next = self.others;
        let windows = core::iter::from_fn(move || {
            let other = next?;
            // SAFETY: windows in the list were written by `provide_window`.
            next = unsafe { other.as_ref() }.next;
            Some((other.cast(), Self::WINDOW_LEN))
        });
        windows.chain(self.windows().flat_map(Window::leaves))
    }

    /// Returns the descriptor that stands for no slab.
    pub(crate) const fn absent(&self) -> Option<NonNull<Slab>> {
        self.absent
    }

    /// Returns the address of each granule that has a word.
    pub(crate) fn granules(&self) -> impl Iterator<Item = usize> {
        let numbers = |window: &Window<S>| window.base..window.base + window.limit;
        self.windows().flat_map(numbers).map(|number| number * S::GRANULE)
    }
}

// SAFETY: words of the map lead to valid descriptors, and those of a slab's granules to its own:
// the type's invariant.
unsafe impl<S: SlabTuning> SlabMap<S> for PageMap<S> {
    const VERIFIES: bool = false;

    const NEW: Self = Self { first: Window::new(0), others: None, absent: None };

    #[inline(always)]
    fn word_at_hand(&self, address: usize) -> Option<NonNull<Slab>> {
        self.first.word_at(address)
    }

    #[inline(always)]
    fn word_elsewhere(&self, address: usize) -> Option<NonNull<Slab>> {
        self.others?;
        self.search_others(address)
    }

    #[inline(always)]
    fn slab_at(&self, address: usize) -> Option<NonNull<Slab>> {
        let word = self.word_at_hand(address).or_else(|| self.word_elsewhere(address));
        word.filter(|&slab| Some(slab) != self.absent)
    }

    fn reaches(&self, start: usize, end: usize) -> bool {
        self.absent.is_some() && self.windows().any(|window| window.reaches(start, end))
    }

    fn reach_further<B: Source, M: Map, P: Tuning<Slabs = S>>(
        &mut self,
        large: &mut Large<B, M, P>,
        descriptors: &mut Descriptors,
        (start, end): (usize, usize),
        growth: Growth,
    ) -> bool {
        if self.absent.is_none() {
            let lowest = large.chunks.space().lowest().map_or(start, |cell| cell.addr());
            let Some(absent) = descriptors.take() else { return false };
            // SAFETY: there is no map, and the descriptor was just taken.
            unsafe { self.begin(lowest, absent) };
        }
        let longest = LEAST_LEAF.max(large.chunks.space().len() / LEAF_SHARE);
        match self.reach(start, end, longest) {
            Reach::Further => true,
            Reach::Never => false,
            Reach::NeedsLeaf(len) => {
                let Some(leaf) = take_internal(large, len, growth) else { return false };
                // SAFETY: the cell is new, and holds `len` bytes.
                unsafe { self.provide_leaf(start, leaf) };
                matches!(self.reach(start, end, longest), Reach::Further)
            }
            Reach::NeedsWindow => {
                let around = |region: &Region<P>| (region.start..region.end).contains(&start);
                let from = large.chunks.space().regions().find(around).map(|region| region.start);
                let Some(from) = from else { return false };
                if !self.may_have_window(from) {
                    return false;
                }
                let len = Self::WINDOW_LEN;
                let Some(window) = take_internal(large, len, growth) else { return false };
                // SAFETY: the cell is new, and holds `len` bytes.
                unsafe { self.provide_window(from, window) };
                true
            }
        }
    }

    unsafe fn set(&mut self, address: usize, len: usize, slab: Option<NonNull<Slab>>) {
        let Some(word) = slab.or(self.absent) else { return };
        let window = self.window_of(address).and_then(|number| self.window_mut(number));
        let Some(window) = window else { return };
        let first = address / S::GRANULE - window.base;
        // SAFETY: the granules have words, in this window: this method's clause.
        unsafe { window.write(first..first + len / S::GRANULE, word) };
    }

    fn take_part(&mut self) -> Option<NonNull<u8>> {
        self.absent = None;
        let Some(mut other) = self.others else { return self.first.take_leaf() };
        // SAFETY: windows in the list were written by `provide_window`; the map is borrowed
        // exclusively.
        let part = unsafe { other.as_mut() };
        let leaf = part.window.take_leaf();
        if leaf.is_none() {
            self.others = part.next;
        }
        leaf.or(Some(other.cast()))
    }

    fn take_idle_part(&mut self, end: usize) -> Option<NonNull<u8>> {
        if self.others.is_some() {
            // The first window must stay the longest.
            return None;
        }
        let granules = end.div_ceil(S::GRANULE).saturating_sub(self.first.base);
        let last = self.first.last_leaf().filter(|&leaf| first_of::<S>(leaf) >= granules)?;
        let limit = self.first.limit.min(first_of::<S>(last));
        let leaf = self.first.take_leaf();
        self.first.limit = limit;
        leaf
    }

    fn is_part(&self, payload: NonNull<u8>) -> bool {
        self.parts().any(|(part, _)| part == payload)
    }
}
