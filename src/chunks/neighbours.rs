//! Verifies the headers around a cell of a checked heap before the heap uses them.

use core::iter;

use super::{Chunks, Tuning};
use crate::cell::{CELL_ALIGN, Cell, Form, Header, MIN_CELL, Region, State, WORD};
use crate::checks::Checks;
use crate::misuse::{Misuse, MisuseKind};
use crate::space::Extent;

/// Maximum number of times that a cell is verified again after the bins were rebuilt.
const ATTEMPTS: usize = 2;

/// Returns the report of an overwritten header.
pub(crate) fn broken_header<F>(cell: Cell<F>, found: usize, expected: usize) -> Misuse {
    Misuse {
        kind: MisuseKind::Header,
        block: cell.payload().addr().get(),
        at: cell.addr(),
        found,
        expected,
    }
}

/// Returns the cell behind a sound cell or fencepost.
pub(crate) fn after<F: Form>(cell: Cell<F>, header: Header) -> Option<Cell<F>> {
    if header.is_fencepost() {
        // SAFETY: the fencepost is sound; all first cells are exposed (the invariant of `Space`).
        unsafe { cell.behind_hole() }
    } else {
        // SAFETY: the header is sound, so a header follows the cell in its region.
        Some(unsafe { cell.next() })
    }
}

impl<B, P: Tuning> Chunks<B, P> {
    /// Returns the region in whose cells or fencepost an address lies. O(1) for the break's region,
    /// else O(regions).
    pub(crate) fn region_around(&self, address: usize) -> Option<Region<P>> {
        let holds =
            |region: &Region<P>| (region.first.addr()..=region.fencepost.addr()).contains(&address);
        let breaks = self.space.extent().map(Extent::region).filter(holds);
        breaks.or_else(|| self.space.regions().find(holds))
    }

    /// Returns whether `len ≥ 1` bytes from an address on lie in cells of one region.
    pub(crate) fn spans(&self, address: usize, len: usize) -> bool {
        self.region_around(address).is_some_and(|region| len <= region.fencepost.addr() - address)
    }

    /// Returns whether a cell of this heap may begin at a place.
    pub(crate) fn is_place(&self, cell: Cell<P>) -> bool {
        // A place in a region first: the link may be any number.
        self.spans(cell.addr(), MIN_CELL) && (cell.addr() + WORD) % CELL_ALIGN == 0
    }

    /// Returns the cells in the order of addresses, up to the first overwritten header.
    pub(crate) fn sound_cells(&self) -> impl Iterator<Item = (Cell<P>, Header)> {
        let mut at = self.space.lowest();
        iter::from_fn(move || {
            let cell = at?;
            let header =
                self.sound_header_or_fencepost(cell).ok().filter(|header| header.size() > 0)?;
            at = after(cell, header);
            Some((cell, header))
        })
    }

    /// Returns the cell in which an address lies; `None` for an address in a hole.
    pub(crate) fn cell_around(&self, address: usize) -> Option<(Cell<P>, Header)> {
        let (cell, header) =
            self.sound_cells().find(|(cell, header)| address < cell.addr() + header.size())?;
        (cell.addr() <= address && !header.is_fencepost()).then_some((cell, header))
    }

    /// Returns whether `cell` is the first overwritten header; if no header is overwritten, whether
    /// it is the last fencepost.
    pub(crate) fn walk_ends_at(&self, cell: Cell<P>) -> bool {
        let end = self.sound_cells().last();
        end.map_or(self.space.lowest(), |(cell, header)| after(cell, header)) == Some(cell)
    }

    /// Returns the header of a cell, if it looks as the heap wrote it. Verifies the header only by
    /// itself. `cell` lies between the first cell and the last fencepost.
    ///
    /// # Errors
    ///
    /// The misuse that has overwritten the header.
    pub(crate) fn sound_header(&self, cell: Cell<P>) -> Result<Header, Misuse> {
        let Some(region) = self.region_around(cell.addr()) else {
            return Err(broken_header(cell, 0, 0));
        };
        // SAFETY: the header lies in a region of this heap.
        let word = unsafe { cell.header_in_memory() };
        let header = word.unsealed();
        if header.is_fencepost() {
            let expected =
                Header::new(header.size(), header.state() - State::FENCEPOST).sealed(cell.addr());
            return Err(broken_header(cell, word.bits(), expected.bits()));
        }
        if header.sealed(cell.addr()) != word {
            return Err(broken_header(cell, word.bits(), header.sealed(cell.addr()).bits()));
        }
        let most = region.fencepost.addr() - cell.addr();
        if header.size() < MIN_CELL || header.size() > most {
            return Err(broken_header(cell, header.size(), most));
        }
        Ok(header)
    }

    /// [`sound_header`](Chunks::sound_header) for a place that may be a fencepost.
    fn sound_header_or_fencepost(&self, cell: Cell<P>) -> Result<Header, Misuse> {
        let around = self.region_around(cell.addr()).filter(|region| region.fencepost == cell);
        let Some(region) = around else { return self.sound_header(cell) };
        // SAFETY: the word is the fencepost of a region of this heap.
        let header = unsafe { cell.header_in_memory() };
        let hole = self.space.hole_behind(&region);
        let size =
            if hole.is_empty() { 0 } else { header.size().clamp(*hole.start(), *hole.end()) };
        let fencepost =
            Header::new(size, State::USED | State::FENCEPOST).with_prev_used(header.is_prev_used());
        if header == fencepost {
            Ok(header)
        } else {
            Err(broken_header(cell, header.bits(), fencepost.bits()))
        }
    }

