//! Links of free cells: right before they are followed.

use super::place::after;
use super::{Misuse, MisuseKind};
use crate::cell::{CELL_ALIGN, Cell, MIN_CELL, WORD};
use crate::heap::bins::CLASSES_TRIED;
use crate::heap::check::links_of;
use crate::heap::size_class::{CELLS_TRIED, class_of};
use crate::heap::{Heap, Request};
use crate::provider::{Break, Map};
use crate::small::{BrokenLink, Class, Run};

/// Where in a free cell the links are, from its header on.
const NEXT: usize = WORD;
const PREV: usize = 2 * WORD;

fn broken_link(cell: Cell, word: usize, found: Option<Cell>, expected: Option<Cell>) -> Misuse {
    let addr = |cell: Option<Cell>| cell.map_or(0, Cell::addr);
    let (block, at) = (cell.payload().addr().get(), cell.addr() + word);
    Misuse {
        kind: MisuseKind::WriteAfterFree,
        block,
        at,
        found: addr(found),
        expected: addr(expected),
    }
}

impl From<BrokenLink> for Misuse {
    fn from(BrokenLink { block, found, expected }: BrokenLink) -> Self {
        Self { kind: MisuseKind::WriteAfterFree, block, at: block, found, expected }
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Whether the links that a search for this request may follow are right. If not, it is
    /// reported, and the lists are made anew.
    pub(in crate::heap) fn watch_lists(&mut self, request: Request) {
        if let Err(misuse) = self.sound_lists(request) {
            self.report(misuse);
            if !self.rebuild_bins() {
                // Where headers are broken as well, no free cell is known any more.
                self.bins.clear();
            }
        }
    }

    fn sound_lists(&self, request: Request) -> Result<(), Misuse> {
        let mut from = class_of(request.size());
        for _ in 0..=CLASSES_TRIED {
            let Some(class) = self.bins.occupied.next(from) else { return Ok(()) };
            self.sound_list(class)?;
            from = class + 1;
        }
        let certain = request
            .size_anywhere()
            .and_then(|size| self.bins.occupied.next(from.max(class_of(size) + 1)));
        certain.map_or(Ok(()), |class| self.sound_list(class))
    }

    /// The first cells of a list, as many as a search looks at.
    fn sound_list(&self, class: usize) -> Result<(), Misuse> {
        let (mut at, mut seen) = (self.bins.heads[class], 0);
        while let Some(cell) = at
            && seen <= CELLS_TRIED
        {
            let header = self.sound_header(cell)?;
            self.sound_links(cell, header.size())?;
            seen += 1;
            at = links_of(cell).next;
            if at.is_none() && seen < self.bins.lengths[class] {
                return Err(broken_link(
                    cell,
                    NEXT,
                    None,
                    self.linked(|links| links.prev == Some(cell)),
                ));
            }
        }
        Ok(())
    }

    /// The links of a free cell that is in a bin: each neighbour is a free cell of the class, and
    /// leads back.
    pub(super) fn sound_links(&self, cell: Cell, size: usize) -> Result<(), Misuse> {
        let links = links_of(cell);
        if let Some(next) = links.next {
            if !self.is_in_bin(next, size) {
                return Err(broken_link(
                    cell,
                    NEXT,
                    links.next,
                    self.linked(|links| links.prev == Some(cell)),
                ));
            }
            let back = links_of(next).prev;
            if back != Some(cell) {
                return Err(broken_link(next, PREV, back, Some(cell)));
            }
        }
        match links.prev {
            None if self.bins.heads[class_of(size)] == Some(cell) => Ok(()),
            Some(prev) if self.is_in_bin(prev, size) => match links_of(prev).next {
                Some(next) if next == cell => Ok(()),
                next => Err(broken_link(prev, NEXT, next, Some(cell))),
            },
            prev => {
                Err(broken_link(cell, PREV, prev, self.linked(|links| links.next == Some(cell))))
            }
        }
    }

    /// Whether a link leads to a free cell of the class that `size` is of.
    fn is_in_bin(&self, cell: Cell, size: usize) -> bool {
        self.spans(cell.addr(), MIN_CELL)
            && (cell.addr() + WORD).is_multiple_of(CELL_ALIGN)
            && self
                .sound_header(cell)
                .is_ok_and(|header| !header.is_used() && class_of(header.size()) == class_of(size))
    }

    /// The free cell with such links, if there is one.
    fn linked(&self, is_it: impl Fn(crate::cell::Links) -> bool) -> Option<Cell> {
        let mut free =
            self.sound_cells().filter(|(_, header)| !header.is_used()).map(|(cell, _)| cell);
        free.find(|&cell| self.top != Some(cell) && is_it(links_of(cell)))
    }

    /// Makes the lists anew from the cells. `false` if headers are broken: then nothing is changed.
    pub(super) fn rebuild_bins(&mut self) -> bool {
        let Some((_, last_fence)) = self.bounds() else { return false };
        if !self.walk_ends_at(last_fence) {
            return false;
        }
        self.bins.clear();
        let mut at = self.regions.lowest;
        while let Some(cell) = at {
            // SAFETY: all headers are right.
            let header = unsafe { cell.header() };
            if !header.is_used() {
                // SAFETY: a free cell: the same header, and the size at its end.
                unsafe { cell.write_free(header.size(), header.is_prev_used()) };
                if self.top != Some(cell) {
                    // SAFETY: valid, free, and in no list of the new ones.
                    unsafe { self.bins.insert(cell, header.size()) };
                }
            }
            at = after(cell, header);
        }
        true
    }

    /// Sees to it that the next `most` blocks of a run can be taken.
    ///
    /// # Safety
    ///
    /// `run` is a run of this class.
    pub(in crate::heap) unsafe fn watch_run(&mut self, run: Run, class: Class, most: usize) {
        // SAFETY: the caller's promise.
        if let Err(broken) = unsafe { run.watch(class, most) } {
            self.report(broken.into());
        }
    }
}
