//! Which pages belong to runs, and of what class: one byte a page.
//!
//! ```text
//!   base                                                                    addresses
//!   ▼
//!   ├─ leaf 0 ─┼─ leaf 1 ─┼────── leaf 2 ──────┼────────────── leaf 3 ───────────── …
//!     256 pages  256        512                  1024         each leaf as long as all before it
//! ```
//!
//! Leaves are had when the first run in their reach begins, and go with the last. So a map takes
//! 1/4096 of the addresses that it describes, needs no copying to grow, and is read in constant
//! time. Where there is no leaf there are no runs; small blocks are cells there.

use core::ptr::NonNull;

use crate::size_class::Class;
use super::run::{LONG, PAGE};
use super::segments::SegmentMap;
use crate::cell::WORD;

/// Pages in the reach of the first leaf: 1 MiB.
const FIRST_PAGES: usize = 256;

/// Number of leaves: enough for 32 GiB of addresses, or for all there are.
pub(crate) const LEAVES: usize = if usize::BITS == 64 { 16 } else { 13 };

/// In front of a leaf's bytes: how many runs there are in its reach.
const LEAF_HEADER: usize = WORD;

/// The leaf of a page, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    leaf: usize,
    page: usize,
}

/// The page map of a heap. One whose memory are segments keeps no map of its own: the
/// [`SegmentMap`] knows, and there are no leaves.
///
/// # Invariants
///
/// * the byte of a page is `class + 1` if the page belongs to a run of that class, else 0
/// * `leaves[l]` is there `⟺` there are runs in its reach; its first word counts them
#[derive(Debug)]
pub(crate) struct PageMap {
    /// Number of the first page, a multiple of `LONG / PAGE`.
    base: usize,
    leaves: [Option<NonNull<u8>>; LEAVES],
    /// The map that knows instead of this one.
    segments: Option<NonNull<SegmentMap>>,
}

impl PageMap {
    pub(crate) const fn new() -> Self {
        Self { base: 0, leaves: [None; LEAVES], segments: None }
    }

    /// Leaves it to a map of segments to say which pages are runs.
    ///
    /// # Safety
    ///
    /// There is no run yet. The map outlives this one, and all memory of the heap are segments in
    /// it.
    pub(crate) const unsafe fn rely_on(&mut self, segments: NonNull<SegmentMap>) {
        self.segments = Some(segments);
    }

    /// The map that knows instead of this one.
    #[inline]
    pub(crate) fn segments(&self) -> Option<&SegmentMap> {
        // SAFETY: it outlives this one: `rely_on`.
        self.segments.map(|segments| unsafe { segments.as_ref() })
    }

    fn place(&self, address: usize) -> Option<Place> {
        let page = (address / PAGE).wrapping_sub(self.base);
        let leaf = ((page | (FIRST_PAGES - 1)).ilog2() - (FIRST_PAGES - 1).ilog2()) as usize;
        let first = if leaf == 0 { 0 } else { (FIRST_PAGES / 2) << leaf };
        (leaf < LEAVES).then_some(Place { leaf, page: page - first })
    }

    const fn pages_of(leaf: usize) -> usize {
        if leaf == 0 { FIRST_PAGES } else { (FIRST_PAGES / 2) << leaf }
    }

    /// The class of the run in which an address lies; `None` if it lies in none. O(1).
    #[inline]
    pub(crate) fn class_at(&self, address: usize) -> Option<Class> {
        if let Some(segments) = self.segments() {
            return segments.class_at(address);
        }
        self.class_in_leaves(address)
    }

    /// [`class_at`](PageMap::class_at) for a heap that does not rely on a map of segments.
    #[inline]
    pub(crate) fn class_in_leaves(&self, address: usize) -> Option<Class> {
        debug_assert!(self.segments.is_none());
        let Place { leaf, page } = self.place(address)?;
        let leaf = self.leaves[leaf]?;
        // SAFETY: inside the leaf: `page < pages_of(leaf)`.
        let byte = unsafe { leaf.add(LEAF_HEADER + page) };
        // SAFETY: as above; initialised by `provide`.
        Class::from_index(usize::from(unsafe { byte.read() }).wrapping_sub(1))
    }

    /// How long a leaf is needed for a run at `address`: 0 if it is there. `None` if no leaf
    /// reaches that far. `lowest` is the heap's lowest address.
    pub(crate) fn missing_leaf(&mut self, address: usize, lowest: usize) -> Option<usize> {
        if self.segments.is_some() {
            return Some(0);
        }
        if self.is_empty() {
            // Aligned as the longest run is, so that the pages of a run are in the reach of one
            // leaf.
            self.base = lowest / LONG * (LONG / PAGE);
        }
        let leaf = self.place(address)?.leaf;
        Some(if self.leaves[leaf].is_some() { 0 } else { LEAF_HEADER + Self::pages_of(leaf) })
    }

