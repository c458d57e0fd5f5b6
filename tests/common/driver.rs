//! Runs a list of operations on a heap and an oracle side by side.

use core::alloc::Layout;

use brkalloc::{Heap, MapThreshold, SimpleHeap, Trim};

use super::lengths::OVERHEAD;
use super::ops::Op;
use super::oracle::{Block, Oracle};
use super::subject::{Subject, brk_of};
use super::test_break::{BadBreak, Part, TestBreak};
use super::test_map::{PAGE, TestMap};

/// What the front cache keeps of a heap that was told nothing.
pub const DEFAULT_CACHE_LIMIT: usize = (256 << 10) + (2 << 20);

/// What becomes of a block that is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// It is a free cell, or a part of one, at once.
    Merged,
    /// It may stay in the front cache, or in a run, until the heap is flushed.
    Kept,
}

/// A block of a heap that is not plain. With the feature `tiny` every heap is.
const FREED: Freed = if cfg!(feature = "tiny") { Freed::Merged } else { Freed::Kept };

/// A heap, its oracle, and the rules that every step must keep.
pub struct Driver<H, const ZEROED: bool = false> {
    pub heap: H,
    pub oracle: Oracle,
    freed: Freed,
    /// What the front cache may keep.
    cache_limit: usize,
}

impl<const ZEROED: bool> Driver<Heap<BadBreak<ZEROED>>, ZEROED> {
    /// A heap of cells, runs and a front cache.
    pub fn full(brk: BadBreak<ZEROED>) -> Self {
        Self::new(Heap::new(brk), FREED, DEFAULT_CACHE_LIMIT)
    }

    /// A heap of cells and runs.
    pub fn uncached(brk: BadBreak<ZEROED>) -> Self {
        let mut heap = Heap::new(brk);
        heap.set_cache_limit(0);
        Self::new(heap, FREED, 0)
    }

    /// A heap of cells.
    pub fn plain(brk: BadBreak<ZEROED>) -> Self {
        Self::new(Heap::plain(brk), Freed::Merged, 0)
    }
}

impl<const ZEROED: bool> Driver<Heap<BadBreak<ZEROED>, TestMap>, ZEROED> {
    /// A heap of cells, runs and a front cache that gives blocks of two pages and more mappings of
    /// their own.
    pub fn mapping(brk: BadBreak<ZEROED>) -> Self {
        let mut driver =
            Self::new(Heap::with_map(brk, TestMap::default()), FREED, DEFAULT_CACHE_LIMIT);
        driver.set_map_threshold(2 * PAGE);
        driver
    }
}

impl Driver<SimpleHeap<TestBreak>> {
    pub fn simple(brk: TestBreak) -> Self {
        Self::new(SimpleHeap::new(brk), Freed::Merged, 0)
    }
}

