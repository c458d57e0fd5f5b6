//! A heap under test: what the driver asks of it beside allocating.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use brkalloc::{
    Break, BreakError, CellInfo, CellState, Heap, Map, MapThreshold, NoMap, Plain, RawHeap,
    RegionError, SimpleHeap, Trim,
};

use super::oracle::{Block, Oracle};
use super::prelude::*;
use super::profile::Variant;
use super::test_break::{BadBreak, TestBreak};
use super::test_map::TestMap;

/// A heap over a [`TestBreak`].
pub trait Subject<const ZEROED: bool = false>: RawHeap + Sized {
    /// Its profile. (What has none is as plain as can be.)
    type Profile: Variant;

    fn new(brk: BadBreak<ZEROED>) -> Self;

    fn brk(&mut self) -> &mut BadBreak<ZEROED>;

    /// Every cell: address and size, and whether it is free.
    fn map(&self) -> Vec<(usize, usize, bool)>;

    /// Every cell, and what it is used for; empty if the heap does not tell.
    fn cell_infos(&self) -> Vec<CellInfo> {
        Vec::new()
    }

    /// Number of slabs, and of cells for their descriptors and the page map.
    fn slabs(&self) -> usize {
        0
    }

    /// Asserts every invariant that can be seen.
    fn verify(&self, oracle: &Oracle);

    /// Asserts, with no block live, that each region is one free cell.
    fn assert_one_free_cell_a_region(&self);

    /// Size of the largest block that can be had without moving the break.
    fn largest(&self) -> usize;

    /// Gives back what is kept of freed blocks, but for slabs of which some blocks are live.
    fn flush(&mut self) {}

    /// Whether blocks can be freed and resized by address alone.
    const KNOWS_BY_ADDRESS: bool = false;

    /// It can make room for a later block.
    const RESERVES: bool = false;

    /// # Safety
    ///
    /// As for `Heap::deallocate_by_ptr`.
    unsafe fn deallocate_by_ptr(&mut self, _block: NonNull<u8>) {}

    /// # Safety
    ///
    /// As for `Heap::reallocate_by_ptr`.
    unsafe fn reallocate_by_ptr(
        &mut self,
        _block: NonNull<u8>,
        _new: Layout,
    ) -> Option<NonNull<u8>> {
        None
    }

    /// Whether a heap with nothing live grants, at the first request, what a fresh heap grants.
    const IS_AS_GOOD_AS_FRESH: bool = false;

    /// Whether there is an `add_region` at all.
    const TAKES_REGIONS: bool = false;

    /// Adds memory beside the break's. `None` if it is too short.
    ///
    /// # Safety
    ///
    /// As for `Heap::add_region`.
    unsafe fn add_region(&mut self, _base: *mut u8, _len: usize) -> Option<usize> {
        None
    }

    /// Whether a block has a mapping of its own.
    fn is_mapped(&self, _block: &Block) -> bool {
        false
    }

    /// Number of mappings.
    fn mappings(&self) -> usize {
        0
    }

    fn refuse_maps(&mut self, _refuse: bool) {}

    fn set_map_threshold(&mut self, _threshold: MapThreshold) {}

    fn trim(&mut self, _keep: usize) {}

    fn set_trim(&mut self, _trim: Trim) {}

    fn reserve(&mut self, _bytes: usize) -> Result<(), BreakError> {
        Err(BreakError::Refused)
    }
}

/// What a heap under test has beside its break.
pub trait Mappings: Map + Default {
    fn count(&self) -> usize {
        0
    }

    fn is_mapped(&self, _block: &Block) -> bool {
        false
    }

    fn refuse(&mut self, _refuse: bool) {}
}

impl Mappings for NoMap {}

impl Mappings for TestMap {
    fn count(&self) -> usize {
        TestMap::count(self)
    }

    fn is_mapped(&self, block: &Block) -> bool {
        self.owns(block.range())
    }

    fn refuse(&mut self, refuse: bool) {
        self.refuse = refuse;
    }
}

impl<const ZEROED: bool, M: Mappings, P: Variant> Subject<ZEROED> for Heap<BadBreak<ZEROED>, M, P> {
    type Profile = P;

    fn new(brk: BadBreak<ZEROED>) -> Self {
        Heap::with_profile(brk, M::default())
    }

