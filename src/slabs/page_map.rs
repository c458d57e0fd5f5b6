//! Which slab an address lies in: one word a granule.
//!
//! A word leads to the descriptor of a slab, or to the one that stands for no slab, so that a free
//! needs no test for it.
//!
//! Regions that lie far apart, or below the first one, have windows of their own. The longest is
//! looked at first, the others only for a block that it does not reach.

use core::ptr::NonNull;

use super::descriptors::Descriptors;
use super::map::{SlabMap, take_internal};
use super::slab::Slab;
use super::window::{Reach, Window};
use crate::cell::Region;
use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::slab_tuning::SlabTuning;

/// Maximum number of windows.
const WINDOWS: usize = 8;

/// A leaf may always have this length, in bytes. A longer one is at most this share of the heap:
/// where holes are large, it would describe little else.
const LEAST_LEAF: usize = 512;
const LEAF_SHARE: usize = 64;

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

impl<S: SlabTuning> PageMap<S> {
    #[cold]
    fn search_others(&self, address: usize) -> Option<NonNull<Slab>> {
        self.others().find_map(|window| window.word_at(address))
    }

    /// Returns the windows beside the first, as they lie in their cells.
    fn other_cells(&self) -> impl Iterator<Item = NonNull<Other<S>>> + use<S> {
        // SAFETY: windows in the list were written by `provide_window`.
        core::iter::successors(self.others, |other| unsafe { other.as_ref() }.next)
    }

    /// Returns the windows beside the first.
    fn others(&self) -> impl Iterator<Item = &Window<S>> {
        // SAFETY: as before; they change only through an exclusive reference to the map.
        self.other_cells().map(|other| unsafe { &other.as_ref().window })
    }

    /// Returns the windows, the first one first.
    fn windows(&self) -> impl Iterator<Item = &Window<S>> {
        core::iter::once(&self.first).chain(self.others())
    }

    /// Returns the window with a number.
    fn window_mut(&mut self, number: usize) -> Option<&mut Window<S>> {
        let Some(other) = number.checked_sub(1) else { return Some(&mut self.first) };
        // SAFETY: windows in the list were written by `provide_window`; the map is borrowed
        // exclusively.
        self.other_cells().nth(other).map(|mut other| &mut unsafe { other.as_mut() }.window)
    }

    /// Returns the window that a slab at `start` belongs to.
    fn window_at(&mut self, start: usize) -> Option<&mut Window<S>> {
        self.window_of(start).and_then(|number| self.window_mut(number))
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
            if let Some(mut window) = self.window_mut(number).map(NonNull::from) {
                // SAFETY: another window than the first, in its own cell; the map is borrowed
                // exclusively.
                core::mem::swap(&mut self.first, unsafe { window.as_mut() });
            }
        }
        answer
    }

    /// Takes over memory for the leaf that [`reach`](PageMap::reach) misses for a slab at `start`.
    ///
    /// # Safety
    ///
    /// `memory` is as long as `reach` says, aligned for a word, and the map's until it gives it
    /// back.
    pub(crate) unsafe fn provide_leaf(&mut self, start: usize, memory: NonNull<u8>) {
        let Some(window) = self.window_at(start) else { return };
        window.provide_leaf(memory);
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
        let windows = self.other_cells().map(|other| (other.cast(), Self::WINDOW_LEN));
        windows.chain(self.windows().flat_map(Window::leaves))
    }

    /// Returns the descriptor that stands for no slab.
    pub(crate) const fn absent(&self) -> Option<NonNull<Slab>> {
        self.absent
    }

    /// Returns the address of each granule that has a word.
    pub(crate) fn granules(&self) -> impl Iterator<Item = usize> {
        self.windows().flat_map(Window::granules).map(|number| number * S::GRANULE)
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
        let Some(window) = self.window_at(address) else { return };
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
        self.first.take_idle_leaf(end)
    }

    fn is_part(&self, payload: NonNull<u8>) -> bool {
        self.parts().any(|(part, _)| part == payload)
    }
}