    /// Returns whether a used cell and its neighbours are as the heap wrote them. If not, reports
    /// the misuse. If the hook ignores it and only links are overwritten, rebuilds the bins.
    pub(crate) fn is_sound(&mut self, cell: Cell<P>) -> bool {
        self.is_right(|heap| heap.sound_cell(cell))
    }

    /// Returns whether the header of the top is as the heap wrote it. If not, reports the misuse.
    pub(crate) fn has_sound_top(&mut self) -> bool {
        self.is_right(|heap| heap.top.map_or(Ok(()), |top| heap.sound_header(top).map(drop)))
    }

    /// Returns whether the ends of regions are as the heap wrote them, so that memory that touches
    /// the regions can be joined with them. If not, reports and repairs as
    /// [`is_sound`](Chunks::is_sound) does.
    pub(crate) fn can_join(&mut self, regions: [Option<Region<P>>; 2]) -> bool {
        self.is_right(|heap| {
            heap.sound_chain()?;
            regions.into_iter().flatten().try_for_each(|region| heap.sound_ends(&region))
        })
    }

    /// Returns whether `verify` succeeds. Reports each failure; tries again after the bins were
    /// rebuilt.
    fn is_right(&mut self, verify: impl Fn(&Self) -> Result<(), Misuse>) -> bool {
        for _ in 0..=ATTEMPTS {
            match verify(self) {
                Ok(()) => return true,
                Err(misuse) => {
                    self.checks.report(&misuse);
                    if misuse.kind != MisuseKind::WriteAfterFree || !self.rebuild_bins() {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Verifies that the fenceposts lead from region to region up to the last one.
    fn sound_chain(&self) -> Result<(), Misuse> {
        let Some((_, last_fencepost)) = self.space.bounds() else { return Ok(()) };
        let Some(last) = self.space.regions().last() else { return Ok(()) };
        let fencepost = self.sound_header_or_fencepost(last.fencepost)?;
        match after(last.fencepost, fencepost) {
            // The fencepost is right, but the head of the next region is not.
            Some(first) if last.fencepost != last_fencepost => {
                // SAFETY: the fencepost is sound, so `first` lies in memory of this heap.
                let (found, expected) = (
                    unsafe { Region::recorded_length(first) },
                    last_fencepost.addr() - first.addr(),
                );
                Err(Misuse { at: first.addr() - WORD, ..broken_header(first, found, expected) })
            }
            _ => Ok(()),
        }
    }

    /// Verifies the ends of a region: the first cell if it is free, the fencepost, and the cell
    /// before the fencepost if that is free.
    fn sound_ends(&self, region: &Region<P>) -> Result<(), Misuse> {
        let first = self.sound_header_or_fencepost(region.first)?;
        if !first.is_used() {
            self.sound_free_cell(region.first, first)?;
        }
        let fencepost = self.sound_header_or_fencepost(region.fencepost)?;
        if fencepost.is_prev_used() { Ok(()) } else { self.sound_cell_before(region.fencepost) }
    }

    /// Verifies a used cell and its neighbours.
    fn sound_cell(&self, cell: Cell<P>) -> Result<(), Misuse> {
        let header = self.sound_header(cell)?;
        // SAFETY: the header is sound, so a header follows the cell in its region.
        let next = unsafe { cell.next() };
        let behind = self.sound_header_or_fencepost(next)?;
        if !behind.is_prev_used() {
            let expected = behind.with_prev_used(true).sealed(next.addr()).bits();
            return Err(broken_header(next, behind.sealed(next.addr()).bits(), expected));
        }
        if !behind.is_used() {
            self.sound_free_cell(next, behind)?;
        }
        if header.is_prev_used() { Ok(()) } else { self.sound_cell_before(cell) }
    }

    /// Verifies the free cell before a cell, by the size at its end.
    fn sound_cell_before(&self, cell: Cell<P>) -> Result<(), Misuse> {
        // SAFETY: the header says that a cell of its region precedes it.
        let size = unsafe { cell.word_before() };
        let first = self.region_around(cell.addr()).map_or(cell, |region| region.first).addr();
        let is_possible = size >= MIN_CELL && size % CELL_ALIGN == 0 && size <= cell.addr() - first;
        if !is_possible {
            return Err(self.broken_size_before(cell, size));
        }
        // SAFETY: the place is not below the first cell of the region: `is_possible`.
        let prev = unsafe { cell.before(size) };
        match self.sound_header(prev) {
            Ok(header) if header.size() == size && !header.is_used() => {
                self.sound_free_cell(prev, header)
            }
            _ => Err(self.broken_size_before(cell, size)),
        }
    }

    /// Returns the report of an overwritten size at the end of the free cell before `cell`.
    fn broken_size_before(&self, cell: Cell<P>, found: usize) -> Misuse {
        let before = self
            .sound_cells()
            .find(|(before, header)| before.addr() + header.size() == cell.addr());
        let (block, expected) = before
            .map_or((0, 0), |(before, header)| (before.payload().addr().get(), header.size()));
        Misuse { kind: MisuseKind::WriteAfterFree, block, at: cell.addr() - WORD, found, expected }
    }

    /// Verifies a free cell: the size at its end, and the links to it and from it.
    fn sound_free_cell(&self, cell: Cell<P>, header: Header) -> Result<(), Misuse> {
        // SAFETY: the header is sound, so a header follows the cell in its region.
        let (next, size) = unsafe { (cell.next(), cell.next().word_before()) };
        if size != header.size() {
            return Err(self.broken_size_before(next, size));
        }
        if self.top == Some(cell) { Ok(()) } else { self.sound_links(cell, header.size()) }
    }
}
