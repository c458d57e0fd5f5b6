//! Location of an address in the heap, and diagnosis if no live block begins there.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::record::{self, Guarded, freed_by_record};
use crate::cell::{CELL_ALIGN, Cell, Header, MIN_CELL, State, WORD};
use crate::checks::Checks;
use crate::chunks::broken_header;
use crate::layer::{InSlab, Layer};
use crate::misuse::{Misuse, MisuseKind};
use crate::profile::Profile;
use crate::provider::Map;
use crate::request::Request;
use crate::size_class::Class;
use crate::unchecked::Unchecked;

/// Kind of memory that a block lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A slab.
    Slab,
    /// A cell of its own.
    Cell,
    /// A mapping of its own.
    Mapping,
}

/// Reason why no block begins at an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoBlock {
    /// The final diagnosis.
    Known(Misuse),
    /// The word in front of the address is not the header of a used cell. [`diagnose`] may find a
    /// better diagnosis than this one.
    NoHeader(Misuse),
}

/// Returns the report for a block whose header says that its cell is free.
pub(super) fn freed_by_header<F>(cell: Cell<F>, header: Header) -> Misuse {
    let live = Header::new(header.size(), header.state() | State::USED);
    Misuse {
        kind: MisuseKind::DoubleFree,
        block: cell.payload().addr().get(),
        at: cell.addr(),
        found: header.sealed(cell.addr()).bits(),
        expected: live.sealed(cell.addr()).bits(),
    }
}

/// A view of a heap that finds out what begins at an address.
pub(crate) struct Look<'heap, B, M, P: Profile>(pub(crate) &'heap Unchecked<B, M, P>);

impl<B, M: Map, P: Profile> Look<'_, B, M, P> {
    /// Returns the live or freed block that begins at an address, with its memory and its place.
    ///
    /// # Errors
    ///
    /// The reason why no block begins there.
    pub(super) fn locate(&self, block: NonNull<u8>) -> Result<(Guarded, Place), NoBlock> {
        let address = block.addr().get();
        let (place, capacity) = if self.0.chunks().spans(address, 1) {
            self.locate_in_heap(block)?
        } else {
            let never = || Misuse::never_allocated(address, None);
            let list = self.0.chunks().checks.mapped().ok_or_else(|| NoBlock::Known(never()))?;
            let listed = list.find(block).map_err(NoBlock::Known)?;
            // SAFETY: a block in the list is live and has a header: the invariant of
            // `MappedBlocks`.
            let capacity =
                listed.and_then(|block| unsafe { self.0.large.mapped.capacity_of::<P>(block) });
            (Place::Mapping, capacity.ok_or_else(|| NoBlock::Known(list.misuse_of_other(address)))?)
        };
        // SAFETY: the heap gave the block `capacity` bytes, at least `LEAST_CAPACITY`: a checked
        // heap allocates every block with a record.
        Ok((unsafe { Guarded::new(block, capacity) }, place))
    }

    /// Returns the place of a block in a region of the heap, and its capacity in bytes.
    fn locate_in_heap(&self, block: NonNull<u8>) -> Result<(Place, usize), NoBlock> {
        let address = block.addr().get();
        let never = |around| Err(NoBlock::Known(Misuse::never_allocated(address, around)));
        if let Some(InSlab { class, around }) = self.0.layer.in_slab(block) {
            let is_block = around == Some(address);
            return if is_block { Ok((Place::Slab, class.size())) } else { never(around) };
        }
        if address % CELL_ALIGN != 0 || !self.0.chunks().spans(address - WORD, MIN_CELL) {
            let around = self.0.chunks().cell_around(address);
            return never(around.and_then(|(cell, header)| self.block_of(cell, header)));
        }
        let cell = Cell::<P>::at_payload(block);
        let header = self.0.chunks().sound_header(cell).map_err(NoBlock::NoHeader)?;
        if !header.is_used() {
            return Err(NoBlock::NoHeader(freed_by_header(cell, header)));
        }
        if self.0.layer.is_internal(block) {
            return never(None);
        }
        let (capacity, least) = (header.size() - WORD, record::LEAST_CAPACITY);
        if capacity < least {
            return Err(NoBlock::NoHeader(broken_header(cell, header.size(), least + WORD)));
        }
        Ok((Place::Cell, capacity))
    }

    /// Returns the live block of this layout that begins at `block`.
    ///
    /// # Errors
    ///
    /// The misuse, if there is no such block or its record or gap was overwritten.
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

    /// Returns the diagnosis for a block without a valid record.
    fn without_record(&self, guarded: Guarded, place: Place, layout: Layout) -> Misuse {
        let address = guarded.addr();
        match place {
            Place::Slab if self.0.layer.is_free_in_slab(guarded.block) => {
                Misuse::never_allocated(address, None)
            }
            // The header may be a remainder of a cell that was coalesced or split.
            Place::Cell => match self.0.chunks().cell_around(address) {
                Some((cell, header)) if cell.payload() != guarded.block => {
                    Misuse::never_allocated(address, self.block_of(cell, header))
                }
                _ => guarded.overwritten(layout),
            },
            _ => guarded.overwritten(layout),
        }
    }

    /// Returns the diagnosis for an address where no block begins. `layout` is the caller's, if
    /// known.
    ///
    /// # Time
    ///
    /// O(cells).
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
        let (address, cell) = (block.addr().get(), Cell::<P>::at_payload(block));
        match self.0.chunks().cell_around(address) {
            // The walk ended at this header, because it was overwritten.
            None if self.0.chunks().walk_ends_at(cell) => header,
            None => Misuse::never_allocated(address, None),
            Some((around, _)) if around == cell => header,
            Some((around, used)) => {
                // SAFETY: `locate_in_heap` verified that the header lies in a region of the heap.
                let word = unsafe { cell.header_in_memory() };
                let was_cell =
                    !word.unsealed().is_used() && word.unsealed().sealed(cell.addr()) == word;
                // Without check bits, any even word looks like a freed header: accept it only if a
                // free cell lies there now.
                if was_cell
                    && word.unsealed().size() >= MIN_CELL
                    && (usize::BITS == 64 || !used.is_used())
                {
                    return freed_by_header(cell, word.unsealed());
                }
                Misuse::never_allocated(address, self.block_of(around, used))
            }
        }
    }

    /// Returns the report of a double free, if the record of a freed block is still where `layout`
    /// puts it, although the memory has become part of another cell since.
    fn freed_where_the_layout_says(&self, block: NonNull<u8>, layout: Layout) -> Option<Misuse> {
        let address = block.addr().get();
        let longer = record::guarded(layout)?;
        let of_slab = Unchecked::<B, M, P>::class_of(longer).map(Class::size);
        let of_cell = Some(Request::new(longer).size() - WORD);
        [of_slab, of_cell]
            .into_iter()
            .flatten()
            .filter(|&capacity| self.0.chunks().spans(address, capacity))
            .find_map(|capacity| {
                // SAFETY: the bytes lie in cells of the heap (`spans`), and hold this layout with a
                // record.
                let guarded = unsafe { Guarded::new(block, capacity) };
                let (asked, live) = guarded.record().decode(address)?;
                (!live).then(|| freed_by_record(guarded, asked))
            })
    }

    /// Returns the address of the block in a used cell; `None` if the cell is free or internal.
    fn block_of(&self, cell: Cell<P>, header: Header) -> Option<usize> {
        let is_block = header.is_used() && !self.0.layer.is_internal(cell.payload());
        is_block.then(|| cell.payload().addr().get())
    }
}
