//! Verifies links of free cells of a checked heap before the heap follows them.

use super::{Chunks, Tuning, after};
use crate::bins::Classes;
use crate::cell::{Cell, Links, WORD};
use crate::checks::Checks;
use crate::misuse::{Misuse, MisuseKind};
use crate::request::Request;

/// Offset of the link to the next free cell from the header, in bytes.
const NEXT: usize = WORD;

/// Offset of the link to the previous free cell from the header, in bytes.
const PREV: usize = 2 * WORD;

/// Returns the report of an overwritten link, `word` bytes above the header of `cell`.
fn broken_link<F>(
    cell: Cell<F>,
    word: usize,
    found: Option<Cell<F>>,
    expected: Option<Cell<F>>,
) -> Misuse {
    let addr = |cell: Option<Cell<F>>| cell.map_or(0, Cell::addr);
    let (block, at) = (cell.payload().addr().get(), cell.addr() + word);
    Misuse {
        kind: MisuseKind::WriteAfterFree,
        block,
        at,
        found: addr(found),
        expected: addr(expected),
    }
}

/// Returns the links of a cell inside the heap, which may be overwritten.
pub(crate) fn links_of<F>(cell: Cell<F>) -> Links<F> {
    // SAFETY: the cell lies below a fencepost by at least two words, so the two words behind its
    // header are memory of the heap. Any bits are an `Option<Cell>`.
    unsafe { cell.links().read() }
}

impl<B, P: Tuning> Chunks<B, P> {
    /// Verifies the links that a search for this request may follow. If one is overwritten, reports
    /// it and rebuilds the bins.
    pub(crate) fn watch_lists(&mut self, request: Request) {
        if let Err(misuse) = self.sound_lists(request) {
            self.checks.report(&misuse);
            if !self.rebuild_bins() {
                // Headers are overwritten as well: no free cell is known any more.
                self.bins.clear();
            }
        }
    }

    /// Verifies the lists that a search for this request may look at.
    fn sound_lists(&self, request: Request) -> Result<(), Misuse> {
        let mut from = P::Classes::class_of(request.size());
        for _ in 0..=P::Classes::CLASSES_TRIED {
            let Some(class) = self.bins.next_occupied(from) else { return Ok(()) };
            self.sound_list(class)?;
            from = class + 1;
        }
        let certain = request
            .size_anywhere()
            .and_then(|size| self.bins.next_occupied(from.max(P::Classes::class_of(size) + 1)));
        certain.map_or(Ok(()), |class| self.sound_list(class))
    }

    /// Verifies the first cells of a list: as many as a search looks at.
    fn sound_list(&self, class: usize) -> Result<(), Misuse> {
        let mut at = self.bins.head(class);
        for seen in 0..=P::Classes::CELLS_TRIED {
            let Some(cell) = at else { break };
            let header = self.sound_header(cell)?;
            self.sound_links(cell, header.size())?;
            at = links_of(cell).next;
            if at.is_none() && seen + 1 < self.bins.lengths.as_ref()[class] {
                return Err(self.broken_next(cell, None));
            }
        }
        Ok(())
    }

    /// Verifies the links of a free cell in a bin: each neighbour is a free cell of the class and
    /// links back.
    pub(crate) fn sound_links(&self, cell: Cell<P>, size: usize) -> Result<(), Misuse> {
        let links = links_of(cell);
        if let Some(next) = links.next {
            if !self.is_in_bin(next, size) {
                return Err(self.broken_next(cell, links.next));
            }
            let back = links_of(next).prev;
            if back != Some(cell) {
                return Err(broken_link(next, PREV, back, Some(cell)));
            }
        }
        match links.prev {
            None if self.bins.head(P::Classes::class_of(size)) == Some(cell) => Ok(()),
            Some(prev) if self.is_in_bin(prev, size) => match links_of(prev).next {
                Some(next) if next == cell => Ok(()),
                next => Err(broken_link(prev, NEXT, next, Some(cell))),
            },
            prev => {
                Err(broken_link(cell, PREV, prev, self.linked(|links| links.next == Some(cell))))
            }
        }
    }

    /// Returns the report of an overwritten link from a cell to the next one.
    fn broken_next(&self, cell: Cell<P>, found: Option<Cell<P>>) -> Misuse {
        broken_link(cell, NEXT, found, self.linked(|links| links.prev == Some(cell)))
    }

    /// Returns whether a link leads to a free cell of the class of `size`.
    fn is_in_bin(&self, cell: Cell<P>, size: usize) -> bool {
        self.is_place(cell)
            && self.sound_header(cell).is_ok_and(|header| {
                !header.is_used()
                    && P::Classes::class_of(header.size()) == P::Classes::class_of(size)
            })
    }

    /// Returns the first free cell in a bin whose links satisfy `is_it`.
    fn linked(&self, is_it: impl Fn(Links<P>) -> bool) -> Option<Cell<P>> {
        let mut free =
            self.sound_cells().filter(|(_, header)| !header.is_used()).map(|(cell, _)| cell);
        free.find(|&cell| self.top != Some(cell) && is_it(links_of(cell)))
    }

    /// Rebuilds the bins from the cells. Returns `false` and changes nothing if a header is
    /// overwritten.
    pub(crate) fn rebuild_bins(&mut self) -> bool {
        let Some((_, last_fencepost)) = self.space.bounds() else { return false };
        if !self.walk_ends_at(last_fencepost) {
            return false;
        }
        self.bins.clear();
        let mut at = self.space.lowest();
        while let Some(cell) = at {
            // SAFETY: `walk_ends_at` verified all headers.
            let header = unsafe { cell.header() };
            if !header.is_used() {
                // SAFETY: the cell is free and keeps its size and its neighbours.
                unsafe { cell.write_free(header.size(), header.is_prev_used()) };
                if self.top != Some(cell) {
                    // SAFETY: the cell is valid and free, and the new lists do not have it yet.
                    unsafe { self.bins.insert(cell, header.size()) };
                }
            }
            at = after(cell, header);
        }
        true
    }
}