    /// Takes over memory for the leaf that was [missing](PageMap::missing_leaf), and clears it.
    ///
    /// # Safety
    ///
    /// `memory` is as long as was asked for, aligned for a word, and the map's until it gives it
    /// back.
    pub(crate) unsafe fn provide(&mut self, address: usize, memory: NonNull<u8>) {
        let Some(Place { leaf, .. }) = self.place(address) else { return };
        // SAFETY: the caller's promise.
        unsafe { memory.write_bytes(0, LEAF_HEADER + Self::pages_of(leaf)) };
        self.leaves[leaf] = Some(memory);
    }

    /// Notes that a run of `len` bytes begins at `address`, where there is a leaf.
    pub(crate) fn set(&mut self, address: usize, len: usize, class: Class) {
        if let Some(segments) = self.segments() {
            return segments.set_class(address, len, Some(class));
        }
        self.fill(address, len, class.index() as u8 + 1, 1);
    }

    /// Notes that there is no run any more. Returns the leaf, if that was the last run in its
    /// reach.
    pub(crate) fn clear(&mut self, address: usize, len: usize) -> Option<NonNull<u8>> {
        if let Some(segments) = self.segments() {
            segments.set_class(address, len, None);
            return None;
        }
        self.fill(address, len, 0, usize::MAX);
        let slot = &mut self.leaves[self.place(address)?.leaf];
        let leaf = (*slot)?;
        // SAFETY: the leaf's first word counts the runs.
        if unsafe { leaf.cast::<usize>().read() } != 0 {
            return None;
        }
        slot.take()
    }

    /// Writes the bytes of a run's pages, all in one leaf, and changes the leaf's count.
    fn fill(&mut self, address: usize, len: usize, byte: u8, more: usize) {
        let Some(Place { leaf, page }) = self.place(address) else { return };
        let Some(leaf) = self.leaves[leaf] else { return };
        // SAFETY: inside the leaf.
        let first = unsafe { leaf.add(LEAF_HEADER + page) };
        for page in 0..len / PAGE {
            // SAFETY: runs are aligned to their length, and leaves to the longest: all pages of a
            // run are in the reach of one.
            let byte_of_page = unsafe { first.add(page) };
            // SAFETY: as above.
            unsafe { byte_of_page.write(byte) };
        }
        let count = leaf.cast::<usize>();
        // SAFETY: the leaf's first word counts the runs.
        let runs = unsafe { count.read() };
        // SAFETY: the same word.
        unsafe { count.write(runs.wrapping_add(more)) };
    }

    /// Whether there is no run at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.iter().all(Option::is_none)
    }

    /// Whether a payload is that of a leaf.
    pub(crate) fn is_leaf(&self, payload: NonNull<u8>) -> bool {
        self.leaves.contains(&Some(payload))
    }

    /// The leaves that are there, with their numbers.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (usize, Leaf)> {
        let leaf = |(index, leaf): (usize, &Option<NonNull<u8>>)| {
            Some((index, Leaf { memory: (*leaf)?, pages: Self::pages_of(index) }))
        };
        self.leaves.iter().enumerate().filter_map(leaf)
    }

    /// The number of the leaf that describes the page of an address, if there can be one.
    pub(crate) fn leaf_of(&self, address: usize) -> Option<usize> {
        if self.segments.is_some() {
            return None;
        }
        Some(self.place(address)?.leaf)
    }
}

/// A leaf of a page map, to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    /// Where it begins.
    pub(crate) memory: NonNull<u8>,
    pages: usize,
}

impl Leaf {
    /// Its length in bytes.
    pub(crate) const fn len(self) -> usize {
        LEAF_HEADER + self.pages
    }

    /// How many runs it counts.
    ///
    /// # Safety
    ///
    /// The leaf's memory is the heap's.
    pub(crate) unsafe fn runs(self) -> usize {
        // SAFETY: the leaf's first word counts the runs.
        unsafe { self.memory.cast::<usize>().read() }
    }

    /// How many pages it says are pages of runs.
    ///
    /// # Safety
    ///
    /// As for [`runs`](Leaf::runs).
    pub(crate) unsafe fn pages_of_runs(self) -> usize {
        // SAFETY: inside the leaf.
        let first = unsafe { self.memory.add(LEAF_HEADER) };
        // SAFETY: the leaf's bytes, initialised by `provide`.
        let bytes = unsafe { core::slice::from_raw_parts(first.as_ptr(), self.pages) };
        bytes.iter().filter(|&&byte| byte != 0).count()
    }
}
