//! Runs a list of operations on a heap and an oracle side by side.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellInfo, CellState, Heap, MapThreshold, NoMap, SimpleHeap, Trim};

use super::ops::Op;
use super::oracle::{Block, Oracle};
use super::prelude::*;
use super::profile::Variant;
use super::subject::{Subject, brk_of};
use super::test_break::{BadBreak, Part, TestBreak};
use super::test_map::{PAGE, TestMap};

/// The oracle of every refusal: a request that is repeated at once is refused again.
const AGAIN: &str = "refused, and granted the second time";

/// Size of the longest blocks that lie in slabs, in bytes.
const LONGEST_OF_SLABS: usize = 4 << 10;

/// What becomes of a block that is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// It is a free cell, or a part of one, at once.
    Merged,
    /// It may stay in a slab until the heap is flushed.
    Kept,
}

/// A heap, its oracle, and the rules that every step must keep.
pub struct Driver<H, const ZEROED: bool = false> {
    pub heap: H,
    pub oracle: Oracle,
    freed: Freed,
}

impl<const ZEROED: bool, P: Variant> Driver<Heap<BadBreak<ZEROED>, NoMap, P>, ZEROED> {
    /// A heap as its profile makes it.
    pub fn full(brk: BadBreak<ZEROED>) -> Self {
        Self::new(brk)
    }
}

impl<const ZEROED: bool, P: Variant> Driver<Heap<BadBreak<ZEROED>, TestMap, P>, ZEROED> {
    /// A heap that gives blocks of two pages and more mappings of their own.
    pub fn mapping(brk: BadBreak<ZEROED>) -> Self {
        let mut driver = Self::new(brk);
        driver.set_map_threshold(2 * PAGE);
        driver
    }
}

impl Driver<SimpleHeap<TestBreak>> {
    pub fn simple(brk: TestBreak) -> Self {
        Self::new(brk)
    }
}

impl<const ZEROED: bool, H: Subject<ZEROED>> Driver<H, ZEROED> {
    fn new(brk: BadBreak<ZEROED>) -> Self {
        let freed = if H::Profile::LAYERED { Freed::Kept } else { Freed::Merged };
        Self { heap: H::new(brk), oracle: Oracle::default(), freed }
    }

