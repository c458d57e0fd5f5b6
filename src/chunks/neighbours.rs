//! The headers around a cell: right before anything is done with it.

use core::iter;

use super::{Chunks, Tuning};
use crate::cell::{CELL_ALIGN, Cell, Form, Header, MIN_CELL, Region, State, WORD};
use crate::checks::Checks;
use crate::misuse::{Misuse, MisuseKind};
use crate::space::Extent;

/// How often a cell is looked at again after its neighbours' links were overwritten and written
/// anew.
const ATTEMPTS: usize = 2;

/// A header that is not what it should be.
pub(crate) fn broken_header<F>(cell: Cell<F>, found: usize, expected: usize) -> Misuse {
    Misuse {
        kind: MisuseKind::Header,
        block: cell.payload().addr().get(),
        at: cell.addr(),
        found,
        expected,
    }
}

/// The word in front of a header.
fn word_before<F: Form>(cell: Cell<F>) -> usize {
    // SAFETY: the header's cell follows another one, whose last word this is.
    let word = unsafe { cell.payload().cast::<usize>().sub(2) };
    // SAFETY: as above.
    unsafe { word.read() }
}

/// Returns what follows a sound cell, or a sound fencepost.
pub(crate) fn after<F: Form>(cell: Cell<F>, header: Header) -> Option<Cell<F>> {
    if header.is_fencepost() {
        // SAFETY: a fencepost; all first cells are exposed.
        unsafe { cell.behind_hole() }
    } else {
        // SAFETY: its size is right.
        Some(unsafe { cell.next() })
    }
}

impl<B, P: Tuning> Chunks<B, P> {
    /// Returns the region among whose cells, its fencepost included, an address lies. O(1) for the
    /// break's, else O(regions).
    pub(crate) fn region_around(&self, address: usize) -> Option<Region<P>> {
        let holds =
            |region: &Region<P>| (region.first.addr()..=region.fencepost.addr()).contains(&address);
        let breaks = self.space.extent().map(Extent::region).filter(holds);
        breaks.or_else(|| self.space.regions().find(holds))
    }

    /// Returns whether `len` bytes from an address on, at least one, lie in cells of one region.
    pub(crate) fn spans(&self, address: usize, len: usize) -> bool {
        self.region_around(address).is_some_and(|region| len <= region.fencepost.addr() - address)
    }

    /// Returns the cells, in the order of addresses, up to the first whose header was overwritten.
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

    /// Returns the cell, but not a hole, in which an address lies.
    pub(crate) fn cell_around(&self, address: usize) -> Option<(Cell<P>, Header)> {
        let (cell, header) =
            self.sound_cells().find(|(cell, header)| address < cell.addr() + header.size())?;
        (cell.addr() <= address && !header.is_fencepost()).then_some((cell, header))
    }

    /// Returns whether the first overwritten header is this one, or, if none is, whether it is the
    /// last fencepost.
    pub(crate) fn walk_ends_at(&self, cell: Cell<P>) -> bool {
        let end = self.sound_cells().last();
        end.map_or(self.space.lowest(), |(cell, header)| after(cell, header)) == Some(cell)
    }

    /// The header of a cell, if it is as the heap wrote it, as far as it tells by itself.
    ///
    /// `cell` lies between the first cell and the last fencepost.
    pub(crate) fn sound_header(&self, cell: Cell<P>) -> Result<Header, Misuse> {
        let Some(region) = self.region_around(cell.addr()) else {
            return Err(broken_header(cell, 0, 0));
        };
        // SAFETY: inside the heap.
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

    /// [`sound_header`](Chunks::sound_header) for a place where there may be a fencepost.
    pub(crate) fn sound_header_or_fencepost(&self, cell: Cell<P>) -> Result<Header, Misuse> {
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

    /// Whether a used cell and its neighbours are as the heap wrote them. If not, it is reported;
    /// and if it is to be ignored, and can be mended, it is mended.
    pub(crate) fn is_sound(&mut self, cell: Cell<P>) -> bool {
        self.is_right(|heap| heap.sound_cell(cell))
    }

    /// Whether regions can be joined with what touches them from above, or below: their ends are as
    /// the heap wrote them. If not, it is reported and mended as by
    /// [`is_sound`](Chunks::is_sound).
    pub(crate) fn can_join(&mut self, regions: [Option<Region<P>>; 2]) -> bool {
        self.is_right(|heap| {
            heap.sound_chain()?;
            regions.into_iter().flatten().try_for_each(|region| heap.sound_ends(&region))
        })
    }

    fn is_right(&mut self, look: impl Fn(&Self) -> Result<(), Misuse>) -> bool {
        for _ in 0..=ATTEMPTS {
            match look(self) {
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

    /// The fenceposts lead from region to region to the last one.
    fn sound_chain(&self) -> Result<(), Misuse> {
        let Some((_, last_fencepost)) = self.space.bounds() else { return Ok(()) };
        let Some(last) = self.space.regions().last() else { return Ok(()) };
        let fencepost = self.sound_header_or_fencepost(last.fencepost)?;
        match after(last.fencepost, fencepost) {
            // The way to the next region is right, but its head is not.
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

    /// The first cell of a region, if it is free, and the fencepost, with the cell before it.
    fn sound_ends(&self, region: &Region<P>) -> Result<(), Misuse> {
        let first = self.sound_header_or_fencepost(region.first)?;
        if !first.is_used() {
            self.sound_free_cell(region.first, first)?;
        }
        let fencepost = self.sound_header_or_fencepost(region.fencepost)?;
        if fencepost.is_prev_used() { Ok(()) } else { self.sound_cell_before(region.fencepost) }
    }

    fn sound_cell(&self, cell: Cell<P>) -> Result<(), Misuse> {
        let header = self.sound_header(cell)?;
        // SAFETY: its size is right.
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

    /// The free cell before a cell, by the size at its end.
    fn sound_cell_before(&self, cell: Cell<P>) -> Result<(), Misuse> {
        let size = word_before(cell);
        let first = self.region_around(cell.addr()).map_or(cell, |region| region.first).addr();
        let is_possible = size >= MIN_CELL && size % CELL_ALIGN == 0 && size <= cell.addr() - first;
        if !is_possible {
            return Err(self.broken_size_before(cell, size));
        }
        // SAFETY: inside the heap.
        let prev = unsafe { cell.before(size) };
        match self.sound_header(prev) {
            Ok(header) if header.size() == size && !header.is_used() => {
                self.sound_free_cell(prev, header)
            }
            _ => Err(self.broken_size_before(cell, size)),
        }
    }

    fn broken_size_before(&self, cell: Cell<P>, found: usize) -> Misuse {
        let before = self
            .sound_cells()
            .find(|(before, header)| before.addr() + header.size() == cell.addr());
        let (block, expected) = before
            .map_or((0, 0), |(before, header)| (before.payload().addr().get(), header.size()));
        Misuse { kind: MisuseKind::WriteAfterFree, block, at: cell.addr() - WORD, found, expected }
    }

    /// A free cell: its size is at its end, and its list leads to it and on.
    fn sound_free_cell(&self, cell: Cell<P>, header: Header) -> Result<(), Misuse> {
        // SAFETY: its size is right.
        let next = unsafe { cell.next() };
        let size = word_before(next);
        if size != header.size() {
            return Err(self.broken_size_before(next, size));
        }
        if self.top == Some(cell) { Ok(()) } else { self.sound_links(cell, header.size()) }
    }
}
