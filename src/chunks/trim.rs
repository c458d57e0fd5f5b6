//! Gives memory back: moves the break down as far as the top allows (C8), or gives back whole
//! segments. Free memory that cannot leave by either is shown to a provider that can take pages back
//! and leave their addresses.

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::bins::Classes;
use crate::cell::{Cell, Links, MIN_CELL, WORD};
use crate::provider::Source;
use crate::request::round_up;
use crate::space::is_one_free_cell;

/// Denominator of the share of a heap that may be free at its end, by default.
const GROWING_SHARE: usize = 16;

/// Limits at which the break moves down.
///
/// After a `free` has left a top of at least `threshold` bytes, the heap gives back all of it
/// except `keep` bytes. A gap between the two prevents a program that allocates and frees at the
/// edge from moving the break each time. Unless set, both grow with the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trim {
    /// Minimum size of the top, in bytes, with which a `free` gives memory back; `usize::MAX`:
    /// never.
    pub threshold: usize,
    /// Bytes of the top that stay with the heap.
    pub keep: usize,
}

impl Default for Trim {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Trim {
    /// Gives back from 128 KiB on (glibc's `M_TRIM_THRESHOLD`) and keeps half of it; or from 1/16
    /// of the bytes below the top on, if that is more: a large heap's edge moves by more, too.
    /// [`SmallHeap`](crate::SmallHeap) does not grow the threshold.
    pub const DEFAULT: Self = Self::new(128 << 10, 64 << 10);

    /// Never moves the break down.
    pub const NEVER: Self = Self::new(usize::MAX, 0);

    /// Gives back from a top of `threshold` bytes on, and keeps `keep` bytes.
    #[must_use]
    pub const fn new(threshold: usize, keep: usize) -> Self {
        Self { threshold, keep }
    }

    /// Returns the limits of a heap that has `below` bytes below the top.
    fn of_heap(self, below: usize) -> Self {
        if self != Self::DEFAULT {
            return self;
        }
        let threshold = self.threshold.max(below / GROWING_SHARE);
        Self { threshold, keep: threshold / 2 }
    }
}

/// Choice of the free segments that stay with the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    /// The segment that was granted last: a program at the edge of a segment does not obtain it and
    /// give it back each time.
    Last,
    /// No segment.
    None,
}

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Returns whether [`trim_if_due`](Chunks::trim_if_due) may give memory back: a short test, for
    /// callers that end with that call.
    #[inline(always)]
    pub(crate) fn may_be_due(&self) -> bool {
        if !B::CONTIGUOUS {
            return true;
        }
        let size = |top: Cell<P>| {
            self.space
                .extent()
                .map_or(0, |extent| extent.fencepost().addr().wrapping_sub(top.addr()))
        };
        self.top.is_some_and(|top| size(top) >= self.trim.threshold)
    }

    /// Gives memory back as the setting says, if the top has become large.
    pub(crate) fn trim_if_due(&mut self) {
        if !B::CONTIGUOUS {
            if self.space.source.take_free_segment() {
                self.give_back_segments(Spare::Last);
            }
            return;
        }
        if let (Some(top), Some(extent)) = (self.top, self.space.extent()) {
            let size = extent.fencepost().addr() - top.addr();
            if size < self.trim.threshold || extent.is_pinned() {
                return;
            }
            let below = top.addr() - extent.region().first.addr();
            let trim = if P::COMPACT { self.trim } else { self.trim.of_heap(below) };
            if size < trim.threshold {
                return;
            }
            if P::COMPACT {
                // Compact code finds a foreign movement of the break when the heap moves it up.
                self.lower_top(trim.keep);
            } else {
                self.lower(trim.keep);
            }
        }
    }

    /// Moves the break down so that a top of at least `keep` bytes stays, if the top is larger; or
    /// gives back every free segment, except the last if `keep` is not 0. Returns the number of
    /// bytes given back.
    pub(crate) fn trim(&mut self, keep: usize) -> usize {
        if !B::CONTIGUOUS {
            let had = self.space.len();
            self.give_back_segments(if keep == 0 { Spare::None } else { Spare::Last });
            return had - self.space.len();
        }
        self.lower(keep)
    }

    /// Moves the break down so that a top of at least `keep` bytes stays. Returns the number of
    /// bytes given back.
    fn lower(&mut self, keep: usize) -> usize {
        if self.space.watch_the_break().is_err() {
            self.abandon();
            return 0;
        }
        self.lower_top(keep)
    }

    /// [`lower`](Chunks::lower) without the test whether foreign code has moved the break down.
    fn lower_top(&mut self, keep: usize) -> usize {
        let Some(top) = self.top else { return 0 };
        // SAFETY: the top is the free cell at the break, and in no bin: the type's invariant.
        let Some((by, left)) = (unsafe { self.space.lower(top, keep) }) else { return 0 };
        self.top = None;
        if left > 0 {
            // SAFETY: the rest is the lower part of the former top, a used cell precedes it, and
            // the new fencepost follows it.
            unsafe { self.keep_as(top, left, true) };
        }
        by
    }

    /// Gives back every segment that is one free cell, except the spare. O(segments).
    fn give_back_segments(&mut self, spare: Spare) {
        let (mut below, mut next) = (None, self.space.lowest_region());
        while let Some(region) = next {
            next = self.space.region_above(&region);
            let may_go = spare == Spare::None || !self.space.is_breaks(&region);
            // SAFETY: the region is one of this heap's.
            if may_go && unsafe { is_one_free_cell(&region) } {
                // SAFETY: the first cell of a region is valid.
                unsafe { self.claim_if_free(region.first) };
                // SAFETY: the region was one free cell, which `claim_if_free` took out of its bin;
                // `below` is the region below it.
                unsafe { self.space.give_back(&region, below) };
            } else {
                below = Some(region);
            }
        }
    }
}

impl<B, P: Tuning> Chunks<B, P> {
    /// Implements [`Heap::unused_memory`](crate::Heap::unused_memory).
    ///
    /// ```text
    ///   free cell   ┌────────┬───────┬──────────────────────────────────────┬──────┐
    ///               │ header │ links │               not needed              │ size │
    ///               └────────┴───────┴──────────────────────────────────────┴──────┘
    ///   granules         │            ├──────────┼──────────┼──────────┤      │
    ///                                  reported
    /// ```
    pub(crate) fn unused_memory(
        &self,
        granule: usize,
        least: usize,
        mut forget: impl FnMut(NonNull<[u8]>),
    ) {
        let mut class = P::Classes::class_of(least.max(MIN_CELL));
        while let Some(occupied) = self.bins.next_occupied(class) {
            for (cell, size) in self.bins.list(occupied) {
                let used = WORD + size_of::<Links<P>>();
                let Some(start) = round_up(cell.addr() + used, granule) else { continue };
                let end = (cell.addr() + size - WORD) & !(granule - 1);
                let Some(len) = end.checked_sub(start).filter(|&len| len >= least.max(1)) else {
                    continue;
                };
                // SAFETY: `start` lies in the cell: above its links, and below its end.
                let start = unsafe { cell.payload().byte_add(start - cell.payload().addr().get()) };
                forget(NonNull::slice_from_raw_parts(start, len));
            }
            class = occupied + 1;
        }
    }
}
