//! How new memory joins the regions of a heap, whoever it came from.
//!
//! ```text
//!   apart            ▐ below ▌        ▐ piece ▌       ▐ above ▌      one region more
//!   touches below    ▐ below ▌▐ piece ▌               ▐ above ▌      the region below ends higher up
//!   touches above    ▐ below ▌               ▐ piece ▌▐ above ▌      the region above begins lower down
//!   fills a hole     ▐ below ▌▐         piece        ▌▐ above ▌      two regions become one
//! ```
//!
//! Where a piece touches, heads and fences at the border become the inside of a free cell, and free
//! cells on both sides are merged (C6).

use core::ptr::NonNull;

use super::Heap;
use super::extent::Extent;
use crate::cell::{Cell, MIN_CELL, Region, WORD};
use crate::provider::{Break, Map};

/// Memory that is to become part of the heap, and the regions on both sides of it.
pub(super) struct Piece {
    start: NonNull<u8>,
    end: usize,
    below: Option<Region>,
    above: Option<Region>,
}

impl Piece {
    fn start(&self) -> usize {
        self.start.addr().get()
    }

    /// Whether some of it is the heap's already.
    pub(super) fn overlaps(&self) -> bool {
        self.below.is_some_and(|below| below.end > self.start())
            || self.above.is_some_and(|above| above.start < self.end)
    }

    /// The region below, if no byte lies between.
    pub(super) fn touching_below(&self) -> Option<Region> {
        self.below.filter(|below| below.end == self.start())
    }

    /// The region above, if no byte lies between.
    pub(super) fn touching_above(&self) -> Option<Region> {
        self.above.filter(|above| above.start == self.end)
    }

    /// What becomes of it, and of what it touches; `None` if it is too short for a region of its
    /// own, and touches nothing.
    pub(super) fn joint(&self) -> Option<Joint> {
        let (below, above) = (self.touching_below(), self.touching_above());
        // SAFETY: a region of the heap.
        let free_below = below.is_some_and(|below| !unsafe { below.fence.header() }.is_prev_used());
        // SAFETY: a region of the heap.
        let free_above = above.is_some_and(|above| !unsafe { above.first.header() }.is_used());
        let lowest = match below {
            Some(below) => below.fence.addr(),
            None => self.start().checked_add(Cell::first_offset(self.start()))?,
        };
        let highest = match above {
            Some(above) => above.first.addr(),
            None => self.end.checked_sub(Cell::fence_offset(self.end))?,
        };
        let (start, end) = (
            below.map_or(self.start(), |below| below.start),
            above.map_or(self.end, |above| above.end),
        );
        let space = highest.checked_sub(lowest)?;
        if space < MIN_CELL && !free_below && !free_above {
            // Slack, if it touches.
            let region = below
                .map(|below| Region { end, ..below })
                .or(above.map(|above| Region { start, ..above }))?;
            return Some(Joint { region, space: None });
        }
        let from = match below {
            Some(below) => below.fence,
            // SAFETY: the first cell's place, still in the piece (or the first cell of what it
            // touches).
            None => Cell::at(unsafe { self.start.byte_add(lowest - self.start()) }),
        };
        let to = match above {
            Some(above) => above.first,
            // SAFETY: the fence's place, still in the piece (or the fence of what it touches).
            None => unsafe { from.offset(space) },
        };
        let region = Region {
            start,
            first: below.map_or(from, |below| below.first),
            fence: above.map_or(to, |above| above.fence),
            end,
        };
        Some(Joint { region, space: Some((from, to)) })
    }
}