    pub fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(*op);
            self.verify();
        }
        self.finish();
    }

    fn verify(&self) {
        self.heap.verify(&self.oracle);
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Allocate { size, align, zeroed } => {
                self.allocate(Layout::from_size_align(size, align).unwrap(), zeroed)
            }
            Op::Free { block } => self.free(block),
            Op::Resize { block, size } => self.resize(block, size),
            Op::FreeByAddress { block } => self.free_by_address(block),
            Op::ResizeByAddress { block, size, align } => {
                self.resize_by_address(block, size, align)
            }
            Op::Reserve { bytes } => self.reserve(bytes),
            Op::Trim { keep } => self.heap.trim(keep),
            Op::SetTrim { threshold } => self.heap.set_trim(Trim::new(threshold, threshold / 2)),
            Op::ForeignUp { bytes } => self.heap.brk().foreign_up(bytes),
            Op::ForeignUndo => self.heap.brk().foreign_undo(),
            Op::RefuseGrow(refuse) => self.heap.brk().refuse_grow = refuse,
            Op::RefuseShrink(refuse) => self.heap.brk().refuse_shrink = refuse,
            Op::Surplus { bytes } => self.heap.brk().surplus = bytes,
            Op::Granule { log } => self.heap.brk().granule = 1 << log,
            Op::AllocateMany { size, align, count } => {
                self.allocate_many(Layout::from_size_align(size, align).unwrap(), count)
            }
            Op::FreeMany { block, step, count } => {
                (0..count).for_each(|index| self.free(block.wrapping_add(index * step)))
            }
            Op::Flush => self.flush(),
            Op::MapThreshold { bytes } => self.set_map_threshold(bytes),
            Op::RefuseMap(refuse) => self.heap.refuse_maps(refuse),
            Op::AddRegion { place, part, len } => self.add_region(place, part, len),
        }
    }

    fn allocate(&mut self, layout: Layout, zeroed: bool) {
        let slabs = self.heap.slabs();
        let before = (self.heap.map(), self.heap.brk().refused, brk_of(&mut self.heap));
        let Some(at) = self.request(layout, zeroed) else {
            self.assert_refused(layout, before.1, &before.0, before.2);
            assert_eq!(self.request(layout, zeroed), None, "{layout:?}: {AGAIN}");
            return;
        };
        // C4: the break stays where it is if there is a free cell for the block. It may move for a
        // slab, or for what a slab needs, if no free cell is large enough for that. A slab that the
        // page map does not reach yet begins with a later block, and this one gets a cell.
        let is_for_slab = self.heap.slabs() > slabs || self.heap.brk().refused > before.1;
        if is_certain_to_fit::<H::Profile>(&before.0, layout) && !is_for_slab {
            let is_for_later_slab = H::Profile::LAYERED && layout.size() <= LONGEST_OF_SLABS;
            assert!(
                brk_of(&mut self.heap) == before.2 || is_for_later_slab,
                "the break moved for {layout:?} although a free cell was large enough"
            );
        }
        let block =
            if zeroed { self.oracle.add_zeroed(at, layout) } else { self.oracle.add(at, layout) };
        self.assert_ours(&block);
    }

    fn request(&mut self, layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
        // SAFETY: the heap outlives the case.
        unsafe {
            if zeroed { self.heap.allocate_zeroed(layout) } else { self.heap.allocate(layout) }
        }
    }

    fn assert_ours(&mut self, block: &Block) {
        let is_ours = self.heap.brk().owns(block.range()) || self.heap.is_mapped(block);
        assert!(is_ours, "{block:?} lies outside of what was granted, or mapped");
    }

    /// Many blocks at once, with a look at all cells in the end only.
    fn allocate_many(&mut self, layout: Layout, count: usize) {
        for _ in 0..count {
            let refused = self.heap.brk().refused;
            // SAFETY: the heap outlives the case.
            let Some(at) = (unsafe { self.heap.allocate(layout) }) else {
                assert!(self.heap.brk().refused > refused, "no memory, but nobody refused");
                self.assert_nothing_fits(layout);
                assert_eq!(self.request(layout, false), None, "{layout:?}: {AGAIN}");
                return;
            };
            let block = self.oracle.add(at, layout);
            self.assert_ours(&block);
        }
    }

    fn free(&mut self, block: usize) {
        let Some(block) = self.oracle.pick(block) else { return };
        self.oracle.remove(&block);
        // SAFETY: the oracle knows it as live, with this layout.
        unsafe { self.heap.deallocate(block.at, block.layout) };
    }

    fn resize(&mut self, block: usize, size: usize) {
        let Some(block) = self.oracle.pick(block) else { return };
        let layout = Layout::from_size_align(size, block.layout.align()).unwrap();
        let before = (self.heap.map(), self.heap.brk().refused, brk_of(&mut self.heap));
        // SAFETY: the oracle knows it as live, with this layout.
        match unsafe { self.heap.reallocate(block.at, block.layout, size) } {
            None => {
                // A block of a slab may be less aligned than all blocks of a smaller class.
                let must_move = self.freed == Freed::Kept
                    && !block.range().start.is_multiple_of(2 * size_of::<usize>());
                assert!(
                    size > block.layout.size() || must_move,
                    "{block:?} cannot become smaller: {size} bytes"
                );
                self.assert_refused(layout, before.1, &before.0, before.2);
                // SAFETY: as above: it was refused, so the block is as it was.
                let again = unsafe { self.heap.reallocate(block.at, block.layout, size) };
                assert_eq!(again, None, "{block:?} to {size} bytes: {AGAIN}");
            }
            Some(at) => {
                let block = self.oracle.moved(&block, at, layout);
                self.assert_ours(&block);
            }
        }
    }

    fn free_by_address(&mut self, block: usize) {
        let Some(block) = self.oracle.pick(block).filter(|_| H::KNOWS_BY_ADDRESS) else { return };
        self.oracle.remove(&block);
        // SAFETY: the oracle knows it as live.
        unsafe { self.heap.deallocate_by_ptr(block.at) };
    }

    fn resize_by_address(&mut self, block: usize, size: usize, align: usize) {
        let Some(block) = self.oracle.pick(block).filter(|_| H::KNOWS_BY_ADDRESS) else { return };
        let layout = Layout::from_size_align(size, align).unwrap();
        let before = (self.heap.map(), self.heap.brk().refused, brk_of(&mut self.heap));
        // SAFETY: the oracle knows it as live.
        match unsafe { self.heap.reallocate_by_ptr(block.at, layout) } {
            None => {
                let is_relabelled = H::Profile::GUARDED && align != block.layout.align();
                // A block of a slab may be shorter than all of the class that is as aligned, or
                // less aligned than all of a smaller class.
                let is_shorter = self.freed == Freed::Kept && align > block.layout.align();
                let least = if self.freed == Freed::Kept {
                    align.max(2 * size_of::<usize>())
                } else {
                    align
                };
                let must_move =
                    is_relabelled || is_shorter || !block.range().start.is_multiple_of(least);
                assert!(
                    size > block.layout.size() || must_move,
                    "{block:?} cannot become smaller: {layout:?}"
                );
                self.assert_refused(layout, before.1, &before.0, before.2);
                // SAFETY: as above: it was refused, so the block is as it was.
                let again = unsafe { self.heap.reallocate_by_ptr(block.at, layout) };
                assert_eq!(again, None, "{block:?} to {layout:?}: {AGAIN}");
            }
            Some(at) => {
                let block = self.oracle.moved(&block, at, layout);
                self.assert_ours(&block);
            }
        }
    }

    fn reserve(&mut self, bytes: usize) {
        if self.heap.reserve(bytes).is_err() {
            assert!(self.heap.reserve(bytes).is_err(), "reserve {bytes} bytes: {AGAIN}");
            let (map, layout) = (self.heap.map(), Layout::from_size_align(bytes, 1).unwrap());
            assert!(
                !H::RESERVES || !is_certain_to_fit::<H::Profile>(&map, layout),
                "{bytes} bytes cannot be reserved, but a free cell is large enough"
            );
            return;
        }
        let grants = self.heap.brk().grants();
        let layout = Layout::from_size_align(bytes, 1).unwrap();
        self.allocate(layout, false);
        // The break may be asked, and refuse, if only a search of all free cells finds one.
        assert_eq!(self.heap.brk().grants(), grants, "the break moved for what had been reserved");
    }

    fn flush(&mut self) {
        let brk = brk_of(&mut self.heap);
        self.heap.flush();
        assert_eq!(brk_of(&mut self.heap), brk, "a flush moved the break");
    }

    fn set_map_threshold(&mut self, bytes: usize) {
        self.heap.set_map_threshold(MapThreshold::adaptive(bytes, 2 * bytes));
    }

    /// Somebody else's memory becomes the heap's, if it is a cell long or touches what the heap
    /// has.
    fn add_region(&mut self, place: usize, part: Part, len: usize) {
        if !H::TAKES_REGIONS {
            return;
        }
        let (pieces, map) = (self.heap.brk().pieces(), self.heap.map());
        let Some((base, len)) = self.heap.brk().hand_over(place, part, len) else { return };
        let (start, end) = (base.addr(), base.addr() + len);
        // SAFETY: it is nobody else's from now on, and all the memory of a case is one piece.
        match unsafe { self.heap.add_region(base, len) } {
            // Head, fencepost and slack of what it touches can be gained beside it.
            Some(gained) => {
                assert!(gained <= len + 5 * (2 * size_of::<usize>()), "{gained} of {len} bytes")
            }
            None => {
                let touches = pieces.iter().any(|piece| piece.end == start || piece.start == end);
                let unit = 2 * size_of::<usize>();
                assert!(len == 0 || !touches && len < 5 * unit, "{len} bytes should do");
                assert_eq!(self.heap.map(), map, "a refused region changed the heap");
                self.heap.brk().take_back(len);
            }
        }
    }

    /// An allocation failed: the provider must have refused, no free cell is large enough, and the
    /// heap must be as it was. (If the break moved all the same, somebody else's movement was
    /// in the way, and the heap took in a region that did not suffice.)
    ///
    /// A heap that keeps freed blocks has given them up before, which frees more cells: what is
    /// live is as it was.
    fn assert_refused(
        &mut self,
        layout: Layout,
        refused: usize,
        map: &[(usize, usize, bool)],
        brk: *mut u8,
    ) {
        assert!(self.heap.brk().refused > refused, "no memory, but nobody refused");
        match self.freed {
            Freed::Merged if brk_of(&mut self.heap) != brk => {}
            Freed::Merged => assert_eq!(self.heap.map(), map, "a refused request changed the heap"),
            Freed::Kept => self.oracle.assert_all_filled(),
        }
        self.assert_nothing_fits(layout);
    }

    /// A request was refused: no free cell, and no free block of a slab, is certain to hold it.
    fn assert_nothing_fits(&self, layout: Layout) {
        assert!(
            !is_certain_to_fit::<H::Profile>(&self.heap.map(), layout),
            "no memory for {layout:?}, but a free cell is large enough"
        );
        let fitting = block_for::<H::Profile>(self.heap.cell_infos(), layout);
        assert_eq!(fitting, None, "no memory for {layout:?}, but a slab has a free block");
    }

    /// With nothing live, whatever the heap keeps: the largest request that a fresh heap grants is
    /// granted at once, or a smaller one.
    fn assert_as_good_as_fresh(&mut self) {
        let Some(brk) = self.heap.brk().fresh().filter(|_| H::IS_AS_GOOD_AS_FRESH) else { return };
        self.heap.brk().refuse_grow = false;
        let (chance, len) = (self.heap.brk().asked, brk.len());
        let kind = Request::ALL[chance % Request::ALL.len()];
        let is_granted_fresh = |size: &usize| {
            let brk = self.heap.brk().fresh().expect("it was alone before");
            kind.is_granted::<ZEROED, H>(&mut H::new(brk), *size)
        };
        let sizes = (0..64).map(|words| len.saturating_sub(words * size_of::<usize>()));
        let Some(most) = sizes.into_iter().find(is_granted_fresh) else { return };
        let size = if chance % 3 > 0 { most } else { chance * 977 % (most + 1) };
        let before = self.heap.map();
        assert!(
            kind.is_granted::<ZEROED, H>(&mut self.heap, size),
            "{kind:?} of {size} bytes was refused; a fresh heap grants {most}: {before:x?}"
        );
        self.verify();
    }

    /// Frees everything; then, when what is kept is given up, each region must be one free cell,
    /// and the largest of them must be had as one block.
    pub fn finish(&mut self) {
        self.oracle.assert_all_filled();
        // A look at everything, thirty times on the way.
        let each = self.oracle.blocks().count().div_ceil(30);
        while self.oracle.pick(0).is_some() {
            let left = self.oracle.blocks().count();
            self.free(left / 2);
            if left.is_multiple_of(each) {
                self.verify();
            }
        }
        self.assert_as_good_as_fresh();
        self.flush();
        self.heap.assert_one_free_cell_a_region();
        assert_eq!(self.heap.mappings(), 0, "with nothing live, mappings are left");
        self.heap.brk().refuse_grow = true;
        self.heap.refuse_maps(true);
        let all = Layout::from_size_align(self.heap.largest(), 1).unwrap();
        if all.size() > 0 {
            // SAFETY: the heap outlives the case.
            let at = unsafe { self.heap.allocate(all) }
                .expect("the largest free cell can be allocated at once");
            self.oracle.add(at, all);
            self.free(0);
        }
        self.verify();
        self.heap.brk().assert_foreign_untouched();
    }
}

