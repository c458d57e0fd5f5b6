//! Where an address lies, and what is wrong with it if no live block begins there.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::neighbours::broken_header;
use super::record::{self, Guarded, Record};
use super::{Misuse, MisuseKind};
use crate::cell::{CELL_ALIGN, Cell, Header, MIN_CELL, Region, State, WORD};
use crate::heap::extent::Extent;
use crate::heap::{Heap, Request};
use crate::provider::{Break, Map};
use crate::small::{Class, Run};

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A block of a run.
    Run(Class),
    /// A cell of its own.
    Cell,
    /// A mapping of its own.
    Mapping,
}

/// Why there is no block at an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoBlock {
    /// Known at once.
    Known(Misuse),
    /// The word in front of it is not the header of a used cell.
    NoHeader(Misuse),
}

impl Misuse {
    pub(super) fn never_allocated(address: usize, around: Option<usize>) -> Self {
        Self {
            kind: MisuseKind::NeverAllocated,
            block: address,
            at: address,
            found: address,
            expected: around.unwrap_or(0),
        }
    }

    /// The record says that the block is free.
    pub(super) fn freed_by_record(guarded: Guarded, layout: Layout) -> Self {
        let (block, at, found) = (guarded.addr(), guarded.check_addr(), guarded.record().check);
        Self {
            kind: MisuseKind::DoubleFree,
            block,
            at,
            found,
            expected: Record::new(block, layout, true).check,
        }
    }

    /// The header says that the cell is free, or was.
    pub(super) fn freed_by_header(cell: Cell, header: Header) -> Self {
        let live = Header::new(header.size(), header.state() | State::USED);
        Self {
            kind: MisuseKind::DoubleFree,
            block: cell.payload().addr().get(),
            at: cell.addr(),
            found: header.sealed(cell.addr()).bits(),
            expected: live.sealed(cell.addr()).bits(),
        }
    }
}