/// What becomes of a piece and of what it touches.
#[derive(Clone, Copy)]
pub(super) struct Joint {
    /// All of it as one region.
    pub(super) region: Region,
    /// What will be free: from the piece's first cell, or the fence below it, to its fence, or the
    /// first cell above it. `None`: the piece is slack.
    pub(super) space: Option<(Cell, Cell)>,
}

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    /// The piece of `len` bytes from `start` with its neighbours, sought from region `from` on,
    /// which begins below it, or is the lowest.
    ///
    /// O(regions between).
    pub(super) fn piece(&self, start: NonNull<u8>, len: usize, from: Option<Region>) -> Piece {
        let (mut below, mut above) = (None, from);
        while let Some(region) = above
            && region.start <= start.addr().get()
        {
            (below, above) = (Some(region), self.region_above(&region));
        }
        Piece { start, end: start.addr().get() + len, below, above }
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Makes a grant part of a heap that has added memory above the break's region: the break's
    /// region becomes longer, or the grant begins (or touches) another one, which is the
    /// break's from now on.
    ///
    /// O(1), plus a step for each region that lies between the break's region and the grant.
    pub(super) fn take_in_among_added(&mut self, start: NonNull<u8>, len: usize) {
        let (from, brk) = (start.addr().get(), start.addr().get() + len);
        let breaks = if B::SCATTERED { None } else { self.extent.as_ref().map(Extent::region) };
        let piece = self.piece(start, len, breaks.or_else(|| self.lowest_region()));
        let may_join = !piece.overlaps();
        #[cfg(feature = "checked")]
        let may_join = may_join && self.can_join([piece.touching_below(), piece.touching_above()]);
        // A break that was set up over memory that had been added grants what is ours already.
        let Some(joint) = (if may_join { piece.joint() } else { None }) else {
            // SAFETY: the grant was never used. If the provider refuses, it is not used either.
            let _ = unsafe { self.brk.shrink(len) };
            return;
        };
        let (floor, mut fresh) = match self.extent.take() {
            Some(old) if piece.touching_below() == Some(old.region()) => {
                (if old.is_pinned() { from } else { old.floor() }, old.fresh())
            }
            old => {
                if let Some(old) = old {
                    self.leave(&old);
                    // SAFETY: the fence of a region; all first cells are exposed.
                    if unsafe { old.fence().behind_hole() }.is_none() {
                        self.regions.last = Some(old.fence());
                    }
                }
                (from, from)
            }
        };
        if let (None, Some((cell, _))) = (self.top, joint.space) {
            // The header of what will be the top.
            fresh = fresh.max(cell.addr() + WORD);
        }
        if piece.touching_above().is_some() {
            fresh = joint.region.end;
        }
        self.extent = Some(Extent::among_added(joint.region, floor, brk, fresh));
        // SAFETY: a grant is the heap's alone, and one piece with grants that it touches; so is
        // memory that was added (`add_region`).
        unsafe { self.join(&piece, joint) };
    }

    /// Makes a piece part of the heap. O(1).
    ///
    /// # Safety
    ///
    /// The piece is memory of the heap's now that nobody uses, and overlaps nothing it has;
    /// pointers may be moved between it and what it touches. `joint` is [its
    /// own](Piece::joint), and if that region is the break's, [`Extent`] knows already.
    pub(super) unsafe fn join(&mut self, piece: &Piece, joint: Joint) {
        let Joint { region, space } = joint;
        let (below, above) = (piece.touching_below(), piece.touching_above());
        region.first.expose();
        if !self.is_breaks(&region) {
            // SAFETY: the caller's promise.
            unsafe { region.record() };
        }
        if let Some((from, to)) = space {
            let mut start = from;
            if below.is_some()
                // SAFETY: the fence of the region below.
                && let Some(prev) = unsafe { from.prev_if_free() }
            {
                // SAFETY: a valid free cell.
                unsafe { self.claim_if_free(prev) };
                // SAFETY: both become the inside of the new free cell.
                unsafe { from.erase_with_size_before() };
                start = prev;
            }
            let mut end = to;
            if above.is_none() {
                // SAFETY: the last whole word of the piece, in no cell. A free cell will precede
                // it.
                unsafe { to.write_fence(0, false) };
            } else {
                // SAFETY: the first cell of the region above, or its fence.
                match unsafe { self.claim_if_free(to) } {
                    // SAFETY: the same.
                    0 => unsafe { to.set_prev_used(false) },
                    // SAFETY: behind the free cell lies another, or the fence.
                    size => end = unsafe { to.offset(size) },
                }
            }
            // SAFETY: all between is free and in no cell; what lies below is used, or nothing, as
            // there are no two free neighbours.
            unsafe { self.keep(start, end.addr() - start.addr()) };
        }
        self.link(piece, &region);
        if self.is_breaks(&region) && self.top.is_none() {
            self.find_top(&region);
        }
    }

    /// The break's region now ends where the region above it did: if a free cell ends there, it
    /// leaves its bin and is the top.
    fn find_top(&mut self, region: &Region) {
        // SAFETY: the fence of a region.
        if let Some(top) = unsafe { region.fence.prev_if_free() } {
            // SAFETY: a free cell that is not the top is in its bin.
            unsafe { self.bins.remove(top, region.fence.addr() - top.addr()) };
            self.top = Some(top);
        }
    }

    /// Makes the fences around a region that is new, or new in part, lead to it and on.
    fn link(&mut self, piece: &Piece, region: &Region) {
        match (piece.touching_below(), piece.below) {
            (Some(_), _) => {}
            // SAFETY: the fence of the region below.
            (None, Some(below)) => unsafe { below.fence.lead_to(region.first) },
            (None, None) => self.regions.lowest = Some(region.first),
        }
        if let (None, Some(above)) = (piece.touching_above(), piece.above) {
            // SAFETY: the region's fence, and the first cell of the one above.
            unsafe { region.fence.lead_to(above.first) };
        }
        // SAFETY: the region's fence; all first cells are exposed.
        if unsafe { region.fence.behind_hole() }.is_none() {
            self.regions.last = Some(region.fence).filter(|_| !self.is_breaks(region));
        }
    }

    /// Whether a region is the one whose end the break moves.
    fn is_breaks(&self, region: &Region) -> bool {
        self.extent.as_ref().is_some_and(|extent| extent.region().first == region.first)
    }
}