    fn brk(&mut self) -> &mut BadBreak<ZEROED> {
        self.provider_mut()
    }

    fn map(&self) -> Vec<(usize, usize, bool)> {
        self.cells()
            .map(|cell| {
                (cell.address, cell.size, matches!(cell.state, CellState::Free | CellState::Top))
            })
            .collect()
    }

    fn cell_infos(&self) -> Vec<CellInfo> {
        self.cells().collect()
    }

    fn slabs(&self) -> usize {
        let is_of_slabs =
            |cell: &CellInfo| matches!(cell.state, CellState::Slab { .. } | CellState::Internal);
        self.cells().filter(is_of_slabs).count()
    }

    fn verify(&self, oracle: &Oracle) {
        if let Err(corruption) = self.check() {
            panic!("{corruption}");
        }
        let stats = self.stats();
        assert_eq!(
            stats.granted_bytes,
            self.provider().granted(),
            "the heap and its provider disagree on what was granted"
        );
        assert_eq!(stats.added_bytes, self.provider().added());
        verify_regions(self, stats.holes);
        let (mapped, inside): (Vec<_>, Vec<_>) =
            oracle.blocks().partition(|block| self.is_mapped(block));
        let bytes = |blocks: &[Block]| blocks.iter().map(|block| block.layout.size()).sum();
        assert_eq!((stats.live_cells, stats.mapped_blocks), (inside.len(), mapped.len()));
        assert!(stats.live_bytes >= bytes(&inside) && stats.mapped_bytes >= bytes(&mapped));
        let mut blocks = inside.into_iter().peekable();
        assert_eq!(mapped.len(), self.mappings(), "a mapping is no live block");
        for cell in self.cells() {
            let used = match cell.state {
                CellState::Used => 1,
                CellState::Slab { live, total, .. } => {
                    assert!(live <= total, "{cell}");
                    live
                }
                _ => continue,
            };
            let inside: Vec<_> = core::iter::from_fn(|| {
                blocks.next_if(|block| block.range().start < cell.address + cell.size)
            })
            .collect();
            inside.iter().for_each(|block| assert_lies_in(cell, block, &inside[0]));
            assert_eq!(inside.len(), used, "live blocks in {cell}");
        }
        assert_eq!(blocks.next().map(|block| block.at), None, "a block lies in no used cell");
    }

    fn assert_one_free_cell_a_region(&self) {
        // A region that was given back down to its fencepost has no cell at all.
        let states: Vec<_> = self.cells().map(|cell| cell.state).collect();
        for (index, region) in states.split(|state| *state == CellState::Hole).enumerate() {
            let is_free = matches!(region, [] | [CellState::Free | CellState::Top]);
            assert!(is_free, "with nothing live, region {index} of {states:?}");
        }
        assert!(states.iter().filter(|state| **state == CellState::Top).count() <= 1, "{states:?}");
    }

    fn largest(&self) -> usize {
        self.stats().largest_free.saturating_sub(P::OVERHEAD)
    }

    fn flush(&mut self) {
        Heap::flush(self);
    }

    const KNOWS_BY_ADDRESS: bool = true;

    const RESERVES: bool = true;

    unsafe fn deallocate_by_ptr(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { Heap::deallocate_by_ptr(self, block) };
    }

    unsafe fn reallocate_by_ptr(&mut self, block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { Heap::reallocate_by_ptr(self, block, new) }
    }

    fn is_mapped(&self, block: &Block) -> bool {
        self.map_provider().is_mapped(block)
    }

    fn mappings(&self) -> usize {
        self.map_provider().count()
    }

    fn refuse_maps(&mut self, refuse: bool) {
        self.map_provider_mut().refuse(refuse);
    }

    fn set_map_threshold(&mut self, threshold: MapThreshold) {
        Heap::set_map_threshold(self, threshold);
    }

    const IS_AS_GOOD_AS_FRESH: bool = true;

    const TAKES_REGIONS: bool = true;

    unsafe fn add_region(&mut self, base: *mut u8, len: usize) -> Option<usize> {
        // SAFETY: the caller's promise.
        let gained = unsafe { Heap::add_region(self, base, len) };
        assert!(matches!(gained, Ok(_) | Err(RegionError::TooShort)), "{gained:?}");
        gained.ok()
    }

