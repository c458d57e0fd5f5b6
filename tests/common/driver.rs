//! Runs a list of operations on a heap and an oracle side by side.

use std::alloc::Layout;

use brkalloc::Trim;
use proptest::prelude::*;

use super::oracle::Oracle;
use super::subject::{Subject, brk_of};
use super::test_break::BadBreak;

/// One step of a case. Blocks are named by a number that the oracle counts round and round.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Allocate { size: usize, align: usize, zeroed: bool },
    Free { block: usize },
    Resize { block: usize, size: usize },
    Reserve { bytes: usize },
    Trim { keep: usize },
    SetTrim { threshold: usize },
    ForeignUp { bytes: usize },
    ForeignUndo,
    RefuseGrow(bool),
    RefuseShrink(bool),
    Surplus { bytes: usize },
    Granule { log: u32 },
}

/// Sizes that real programs ask for: mostly small, some large, now and then on the edge of something.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..300_usize,
        3 => (0..13_u32, 0..64_usize).prop_map(|(log, more)| (1 << log) + more),
        1 => 0..100_000_usize,
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..5_u32, 1 => 5..14_u32].prop_map(|log| 1 << log)
}

/// Everything that a heap and the world around it may do.
pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => (size(), align(), any::<bool>()).prop_map(|(size, align, zeroed)| Op::Allocate { size, align, zeroed }),
        20 => any::<usize>().prop_map(|block| Op::Free { block }),
        12 => (any::<usize>(), size()).prop_map(|(block, size)| Op::Resize { block, size }),
        1 => (0..40_000_usize).prop_map(|bytes| Op::Reserve { bytes }),
        2 => (0..20_000_usize).prop_map(|keep| Op::Trim { keep }),
        1 => (0..60_000_usize).prop_map(|threshold| Op::SetTrim { threshold }),
        2 => (1..9_000_usize).prop_map(|bytes| Op::ForeignUp { bytes }),
        1 => Just(Op::ForeignUndo),
        1 => any::<bool>().prop_map(Op::RefuseGrow),
        1 => any::<bool>().prop_map(Op::RefuseShrink),
        1 => (0..10_000_usize).prop_map(|bytes| Op::Surplus { bytes }),
        1 => (0..13_u32).prop_map(|log| Op::Granule { log }),
    ]
}

/// A heap, its oracle, and the rules that every step must keep.
pub struct Driver<H, const ZEROED: bool = false> {
    pub heap: H,
    pub oracle: Oracle,
}

impl<const ZEROED: bool, H: Subject<ZEROED>> Driver<H, ZEROED> {
    pub fn new(brk: BadBreak<ZEROED>) -> Self {
        Self { heap: H::new(brk), oracle: Oracle::default() }
    }

    pub fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(*op);
            self.heap.verify(&self.oracle);
        }
        self.finish();
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Allocate { size, align, zeroed } => self.allocate(Layout::from_size_align(size, align).unwrap(), zeroed),
            Op::Free { block } => self.free(block),
            Op::Resize { block, size } => self.resize(block, size),
            Op::Reserve { bytes } => self.reserve(bytes),
            Op::Trim { keep } => self.heap.trim(keep),
            Op::SetTrim { threshold } => self.heap.set_trim(Trim { threshold, keep: threshold / 2 }),
            Op::ForeignUp { bytes } => self.heap.brk().foreign_up(bytes),
            Op::ForeignUndo => self.heap.brk().foreign_undo(),
            Op::RefuseGrow(refuse) => self.heap.brk().refuse_grow = refuse,
            Op::RefuseShrink(refuse) => self.heap.brk().refuse_shrink = refuse,
            Op::Surplus { bytes } => self.heap.brk().surplus = bytes,
            Op::Granule { log } => self.heap.brk().granule = 1 << log,
        }
    }

    fn allocate(&mut self, layout: Layout, zeroed: bool) {
        let before = (self.heap.map(), self.heap.brk().refused, brk_of(&mut self.heap));
        // SAFETY: the heap outlives the case.
        let block = if zeroed { unsafe { self.heap.allocate_zeroed(layout) } } else { unsafe { self.heap.allocate(layout) } };
        let Some(at) = block else {
            return self.assert_refused(before.1, &before.0, before.2);
        };
        // C4: the break stays where it is if a freed cell is certain to fit (an eighth larger, and aligned as all cells are).
        let room = layout.size() + layout.size() / 8 + 4 * size_of::<usize>();
        if layout.align() <= 2 * size_of::<usize>() && before.0.iter().any(|&(_, size, free)| free && size >= room) {
            assert_eq!(brk_of(&mut self.heap), before.2, "the break moved for {layout:?} although a free cell was large enough");
        }
        let block = if zeroed { self.oracle.add_zeroed(at, layout) } else { self.oracle.add(at, layout) };
        assert!(self.heap.brk().owns(block.range()), "{block:?} lies outside of what was granted");
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
            None => self.assert_refused(before.1, &before.0, before.2),
            Some(at) => {
                let block = self.oracle.moved(&block, at, layout);
                assert!(self.heap.brk().owns(block.range()), "{block:?} lies outside of what was granted");
            }
        }
    }

    fn reserve(&mut self, bytes: usize) {
        if self.heap.reserve(bytes).is_ok() {
            let asked = self.heap.brk().asked;
            let layout = Layout::from_size_align(bytes, 1).unwrap();
            self.allocate(layout, false);
            assert_eq!(self.heap.brk().asked, asked, "the break was asked for what had been reserved");
        }
    }

    /// An allocation failed: the provider must have refused, and the heap must be as it was. (If the break moved all the same, somebody
    /// else's movement was in the way, and the heap took in a region that did not suffice.)
    fn assert_refused(&mut self, refused: usize, map: &[(usize, usize, bool)], brk: *mut u8) {
        assert!(self.heap.brk().refused > refused, "no memory, but nobody refused");
        if brk_of(&mut self.heap) == brk {
            assert_eq!(self.heap.map(), map, "a refused request changed the heap");
        }
    }

    /// Frees everything; then each region must be one free cell, and the largest of them must be had as one block.
    pub fn finish(&mut self) {
        self.oracle.assert_all_filled();
        while self.oracle.pick(0).is_some() {
            self.free(self.oracle.blocks().count() / 2);
            self.heap.verify(&self.oracle);
        }
        self.heap.assert_one_free_cell_a_region();
        self.heap.brk().refuse_grow = true;
        let all = Layout::from_size_align(self.heap.largest(), 1).unwrap();
        if all.size() > 0 {
            // SAFETY: the heap outlives the case.
            let at = unsafe { self.heap.allocate(all) }.expect("the largest free cell can be allocated at once");
            self.oracle.add(at, all);
            self.free(0);
        }
        self.heap.brk().assert_foreign_untouched();
    }
}
