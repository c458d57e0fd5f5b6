//! Cuts one used cell into those of several blocks, and frees the rest.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::cell::{CELL_ALIGN, Cell, MIN_CELL};
use crate::provider::Source;
use crate::request::Request;

/// Blocks of one size inside the payload of a used cell, each with room for a header in front.
///
/// # Invariants
///
/// * `start + offset` is a multiple of `CELL_ALIGN` for each block
/// * two neighbours are at least `cell` bytes apart, and so are the last one and the next cell
/// * the first block lies at `start`, or at least `MIN_CELL` bytes above it
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<L> {
    /// Payload of the cell.
    start: NonNull<u8>,
    /// Distance of two places at which a block may begin, in bytes.
    size: usize,
    /// Number of those places.
    places: usize,
    /// Size of a cell for one of the blocks, in bytes.
    cell: usize,
    /// Whether a block begins at the place with this number.
    is_live: L,
}

impl<L: Fn(usize) -> bool> Blocks<L> {
    /// Returns the blocks at those of `places` places at which one is live, in the payload of a
    /// cell of `len` bytes; `None` if a block is not aligned as payloads are, or has no room for a
    /// header in front. O(places).
    pub(crate) fn new(
        start: NonNull<u8>,
        len: usize,
        size: usize,
        places: usize,
        is_live: L,
    ) -> Option<Self> {
        let cell = Request::new(Layout::from_size_align(size, 1).ok()?).size();
        let mut free_from = 0;
        for number in (0..places).filter(|&number| is_live(number)) {
            let offset = number * size;
            let gap = offset.checked_sub(free_from)?;
            let is_short = free_from == 0 && 0 < gap && gap < MIN_CELL;
            if is_short || (start.addr().get() + offset) % CELL_ALIGN != 0 {
                return None;
            }
            free_from = offset + cell;
        }
        (free_from <= len).then_some(Self { start, size, places, cell, is_live })
    }

    /// Returns the payload of each block, the highest one first.
    fn descending(&self) -> impl Iterator<Item = NonNull<u8>> {
        let live = (0..self.places).rev().filter(|&number| (self.is_live)(number));
        // SAFETY: a block that is live lies in the payload.
        live.map(|number| unsafe { self.start.add(number * self.size) })
    }
}

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Cuts a used cell into the cells of the blocks that lie in it, and frees what is between.
    /// Calls `note` with the size of each cell. O(places of blocks).
    ///
    /// # Safety
    ///
    /// `blocks.start` is the payload of a valid used cell, which holds all places, and in which
    /// nothing is used but the blocks.
    pub(crate) unsafe fn dissolve<L: Fn(usize) -> bool>(
        &mut self,
        blocks: &Blocks<L>,
        mut note: impl FnMut(usize),
    ) {
        // SAFETY: the payload is that of a valid used cell: this method's clause.
        let (whole, header) = unsafe {
            let whole = Cell::<P>::of_payload(blocks.start);
            (whole, whole.header())
        };
        self.counters.freed(header.size());
        let mut end = whole.addr() + header.size();
        // From the highest to the lowest: behind what becomes free, a header is valid.
        for payload in blocks.descending() {
            let cell = Cell::<P>::at_payload(payload);
            let room = end - cell.addr();
            let size = if room - blocks.cell < MIN_CELL { room } else { blocks.cell };
            let prev_used = cell != whole || header.is_prev_used();
            // SAFETY: the header lies in a free block or is the one of the whole cell; the span
            // ends at the next header, or at the rest, which becomes a free cell at once. The rest
            // is the upper part of a used cell that nothing uses, and a valid header follows it.
            unsafe {
                cell.write_used(size, prev_used);
                if size < room {
                    self.coalesce(cell.offset(size), room - size, true);
                }
            }
            self.counters.allocated(size);
            note(size);
            end = cell.addr();
        }
        if end > whole.addr() {
            // SAFETY: the lower part of the used cell, in which nothing is used; the header of the
            // lowest block follows, or the cell behind if there is none.
            unsafe { self.coalesce(whole, end - whole.addr(), header.is_prev_used()) };
        }
    }
}