/// Ways to ask for memory.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    Allocate,
    AllocateZeroed,
    /// Of a block that is a cell.
    Reallocate,
    Reserve,
}

impl Request {
    pub const ALL: [Self; 4] =
        [Self::Allocate, Self::AllocateZeroed, Self::Reallocate, Self::Reserve];

    /// Size of the block that is resized: larger than blocks of slabs are.
    pub const RESIZED: usize = 5_000;

    /// Returns whether a heap grants so many bytes at the first request. The block is freed.
    pub fn is_granted<const ZEROED: bool, H: Subject<ZEROED>>(
        self,
        heap: &mut H,
        size: usize,
    ) -> bool {
        // Mappings are granted whatever the heap is like.
        heap.set_map_threshold(MapThreshold::fixed(usize::MAX));
        heap.refuse_maps(true);
        let of = |size| Layout::from_size_align(size, 8).expect("less than there is");
        // SAFETY: the heap outlives the block, which is freed once, with its layout.
        unsafe {
            let block = match self {
                Self::Allocate => heap.allocate(of(size)),
                Self::AllocateZeroed => heap.allocate_zeroed(of(size)),
                Self::Reserve => return heap.reserve(size).is_ok(),
                Self::Reallocate => {
                    let Some(block) = heap.allocate(of(Self::RESIZED)) else { return false };
                    let resized = heap.reallocate(block, of(Self::RESIZED), size);
                    if resized.is_none() {
                        heap.deallocate(block, of(Self::RESIZED));
                    }
                    resized
                }
            };
            block.inspect(|&block| heap.deallocate(block, of(size))).is_some()
        }
    }
}

