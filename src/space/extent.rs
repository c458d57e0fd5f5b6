//! The region that the break granted last.

use crate::cell::{Cell, Region, WORD};

/// The *break's region*: the region that the break granted last, which the next grant may extend.
///
/// ```text
///             floor                 brk = end        Added memory below the floor is never given
///   ▐  added  ┊      granted          ▌              back. If memory was added directly above
///   ▐  added  ┊      granted       ┊  added  ▌       the break, or the break grew up to it, `end`
///             floor                brk       end     is the end of that memory, and the break
///                                                    cannot move down.
/// ```
///
/// # Invariants
///
/// * `region` is one of the [`Space`](super::Space)'s
/// * `region.start ≤ floor ≤ brk ≤ region.end`; `[floor, brk)` was granted, and the break stood at
///   `brk` when the heap moved it last
/// * from `fresh` on, the memory of the region is as it was granted, except the fencepost and the
///   word before it
/// * `fresh` lies above the header of the free cell at the end
#[derive(Debug)]
pub(crate) struct Extent<F> {
    pub(super) region: Region<F>,
    pub(super) floor: usize,
    pub(super) brk: usize,
    /// Address from which on nothing was written.
    pub(super) fresh: usize,
}

impl<F> Extent<F> {
    pub(crate) const fn region(&self) -> Region<F> {
        self.region
    }

    pub(crate) const fn fencepost(&self) -> Cell<F> {
        self.region.fencepost
    }

    /// Returns the address at which a grant must start to extend the region.
    pub(crate) const fn end(&self) -> usize {
        self.region.end
    }

    pub(crate) const fn fresh(&self) -> usize {
        self.fresh
    }

    /// Returns the length of the region, in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.region.end - self.region.start
    }

    /// Returns the break as the heap left it.
    pub(crate) const fn brk(&self) -> usize {
        self.brk
    }

    /// Returns whether memory that the break did not grant lies between it and the end of its
    /// region.
    pub(crate) const fn is_pinned(&self) -> bool {
        self.brk != self.region.end
    }

    /// Notes that memory below `address` may have been written to. An address in another region,
    /// further up, says nothing of this one.
    pub(crate) fn not_fresh_below(&mut self, address: usize) {
        if self.fresh < address && address <= self.region.end {
            self.fresh = address;
        }
    }
}

/// Returns the lowest address that can be fresh if the header of the top, `cell`, is written.
pub(super) fn fresh_above_header<F>(cell: Cell<F>, fresh: usize) -> usize {
    fresh.max(cell.addr() + WORD)
}
