//! How new memory becomes part of the regions, whether it was granted or added.
//!
//! ```text
//!   apart            ▐ below ▌        ▐ piece ▌       ▐ above ▌      one region more
//!   touches below    ▐ below ▌▐ piece ▌               ▐ above ▌      the region below grows
//!   touches above    ▐ below ▌               ▐ piece ▌▐ above ▌      the region above grows
//!   fills a hole     ▐ below ▌▐         piece        ▌▐ above ▌      two regions become one
//! ```
//!
//! Where a piece touches, the heads and fenceposts at the border become the inside of a free cell.
//! Its user merges it with the free cells on both sides (C6).

use core::ptr::NonNull;

use super::extent::fresh_above_header;
use super::{Extent, Space};
use crate::cell::{Cell, Form, MIN_CELL, Region};
use crate::provider::Source;

/// Where new memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The provider granted it: the break stands at its end.
    Granted,
    /// The user added it, for ever.
    Added,
}

/// New memory for the heap, with the regions on both sides of it.
pub(crate) struct Piece<F> {
    start: NonNull<u8>,
    end: usize,
    below: Option<Region<F>>,
    above: Option<Region<F>>,
}

impl<F: Form> Piece<F> {
    pub(crate) fn start(&self) -> usize {
        self.start.addr().get()
    }

    /// Returns whether it overlaps memory of the heap.
    pub(super) fn overlaps(&self) -> bool {
        self.below.is_some_and(|below| below.end > self.start())
            || self.above.is_some_and(|above| above.start < self.end)
    }

    /// Returns the region below, if no byte lies between.
    fn touching_below(&self) -> Option<Region<F>> {
        self.below.filter(|below| below.end == self.start())
    }

    /// Returns the region above, if no byte lies between.
    fn touching_above(&self) -> Option<Region<F>> {
        self.above.filter(|above| above.start == self.end)
    }

    /// Returns the regions that it touches.
    pub(crate) fn touching(&self) -> [Option<Region<F>>; 2] {
        [self.touching_below(), self.touching_above()]
    }

    /// Returns the region that it becomes, and the span of it that will be free. `None`: it is too
    /// short for a region of its own, and touches nothing.
    pub(super) fn joint(&self) -> Option<Joint<F>> {
        let (below, above) = (self.touching_below(), self.touching_above());
        // SAFETY: the fencepost of a region.
        let free_below =
            below.is_some_and(|below| !unsafe { below.fencepost.header() }.is_prev_used());
        // SAFETY: the first cell of a region.
        let free_above = above.is_some_and(|above| !unsafe { above.first.header() }.is_used());
        let lowest = match below {
            Some(below) => below.fencepost.addr(),
            None => self.start().checked_add(Cell::<F>::first_offset(self.start()))?,
        };
        let highest = match above {
            Some(above) => above.first.addr(),
            None => self.end.checked_sub(Cell::<F>::fencepost_offset(self.end))?,
        };
        let start = below.map_or(self.start(), |below| below.start);
        let end = above.map_or(self.end, |above| above.end);
        let length = highest.checked_sub(lowest)?;
        let is_short = length < MIN_CELL && !free_below && !free_above;
        if length == 0 || is_short {
            // The piece is slack, if it touches a region.
            let longer = below.map(|below| Region { end, ..below });
            let region = longer.or(above.map(|above| Region { start, ..above }))?;
            return Some(Joint { region, span: None });
        }
        let from = match below {
            Some(below) => below.fencepost,
            // SAFETY: the first cell's place, in the piece, or the first cell of what it touches.
            None => Cell::at(unsafe { self.start.byte_add(lowest - self.start()) }),
        };
        let to = match above {
            Some(above) => above.first,
            // SAFETY: the fencepost's place, in the piece, or that of what it touches.
            None => unsafe { from.offset(length) },
        };
        let first = below.map_or(from, |below| below.first);
        let fencepost = above.map_or(to, |above| above.fencepost);
        let region = Region { start, first, fencepost, end };
        Some(Joint { region, span: Some((from, to)) })
    }
}

/// Result of a join of a piece with the regions that it touches.
pub(super) struct Joint<F> {
    /// All of it as one region.
    pub(super) region: Region<F>,
    /// The span that becomes free: from the piece's first cell, or the fencepost below it, to its
    /// fencepost, or the first cell above it. `None`: the piece is slack.
    pub(super) span: Option<(Cell<F>, Cell<F>)>,
}

/// The span that a join has left for its user to make a free cell of. Heads and fenceposts around
/// it are written.
#[must_use]
pub(crate) struct Joined<F> {
    /// The first cell's place, or the former fencepost of the region below.
    pub(crate) from: Cell<F>,
    /// The first cell above, or the fencepost.
    pub(crate) to: Cell<F>,
    /// `from` was a fencepost: the cell before it may be free.
    pub(crate) follows_cells: bool,
    /// `to` was there before: it may be a free cell.
    pub(crate) precedes_cells: bool,
}