/// What follows a sound cell, or a sound fence.
pub(super) fn after(cell: Cell, header: Header) -> Option<Cell> {
    if header.is_fence() {
        // SAFETY: a fence; all first cells are exposed.
        unsafe { cell.behind_hole() }
    } else {
        // SAFETY: its size is right.
        Some(unsafe { cell.next() })
    }
}

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    /// Whether the way from a region to the next one is as the heap wrote it, as far as can be
    /// told: it ends inside the heap.
    pub(in crate::heap) fn leads_on(&self, region: &Region) -> bool {
        let Some((_, last_fence)) = self.bounds() else { return false };
        let Some(most) = last_fence.addr().checked_sub(region.fence.addr()) else { return false };
        // SAFETY: the fence of a region.
        let fence = unsafe { region.fence.header() };
        if !fence.is_fence() || !fence.is_used() || !(CELL_ALIGN..=most).contains(&fence.size()) {
            return false;
        }
        // SAFETY: a fence; all first cells are exposed.
        let Some(first) = (unsafe { region.fence.behind_hole() }) else { return false };
        // SAFETY: not above the last fence, and of the right alignment: the heap's, if the fence is
        // right.
        let is_recorded =
            || unsafe { Region::recorded_length(first) } <= last_fence.addr() - first.addr();
        self.extent.as_ref().is_some_and(|extent| extent.region().first == first) || is_recorded()
    }

    /// The region among whose cells, its fence included, an address lies. O(1) for the break's,
    /// else O(regions).
    pub(super) fn region_around(&self, address: usize) -> Option<Region> {
        let holds =
            |region: &Region| (region.first.addr()..=region.fence.addr()).contains(&address);
        let breaks = self.extent.as_ref().map(Extent::region).filter(holds);
        breaks.or_else(|| self.all_regions().find(holds))
    }

    /// Whether `len` bytes from an address on, at least one, lie in cells of one region.
    pub(super) fn spans(&self, address: usize, len: usize) -> bool {
        self.region_around(address).is_some_and(|region| len <= region.fence.addr() - address)
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// The block at an address, if the heap has one there, live or not, with the memory that it was
    /// given.
    pub(super) fn locate(&self, block: NonNull<u8>) -> Result<(Guarded, Place), NoBlock> {
        let address = block.addr().get();
        let (place, capacity) = if self.spans(address, 1) {
            self.locate_in_heap(block)?
        } else {
            let capacity = self.mapped_capacity_checked(block);
            (Place::Mapping, capacity.ok_or_else(|| NoBlock::Known(self.not_mapped(address)))?)
        };
        // SAFETY: the heap gave it that much.
        Ok((unsafe { Guarded::new(block, capacity) }, place))
    }

    fn locate_in_heap(&self, block: NonNull<u8>) -> Result<(Place, usize), NoBlock> {
        let address = block.addr().get();
        if let Some(class) = self.small.pages.class_at(address) {
            let around = Run::of_block(block, class).block_around(class, address);
            return match around {
                Some(around) if around == address => Ok((Place::Run(class), class.size())),
                _ => Err(NoBlock::Known(Misuse::never_allocated(address, around))),
            };
        }
        if !address.is_multiple_of(CELL_ALIGN) || !self.spans(address - WORD, MIN_CELL) {
            let around =
                self.cell_around(address).and_then(|(cell, header)| self.block_of(cell, header));
            return Err(NoBlock::Known(Misuse::never_allocated(address, around)));
        }
        let cell = Cell::at_payload(block);
        let header = self.sound_header(cell).map_err(NoBlock::NoHeader)?;
        if !header.is_used() {
            return Err(NoBlock::NoHeader(Misuse::freed_by_header(cell, header)));
        }
        if self.small.pages.is_leaf(block) {
            return Err(NoBlock::Known(Misuse::never_allocated(address, None)));
        }
        let (capacity, least) = (header.size() - WORD, record::LEAST_CAPACITY);
        if capacity < least {
            return Err(NoBlock::NoHeader(broken_header(cell, header.size(), least + WORD)));
        }
        Ok((Place::Cell, capacity))
    }

    /// A live block of this layout, or what is wrong with it.
    pub(super) fn examine(
        &self,
        block: NonNull<u8>,
        layout: Layout,
    ) -> Result<(Guarded, Place), Misuse> {
        let (guarded, place) =
            self.locate(block).map_err(|reason| self.diagnose(block, Some(layout), reason))?;
        let verdict = guarded
            .compare(layout)
            .unwrap_or_else(|| Err(self.without_record(guarded, place, layout)));
        verdict.map(|()| (guarded, place))
    }

    /// What has happened to a block whose record is none.
    fn without_record(&self, guarded: Guarded, place: Place, layout: Layout) -> Misuse {
        let address = guarded.addr();
        match place {
            Place::Run(class) => {
                let run = Run::of_block(guarded.block, class);
                // SAFETY: the page map says so.
                if unsafe { run.is_free(class, address) } || self.small.cache.contains(address) {
                    return Misuse::never_allocated(address, None);
                }
            }
            // A used header that is left over from a cell which is there no more.
            Place::Cell => match self.cell_around(address) {
                Some((cell, header)) if cell.payload() != guarded.block => {
                    return Misuse::never_allocated(address, self.block_of(cell, header));
                }
                _ => {}
            },
            Place::Mapping => {}
        }
        guarded.overwritten(layout)
    }

    /// Finds out why no block begins at an address. Looks at every cell if need be.
    pub(super) fn diagnose(
        &self,
        block: NonNull<u8>,
        layout: Option<Layout>,
        reason: NoBlock,
    ) -> Misuse {
        let header = match reason {
            NoBlock::Known(misuse) => return misuse,
            NoBlock::NoHeader(misuse) => misuse,
        };
        if let Some(freed) =
            layout.and_then(|layout| self.freed_where_the_layout_says(block, layout))
        {
            return freed;
        }
        let (address, cell) = (block.addr().get(), Cell::at_payload(block));
        match self.cell_around(address) {
            // The walk has come to this header and not past it.
            None if self.walk_ends_at(cell) => header,
            None => Misuse::never_allocated(address, None),
            Some((around, _)) if around == cell => header,
            Some((around, used)) => {
                // SAFETY: `locate_in_heap` made sure that it lies in the heap.
                let word = unsafe { cell.header_in_memory() };
                let was_cell =
                    !word.unsealed().is_used() && word.unsealed().sealed(cell.addr()) == word;
                // Without check bits any even number is a freed header: it counts if there is a
                // free cell now.
                if was_cell
                    && word.unsealed().size() >= MIN_CELL
                    && (usize::BITS == 64 || !used.is_used())
                {
                    return Misuse::freed_by_header(cell, word.unsealed());
                }
                Misuse::never_allocated(address, self.block_of(around, used))
            }
        }
    }

    /// A block that was freed, and whose place has become something else since: its record may
    /// still stand where the layout puts it.
    fn freed_where_the_layout_says(&self, block: NonNull<u8>, layout: Layout) -> Option<Misuse> {
        let address = block.addr().get();
        let longer = record::guarded(layout)?;
        let of_run = self.small_class_of(longer).map(Class::size);
        let of_cell = Some(Request::new(longer).size() - WORD);
        [of_run, of_cell]
            .into_iter()
            .flatten()
            .filter(|&capacity| self.spans(address, capacity))
            .find_map(|capacity| {
                // SAFETY: inside the heap, and long enough for this layout.
                let guarded = unsafe { Guarded::new(block, capacity) };
                let (asked, live) = guarded.record().decode(address)?;
                (!live).then(|| Misuse::freed_by_record(guarded, asked))
            })
    }

    /// The block that a used cell is.
    fn block_of(&self, cell: Cell, header: Header) -> Option<usize> {
        let is_block = header.is_used() && !self.small.pages.is_leaf(cell.payload());
        is_block.then(|| cell.payload().addr().get())
    }

    /// The cells, in the order of addresses, up to the first whose header was overwritten.
    pub(super) fn sound_cells(&self) -> impl Iterator<Item = (Cell, Header)> {
        let mut at = self.regions.lowest;
        core::iter::from_fn(move || {
            let cell = at?;
            let header =
                self.sound_header_or_fence(cell).ok().filter(|header| header.size() > 0)?;
            at = after(cell, header);
            Some((cell, header))
        })
    }

    /// The cell, but not a hole, in which an address lies.
    fn cell_around(&self, address: usize) -> Option<(Cell, Header)> {
        let (cell, header) =
            self.sound_cells().find(|(cell, header)| address < cell.addr() + header.size())?;
        (cell.addr() <= address && !header.is_fence()).then_some((cell, header))
    }

    /// Whether the first overwritten header is this one, or, if none is, whether it is the last
    /// fence.
    pub(super) fn walk_ends_at(&self, cell: Cell) -> bool {
        self.sound_cells().last().map_or(self.regions.lowest, |(cell, header)| after(cell, header))
            == Some(cell)
    }
}