impl<const ZEROED: bool, H: Subject<ZEROED>> Driver<H, ZEROED> {
    fn new(heap: H, freed: Freed, cache_limit: usize) -> Self {
        Self { heap, oracle: Oracle::default(), freed, cache_limit }
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
        let (cached, most) = (self.heap.cached(), self.cache_limit);
        // A mapped block that became small for want of memory counts as a small one, though its
        // mapping is kept.
        let has_mapping = self.oracle.blocks().filter(|block| self.heap.is_mapped(block)).count()
            < self.heap.mappings();
        assert!(
            cached <= most || has_mapping,
            "the front cache keeps {cached} bytes, of {most} that it may"
        );
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
            Op::SetTrim { threshold } => {
                self.heap.set_trim(Trim { threshold, keep: threshold / 2 })
            }
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
            Op::CacheLimit { bytes } => self.set_cache_limit(bytes),
            Op::MapThreshold { bytes } => self.set_map_threshold(bytes),
            Op::RefuseMap(refuse) => self.heap.refuse_maps(refuse),
            Op::AddRegion { place, part, len } => self.add_region(place, part, len),
        }
    }

    fn allocate(&mut self, layout: Layout, zeroed: bool) {
        let before = (self.heap.map(), self.heap.brk().refused, brk_of(&mut self.heap));
        // SAFETY: the heap outlives the case.
        let block = if zeroed {
            // SAFETY: the heap outlives the case.
            unsafe { self.heap.allocate_zeroed(layout) }
        } else {
            // SAFETY: the heap outlives the case.
            unsafe { self.heap.allocate(layout) }
        };
        let Some(at) = block else {
            return self.assert_refused(layout, before.1, &before.0, before.2);
        };
        // C4: the break stays where it is if there is a free cell for the block; also if the block
        // then is one of a run, or the first of a new one. (What is kept of freed blocks is
        // no free cell: the break may move before the heap looks there.)
        if is_certain_to_fit(&before.0, layout) {
            assert_eq!(
                brk_of(&mut self.heap),
                before.2,
                "the break moved for {layout:?} although a free cell was large enough"
            );
        }
        let block =
            if zeroed { self.oracle.add_zeroed(at, layout) } else { self.oracle.add(at, layout) };
        self.assert_ours(&block);
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
                assert!(
                    !is_certain_to_fit(&self.heap.map(), layout),
                    "no memory for {layout:?}, but a free cell is large enough"
                );
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
                // Of a run, a block may be less aligned than all blocks of a smaller class are.
                let must_move = self.freed == Freed::Kept
                    && !block.range().start.is_multiple_of(2 * size_of::<usize>());
                assert!(
                    size > block.layout.size() || must_move,
                    "{block:?} cannot become smaller: {size} bytes"
                );
                self.assert_refused(layout, before.1, &before.0, before.2);
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
        unsafe { self.heap.deallocate_unsized(block.at) };
    }

    fn resize_by_address(&mut self, block: usize, size: usize, align: usize) {
        let Some(block) = self.oracle.pick(block).filter(|_| H::KNOWS_BY_ADDRESS) else { return };
        let layout = Layout::from_size_align(size, align).unwrap();
        let before = (self.heap.map(), self.heap.brk().refused, brk_of(&mut self.heap));
        // SAFETY: the oracle knows it as live.
        match unsafe { self.heap.reallocate_unsized(block.at, layout) } {
            None => {
                let is_relabelled = cfg!(feature = "checked") && align != block.layout.align();
                // Of a run, a block may be shorter than all of the class that is as aligned, or
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
            }
            Some(at) => {
                let block = self.oracle.moved(&block, at, layout);
                self.assert_ours(&block);
            }
        }
    }

    fn reserve(&mut self, bytes: usize) {
        if self.heap.reserve(bytes).is_ok() {
            let asked = self.heap.brk().asked;
            let layout = Layout::from_size_align(bytes, 1).unwrap();
            self.allocate(layout, false);
            assert_eq!(
                self.heap.brk().asked,
                asked,
                "the break was asked for what had been reserved"
            );
        }
    }

    fn flush(&mut self) {
        let brk = brk_of(&mut self.heap);
        self.heap.flush();
        assert_eq!(self.heap.cached(), 0, "the front cache keeps something from a flush");
        assert_eq!(brk_of(&mut self.heap), brk, "a flush moved the break");
    }

    fn set_map_threshold(&mut self, bytes: usize) {
        self.heap.set_map_threshold(MapThreshold { bytes, adapts_up_to: 2 * bytes });
    }

    fn set_cache_limit(&mut self, bytes: usize) {
        self.heap.set_cache_limit(bytes);
        if self.freed == Freed::Kept {
            self.cache_limit = bytes;
        }
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
            // Head, fence and slack of what it touches can be gained beside it.
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
            Freed::Kept => {
                self.oracle.assert_all_filled();
                assert_eq!(self.heap.cached(), 0, "no memory, but the front cache keeps some");
            }
        }
        assert!(
            !is_certain_to_fit(&self.heap.map(), layout),
            "no memory for {layout:?}, but a free cell is large enough"
        );
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

/// Whether a heap of these cells is certain to find a free one for a block: one that is an eighth
/// larger, if the alignment is that of all cells.
///
/// With the feature `tiny`, where it looks at sixteen cells of a class, and a class goes up to
/// twice its smallest size: if there are more free ones, a cell of a higher class. The last class
/// begins at 1024 words.
fn is_certain_to_fit(map: &[(usize, usize, bool)], layout: Layout) -> bool {
    let free = || map.iter().filter(|(.., free)| *free).map(|&(_, size, _)| size);
    let room = layout.size() + OVERHEAD + layout.size() / 8 + 4 * size_of::<usize>();
    let least = match free().count() {
        17.. if cfg!(feature = "tiny") && room > 1024 * size_of::<usize>() => return false,
        17.. if cfg!(feature = "tiny") => room.next_power_of_two(),
        _ => room,
    };
    layout.align() <= 2 * size_of::<usize>() && free().any(|size| size >= least)
}