impl<B, F: Form> Space<B, F> {
    /// Returns a piece of memory with its neighbours. O(regions below it), or O(regions between
    /// the break's region and it).
    pub(crate) fn piece(&self, memory: NonNull<[u8]>) -> Piece<F> {
        let start = memory.cast::<u8>();
        let address = start.addr().get();
        let breaks = self.extent.as_ref().map(Extent::region);
        let mut above =
            breaks.filter(|region| region.start <= address).or_else(|| self.lowest_region());
        let mut below = None;
        while let Some(region) = above.filter(|region| region.start <= address) {
            (below, above) = (Some(region), self.region_above(&region));
        }
        Piece { start, end: address + memory.len(), below, above }
    }
}

impl<B: Source, F: Form> Space<B, F> {
    /// Makes a piece part of a region. Returns the span that is free now, which is in no cell yet,
    /// if there is any. A grant that is of no use is given back.
    ///
    /// O(1).
    ///
    /// # Safety
    ///
    /// The piece is memory of the heap now, and nothing uses it. Pointers may be moved between it
    /// and the regions that it touches. If another region becomes the break's, the former top is in
    /// a bin.
    pub(crate) unsafe fn join(&mut self, piece: &Piece<F>, origin: Origin) -> Option<Joined<F>> {
        let len = piece.end - piece.start();
        // A break that was set up over memory that had been added grants memory of the heap.
        let joint = if piece.overlaps() { None } else { piece.joint() };
        let Some(Joint { region, span }) = joint else {
            if origin == Origin::Granted {
                self.decline(NonNull::slice_from_raw_parts(piece.start, len));
            }
            return None;
        };
        let first_of_span = span.map(|(from, _)| from);
        match origin {
            Origin::Granted => self.begin_extent(piece, region, first_of_span),
            Origin::Added => {
                self.added += len;
                self.extend_extent(piece, region);
            }
        }
        region.first.expose();
        if origin == Origin::Added && !self.is_breaks(&region) {
            // SAFETY: the region is memory of the heap: of the piece (this method's clause), and of
            // the regions that it touches.
            unsafe { region.record() };
        }
        let (below, above) = (piece.touching_below(), piece.touching_above());
        if let (Some((_, to)), None) = (span, above) {
            // SAFETY: the last whole word of the piece, in no cell. A free cell will precede it.
            unsafe { to.write_fencepost(0, false) };
        }
        self.link(piece, &region);
        span.map(|(from, to)| Joined {
            from,
            to,
            follows_cells: below.is_some(),
            precedes_cells: above.is_some(),
        })
    }

    /// Makes `region`, of which the grant is a part, the break's region.
    fn begin_extent(&mut self, piece: &Piece<F>, region: Region<F>, first: Option<Cell<F>>) {
        let (from, brk) = (piece.start(), piece.end);
        let (floor, mut fresh) = match self.extent.take() {
            Some(old) if piece.touching_below() == Some(old.region) => {
                (if old.is_pinned() { from } else { old.floor }, old.fresh)
            }
            old => {
                if let Some(old) = old {
                    self.leave(old.region);
                }
                (from, from)
            }
        };
        if let Some(first) = first {
            fresh = fresh_above_header(first, fresh);
        }
        if piece.touching_above().is_some() {
            fresh = region.end;
        }
        self.extent = Some(Extent { region, floor, brk, fresh });
    }

    /// Records the former region of the break, because the break has a new one.
    fn leave(&mut self, region: Region<F>) {
        // SAFETY: the region is memory of the heap.
        unsafe { region.record() };
        // SAFETY: the header is the region's fencepost; all first cells are exposed.
        if unsafe { region.fencepost.behind_hole() }.is_none() {
            self.last = Some(region.fencepost);
        }
    }

    /// Notes that added memory, which may touch the break's region, became part of `region`.
    fn extend_extent(&mut self, piece: &Piece<F>, region: Region<F>) {
        let touching = piece.touching();
        if let Some(extent) = &mut self.extent {
            if touching.contains(&Some(extent.region)) {
                if region.end != extent.region.end {
                    extent.fresh = region.end;
                }
                extent.region = region;
            }
        }
    }

    /// Links a new or enlarged region with the regions on both sides.
    fn link(&mut self, piece: &Piece<F>, region: &Region<F>) {
        match (piece.touching_below(), piece.below) {
            (Some(_), _) => {}
            // SAFETY: the header is the fencepost of the region below; the region begins with
            // `first`.
            (None, Some(below)) => unsafe { below.fencepost.lead_to(region.first) },
            (None, None) => self.lowest = Some(region.first),
        }
        if let (None, Some(above)) = (piece.touching_above(), piece.above) {
            // SAFETY: the header is the region's fencepost, and the region above begins with
            // `first`.
            unsafe { region.fencepost.lead_to(above.first) };
        }
        // SAFETY: the header is the region's fencepost; all first cells are exposed.
        if unsafe { region.fencepost.behind_hole() }.is_none() {
            self.last = Some(region.fencepost).filter(|_| !self.is_breaks(region));
        }
    }
}
