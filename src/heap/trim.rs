//! Giving back: the break comes down as far as the top allows (C8).
//!
//! ```text
//!            top ≥ threshold                  what stays: `keep`, and what the provider's steps leave
//!   … │ used │     free      │F▐   ──►   … │ used │ free │F▐
//!                              └ break                     └ break
//! ```
//!
//! Of memory from a scattered provider whole pieces go back instead (pieces.rs).

use super::Heap;
use super::extent::Extent;
#[cfg(not(feature = "tiny"))]
use super::pieces::Spare;
use super::request::round_up;
use crate::TINY;
use crate::cell::{CELL_ALIGN, Cell, MIN_CELL, WORD};
use crate::provider::{Break, Map};

/// The part of the heap that may be free at its end, unless a setting says otherwise.
const GROWING_SHARE: usize = 16;

/// When the break moves down, and how far.
///
/// After a `free` has left a top of at least `threshold` bytes, the heap gives back all of it but
/// `keep`. A gap between the two keeps a program that allocates and frees at the edge from moving
/// the break each time. Unless told otherwise, both grow with the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Size of the top, in bytes, from which on a `free` gives memory back; `usize::MAX`: never.
    pub threshold: usize,
    /// Bytes of the top that stay with the heap.
    pub keep: usize,
}

impl Trim {
    /// Give back from 128 KiB on (glibc's `M_TRIM_THRESHOLD`), keep the half; or from 1/16 of what
    /// the heap has below the top on, if that is more: what goes to and fro at the edge of a
    /// large heap is more, too.
    pub const DEFAULT: Self = Self { threshold: 128 << 10, keep: 64 << 10 };

    /// What the setting means for a heap that has so many bytes below the top.
    fn of_heap(self, below: usize) -> Self {
        if TINY || self != Self::DEFAULT {
            return self;
        }
        let threshold = self.threshold.max(below / GROWING_SHARE);
        Self { threshold, keep: threshold / 2 }
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Gives back what the setting tells, if the top has become large.
    pub(super) fn trim_if_due(&mut self) {
        #[cfg(not(feature = "tiny"))]
        if B::SCATTERED {
            return self.give_back_if_due();
        }
        if let (Some(top), Some(extent)) = (self.top, &self.extent) {
            let size = extent.fence().addr() - top.addr();
            if size < self.trim.threshold || extent.is_pinned() {
                return;
            }
            let trim = self.trim.of_heap(top.addr() - extent.region().first.addr());
            if size >= trim.threshold {
                self.give_back_top(trim.keep);
            }
        }
    }

    /// Sets when a `free` moves the break down. See [`Trim`].
    pub const fn set_trim(&mut self, trim: Trim) {
        self.trim = trim;
    }

    /// Moves the break down as far as the top allows, in the provider's steps, but leaves a top of
    /// at least `keep` bytes (if there is that much). Returns the number of bytes given back.
    ///
    /// An empty heap that keeps nothing gives back all it ever had, unless holes divide it. Nothing
    /// is given back if the provider refuses, or if memory that the break did not grant lies
    /// between our end and the break, or right above it.
    ///
    /// # Time
    ///
    /// As for [`flush`](Heap::flush), plus one call of the provider.
    pub fn trim(&mut self, keep: usize) -> usize {
        self.flush();
        #[cfg(not(feature = "tiny"))]
        if B::SCATTERED {
            let had = self.region_bytes();
            self.give_back_pieces(if keep == 0 { Spare::Nothing } else { Spare::Last });
            return had - self.region_bytes();
        }
        self.give_back_top(keep)
    }

    /// [`trim`](Heap::trim) with what is free already.
    fn give_back_top(&mut self, keep: usize) -> usize {
        if self.watch_the_break().is_err() {
            return 0;
        }
        let (Some(top), Some(extent)) = (self.top, &self.extent) else { return 0 };
        let region = extent.region();
        if extent.is_pinned() || self.brk.end().addr() != extent.brk() {
            return 0;
        }
        let is_alone = self.regions.lowest == Some(region.first) && self.regions.last().is_none();
        let all = keep == 0 && top == region.first && region.start == extent.floor() && is_alone;
        let Some(by) =
            (if all { Some(region.end - region.start) } else { self.surplus(top, extent, keep) })
        else {
            return 0;
        };
        // Once the memory is gone, the fence cannot be read.
        // SAFETY: the region's fence; all first cells are exposed.
        let above = if TINY { None } else { unsafe { region.fence.behind_hole() } };
        // SAFETY: the `by` bytes below the break were granted; they are the upper part of the free
        // top and the fence behind it.
        if unsafe { self.brk.shrink(by) }.is_err() {
            return 0;
        }
        self.top = None;
        self.kept.forget_room();
        if all {
            self.extent = None;
            self.regions.lowest = None;
        } else {
            self.lower_fence(top, by, above);
        }
        by
    }

    /// How many bytes can go if `keep` stay in the top, by the provider's steps: nothing below the
    /// floor.
    fn surplus(&self, top: Cell, extent: &Extent, keep: usize) -> Option<usize> {
        let keep = if keep == 0 { 0 } else { round_up(keep, CELL_ALIGN)?.max(MIN_CELL) };
        let lowest = top.addr().checked_add(keep)?.checked_add(WORD)?;
        let end = if lowest <= extent.floor() {
            extent.floor()
        } else {
            round_up(lowest, self.brk.granule())?
        };
        extent.brk().checked_sub(end).filter(|&by| by > 0)
    }

    /// After the break has come down by `by`: what is left of the top is the top, if it is enough
    /// for a cell. `above` is the first cell of the next region, to which the old fence led.
    fn lower_fence(&mut self, top: Cell, by: usize, above: Option<Cell>) {
        let Some(extent) = &mut self.extent else { return };
        let end = extent.brk() - by;
        let left = end - Cell::fence_offset(end) - top.addr();
        let left = if left < MIN_CELL { 0 } else { left };
        // SAFETY: `left` bytes above the top's start, still below the new end.
        let fence = unsafe { top.offset(left) };
        extent.end_at(fence, end);
        // SAFETY: in the former top, so in no cell. What precedes it is used, unless it is what is
        // left of the top.
        unsafe {
            fence.write_fence(above.map_or(0, |above| above.addr() - fence.addr()), left == 0)
        };
        if left > 0 {
            // SAFETY: the lower part of the former top, followed by the fence; a used cell precedes
            // it.
            unsafe { self.keep(top, left) };
        }
    }
}