/// Whether a heap of these cells is certain to find a free one for a block: one that is an eighth
/// larger, if the alignment is that of all cells.
///
/// With coarse bins a search looks at sixteen cells of a class, and a class goes up to twice its
/// smallest size: if there are more free cells, a cell of a higher class fits. The last class
/// begins at 64 words.
pub fn is_certain_to_fit<P: Variant>(map: &[(usize, usize, bool)], layout: Layout) -> bool {
    let free = || map.iter().filter(|(.., free)| *free).map(|&(_, size, _)| size);
    let room = layout.size() + P::OVERHEAD + layout.size() / 8 + 4 * size_of::<usize>();
    let least = match free().count() {
        17.. if P::COARSE && room > 64 * size_of::<usize>() => return false,
        17.. if P::COARSE => room.next_power_of_two(),
        _ => room,
    };
    layout.align() <= 2 * size_of::<usize>() && free().any(|size| size >= least)
}

/// Asserts that a heap could not but refuse a request: no free cell, and no free block of a slab,
/// is certain to hold it.
pub fn assert_nothing_fits<B, M, P: Variant>(heap: &Heap<B, M, P>, layout: Layout) {
    let is_free = |cell: &CellInfo| matches!(cell.state, CellState::Free | CellState::Top);
    let map: Vec<_> = heap.cells().map(|cell| (cell.address, cell.size, is_free(&cell))).collect();
    assert!(!is_certain_to_fit::<P>(&map, layout), "refused {layout:?}: {}", heap.cells());
    assert_eq!(block_for::<P>(heap.cells(), layout), None, "refused {layout:?}");
}

/// Returns a slab that makes a request certain to succeed: one of its blocks is not live, is long
/// enough, and has a length that is a multiple of the alignment. A block of a slab serves only
/// layouts of slabs: those of some bytes, aligned to their size or to 128 bytes at most.
pub fn block_for<P: Variant>(
    cells: impl IntoIterator<Item = CellInfo>,
    layout: Layout,
) -> Option<CellInfo> {
    let (size, align) = (P::taken_for(layout.size()), layout.align());
    let is_for_slabs = size > 0 && (align <= 128 || size >= align);
    let fits = |cell: &CellInfo| match cell.state {
        CellState::Slab { live, total, block_size } => {
            live < total && block_size >= size && block_size.is_multiple_of(align)
        }
        _ => false,
    };
    cells.into_iter().filter(|_| is_for_slabs && P::LAYERED).find(fits)
}
