//! What the break granted last, and what there is to say if it is taken away.

use core::num::NonZeroUsize;

use super::check::{Corruption, Rule};
use crate::cell::{Cell, Region, WORD};

/// The *break's region*: the one that the break granted last, which the next grant may make longer.
///
/// ```text
///             floor                 brk = end           Added memory below the floor is never given back. If memory was added right
///   ▐  added  ┊      granted          ▌                 above the break, or the break grew up to it, `end` is the end of that, and
///   ▐  added  ┊      granted       ┊  added  ▌          the break cannot come down.
///             floor                brk       end
/// ```
///
/// # Invariants
///
/// * `region` is one of the heap's [`Regions`](super::regions::Regions); a free cell that its fence
///   follows is the top
/// * `region.start ≤ floor ≤ brk ≤ region.end`; `[floor, brk)` was granted, and the break stood at
///   `brk` when we moved it last. With the feature `tiny`, where nothing is added, that is all of
///   the region
/// * from `fresh` on, the memory of the region is as it was granted, except the fence and the word
///   before it
/// * `fresh` lies above the header of the top
#[derive(Debug)]
pub(super) struct Extent {
    region: Region,
    #[cfg(not(feature = "tiny"))]
    floor: usize,
    #[cfg(not(feature = "tiny"))]
    brk: usize,
    /// Address from which on nothing was written.
    fresh: usize,
}

impl Extent {
    /// A region that was granted as a whole, and of which nothing was written to but the header of
    /// its first cell.
    pub(super) fn new(region: Region) -> Self {
        Self {
            region,
            #[cfg(not(feature = "tiny"))]
            floor: region.start,
            #[cfg(not(feature = "tiny"))]
            brk: region.end,
            fresh: region.first.addr() + WORD,
        }
    }

    pub(super) const fn region(&self) -> Region {
        self.region
    }

    pub(super) const fn fence(&self) -> Cell {
        self.region.fence
    }

    /// Where a grant must start to make the region longer.
    pub(super) const fn end(&self) -> usize {
        self.region.end
    }

    pub(super) const fn fresh(&self) -> usize {
        self.fresh
    }

    /// Memory below `address` may have been written to. An address in another region, further up,
    /// says nothing of this one.
    pub(super) fn not_fresh_below(&mut self, address: usize) {
        if self.fresh < address && address <= self.region.end {
            self.fresh = address;
        }
    }

    /// The break has moved, and the region with it: it ends there now.
    pub(super) fn end_at(&mut self, fence: Cell, end: usize) {
        #[cfg(not(feature = "tiny"))]
        {
            if self.is_pinned() {
                self.floor = self.region.end;
            }
            self.brk = end;
        }
        self.region.fence = fence;
        self.region.end = end;
        self.fresh = self.fresh.min(end);
    }
}

#[cfg(not(feature = "tiny"))]
impl Extent {
    /// Only `[floor, brk)` of the region was granted.
    pub(super) const fn among_added(
        region: Region,
        floor: usize,
        brk: usize,
        fresh: usize,
    ) -> Self {
        Self { region, floor, brk, fresh }
    }

    /// Bytes of the region.
    pub(super) const fn len(&self) -> usize {
        self.region.end - self.region.start
    }

    pub(super) const fn floor(&self) -> usize {
        self.floor
    }

    /// The break as we left it.
    pub(super) const fn brk(&self) -> usize {
        self.brk
    }

    /// Whether memory that the break did not grant lies between it and the end of its region.
    pub(super) const fn is_pinned(&self) -> bool {
        self.brk != self.region.end
    }

    /// Memory was added that touches: `region` is what the break's region has become.
    pub(super) fn extend_to(&mut self, region: Region) {
        if region.end != self.region.end {
            self.fresh = region.end;
        }
        self.region = region;
    }
}

#[cfg(feature = "tiny")]
impl Extent {
    pub(super) const fn floor(&self) -> usize {
        self.region.start
    }

    /// The break as we left it.
    pub(super) const fn brk(&self) -> usize {
        self.region.end
    }

    /// Nothing is ever added.
    pub(super) const fn is_pinned(&self) -> bool {
        false
    }
}

/// Where the break was found when memory of ours had been taken.
///
/// # Invariants
///
/// The complement of that address. It is not 0, because our end lay above, and so an `Option` of it
/// is no longer than a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken(NonZeroUsize);

impl Taken {
    pub(super) fn at(found: usize) -> Option<Self> {
        NonZeroUsize::new(!found).map(Self)
    }

    /// What there is to report.
    pub(super) fn corruption(self, extent: Option<&Extent>) -> Corruption {
        let found = !self.0.get();
        let expected = extent
            .map_or(0, |extent| if found < extent.brk() { extent.brk() } else { extent.end() });
        Corruption { at: found, rule: Rule::BreakBelowHeap, expected, found }
    }
}