    fn trim(&mut self, keep: usize) {
        let before = self.provider().granted();
        let returned = Heap::trim(self, keep);
        assert_eq!(before - self.provider().granted(), returned);
    }

    fn set_trim(&mut self, trim: Trim) {
        Heap::set_trim(self, trim);
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), BreakError> {
        Heap::reserve(self, bytes)
    }
}

/// Asserts that a block is the payload of a used cell; or that it lies in a slab, whole, at a
/// distance of whole blocks from the `first` that lies there.
fn assert_lies_in(cell: CellInfo, block: &Block, first: &Block) {
    let (start, end) = (block.range().start, cell.address + cell.size);
    match cell.state {
        CellState::Slab { block_size, .. } => {
            assert!(block.layout.size() <= block_size, "{block:?} in {cell}");
            assert!(cell.payload() <= start && start + block_size <= end, "{block:?} in {cell}");
            assert!(
                (start - first.range().start).is_multiple_of(block_size),
                "{block:?} and {first:?} in {cell}"
            );
        }
        _ => {
            assert_eq!(cell.payload(), start, "a used cell is not the next block");
            assert!(cell.payload_size() >= block.layout.size());
        }
    }
}

/// Asserts that what a heap takes for its own is what its provider knows of, and that regions that
/// touch are one.
fn verify_regions<const ZEROED: bool, M: Map, P: Variant>(
    heap: &Heap<BadBreak<ZEROED>, M, P>,
    holes: usize,
) {
    let pieces = heap.provider().pieces();
    assert_eq!(holes, pieces.len().saturating_sub(1), "holes between {pieces:x?}");
    for piece in pieces {
        let [first, last] = [piece.start, piece.end - 1].map(ptr::without_provenance::<u8>);
        assert!(heap.owns(first) && heap.owns(last), "{piece:x?} is the heap's");
        assert!(
            !heap.owns(first.wrapping_sub(1)) && !heap.owns(last.wrapping_add(1)),
            "{piece:x?} and no more"
        );
    }
}

impl Subject for SimpleHeap<TestBreak> {
    type Profile = Plain;

    fn new(brk: TestBreak) -> Self {
        SimpleHeap::new(brk)
    }

    fn brk(&mut self) -> &mut TestBreak {
        self.provider_mut()
    }

    fn map(&self) -> Vec<(usize, usize, bool)> {
        self.free_cells().map(|(address, size)| (address, size, true)).collect()
    }

    fn verify(&self, oracle: &Oracle) {
        let unit = 2 * size_of::<usize>();
        let cells: Vec<_> =
            self.free_cells().map(|(address, size)| address..address + size).collect();
        for pair in cells.windows(2) {
            assert!(
                pair[0].end < pair[1].start,
                "free cells {pair:x?} are out of order, or were not merged"
            );
        }
        for cell in &cells {
            assert!(
                cell.start % unit == 0 && cell.len() % unit == 0 && !cell.is_empty(),
                "free cell {cell:x?}"
            );
            assert!(self.provider().owns(cell.clone()), "free cell {cell:x?} was not granted");
            for block in oracle.blocks() {
                let with_header = block.range().start - unit..block.range().end;
                assert!(
                    with_header.end <= cell.start || cell.end <= with_header.start,
                    "{block:?} lies in free cell {cell:x?}"
                );
            }
        }
    }

    fn assert_one_free_cell_a_region(&self) {
        // What is not on the list again: a unit where a region begins, and less than one at either
        // end of a grant.
        let brk = self.provider();
        let bound = 2 * size_of::<usize>() * 3 * brk.grants();
        let lost = brk.granted() - self.free_cells().map(|(_, size)| size).sum::<usize>();
        assert!(
            lost <= bound,
            "{lost} of {} bytes in {} grants were not found again",
            brk.granted(),
            brk.grants()
        );
    }

    fn largest(&self) -> usize {
        let header = 2 * size_of::<usize>();
        self.free_cells().map(|(_, size)| size - header).max().unwrap_or(0)
    }
}

/// The break's end, for what the driver compares.
pub fn brk_of<const ZEROED: bool>(heap: &mut impl Subject<ZEROED>) -> *mut u8 {
    heap.brk().end()
}
