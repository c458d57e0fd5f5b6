//! Heap in a yard with its live blocks, and what may happen to them.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use brkalloc::{CellState, Heap, NoMap};

use super::yard::{State, UNUSED, Yard, YardBreak};
use crate::common::driver::assert_nothing_fits;
use crate::common::profile::{Variant, WORD};

/// Sizes of blocks, in bytes: two of small slabs, one of pages, and one that is too long for a slab
/// in a world.
pub const SIZES: [usize; 4] = [24, 64, 256, 700];

/// Alignments of blocks: the usual one, and one that cells do not have.
pub const ALIGNS: [usize; 2] = [8, 64];

/// Maximum size of a block, in bytes.
const LONGEST: usize = 1400;

/// Maximum number of live blocks of which each is freed and resized. A world with more of them has
/// slabs from the start.
const MOST_CHOSEN: usize = 7;

/// Contents of blocks: a block contains those from one of the first 256 places on.
static CONTENTS: [u8; 256 + LONGEST] = {
    let mut contents = [0; 256 + LONGEST];
    let mut index = 0;
    while index < contents.len() {
        contents[index] = (index * 7 % 256) as u8;
        index += 1;
    }
    contents
};

/// Operation of a program. Blocks are named by their number in the order of addresses.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Allocate { size: u8, align: u8 },
    Free { block: u8 },
    Resize { block: u8, size: u8 },
    RefuseGrowth(bool),
    MoveForeign,
    Flush,
}

/// Live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub offset: usize,
    pub layout: Layout,
}

impl Block {
    /// Returns the contents, which depend on the block alone: worlds in which the same blocks came
    /// in another order are alike.
    fn contents(&self) -> &'static [u8] {
        let first = (self.offset / 8 * 31 + self.layout.size()) % 256;
        &CONTENTS[first..][..self.layout.size()]
    }
}

pub type WorldHeap<'a, P> = Heap<YardBreak<'a>, NoMap, P>;

/// Heap in a yard, and its live blocks in the order of addresses.
pub struct World<'a, P: Variant> {
    pub yard: &'a Yard,
    heap: Box<MaybeUninit<WorldHeap<'a, P>>>,
    pub live: Vec<Block>,
}

/// World as it was at some time.
pub struct Snapshot<'a, P: Variant> {
    heap: Box<MaybeUninit<WorldHeap<'a, P>>>,
    memory: Vec<u8>,
    state: State,
    live: Vec<Block>,
}

impl<'a, P: Variant> World<'a, P> {
    pub fn new(yard: &'a Yard) -> Self {
        let mut heap = Box::new(MaybeUninit::zeroed());
        heap.write(Heap::with_profile(YardBreak(yard), NoMap));
        Self { yard, heap, live: Vec::new() }
    }

    pub fn heap(&self) -> &WorldHeap<'a, P> {
        // SAFETY: `new` wrote the heap.
        unsafe { self.heap.assume_init_ref() }
    }

    pub fn heap_mut(&mut self) -> &mut WorldHeap<'a, P> {
        // SAFETY: `new` wrote the heap.
        unsafe { self.heap.assume_init_mut() }
    }

    pub fn save(&self) -> Snapshot<'a, P> {
        let mut snapshot = Snapshot {
            heap: Box::new(MaybeUninit::zeroed()),
            memory: Vec::new(),
            state: self.yard.state(),
            live: Vec::new(),
        };
        self.save_to(&mut snapshot);
        snapshot
    }

    /// [`save`](World::save) without new memory.
    pub fn save_to(&self, snapshot: &mut Snapshot<'a, P>) {
        // SAFETY: a heap is a value without a destructor, and only one of the two is in use.
        unsafe { ptr::copy_nonoverlapping(&*self.heap, &mut *snapshot.heap, 1) };
        snapshot.state = self.yard.state();
        snapshot.memory.clear();
        snapshot.memory.extend_from_slice(self.yard.bytes(0, snapshot.state.used));
        snapshot.live.clone_from(&self.live);
    }

    /// Makes the world what it was.
    pub fn restore(&mut self, snapshot: &Snapshot<'a, P>) {
        // SAFETY: as in `save_to`.
        unsafe { ptr::copy_nonoverlapping(&*snapshot.heap, &mut *self.heap, 1) };
        self.yard.restore(snapshot.state, &snapshot.memory);
        self.live.clone_from(&snapshot.live);
    }

    /// Returns the blocks that may be freed and resized: all, or, if they are many, the lowest, the
    /// highest, and two at either end of the slabs.
    fn chosen(&self) -> Vec<u8> {
        let blocks = self.live.len();
        if blocks <= MOST_CHOSEN {
            return (0..blocks as u8).collect();
        }
        let slabs: Vec<_> = self
            .heap()
            .cells()
            .filter(|cell| matches!(cell.state, CellState::Slab { .. }))
            .map(|cell| (self.yard.offset_of(cell.address), cell.size))
            .map(|(start, len)| start..start + len)
            .collect();
        let lies_in_slab =
            |&n: &usize| slabs.iter().any(|slab| slab.contains(&self.live[n].offset));
        let of_slabs: Vec<_> = (0..blocks).filter(lies_in_slab).collect();
        let (first, last) = (of_slabs.iter().take(2), of_slabs.iter().rev().take(2));
        let mut chosen: Vec<_> = first.chain(last).copied().chain([0, blocks - 1]).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen.into_iter().map(|n| u8::try_from(n).expect("few blocks")).collect()
    }

    /// Calls `visit` with each action that may follow.
    pub fn for_each_action(&self, mut visit: impl FnMut(Action)) {
        for size in 0..SIZES.len() as u8 {
            (0..ALIGNS.len() as u8).for_each(|align| visit(Action::Allocate { size, align }));
        }
        for block in self.chosen() {
            visit(Action::Free { block });
            let others = (0..SIZES.len() as u8).filter(|&size| {
                SIZES[usize::from(size)] != self.live[usize::from(block)].layout.size()
            });
            others.for_each(|size| visit(Action::Resize { block, size }));
        }
        visit(Action::RefuseGrowth(!self.yard.state().refuses));
        visit(Action::Flush);
        if self.yard.may_move_foreign() {
            visit(Action::MoveForeign);
        }
    }

    pub fn step(&mut self, action: Action) {
        match action {
            Action::Allocate { size, align } => {
                let (size, align) = (SIZES[usize::from(size)], ALIGNS[usize::from(align)]);
                self.allocate(Layout::from_size_align(size, align).unwrap());
            }
            Action::Free { block } => self.free(usize::from(block)),
            Action::Resize { block, size } => {
                self.resize(usize::from(block), SIZES[usize::from(size)]);
            }
            Action::RefuseGrowth(refuses) => self.yard.refuse(refuses),
            Action::MoveForeign => self.yard.move_foreign(),
            Action::Flush => self.heap_mut().flush(),
        }
    }

    /// Allocates a block. A refused request is refused again.
    pub fn allocate(&mut self, layout: Layout) -> bool {
        let refused = self.yard.state().refused;
        // SAFETY: the yard's memory outlives the heap.
        let Some(at) = (unsafe { self.heap_mut().allocate(layout) }) else {
            self.assert_refused(layout, refused);
            // SAFETY: as above.
            let again = unsafe { self.heap_mut().allocate(layout) };
            assert_eq!(again, None, "{layout:?}: refused, and granted the second time");
            return false;
        };
        self.add(at, layout);
        true
    }

    /// Asserts that a request was refused because memory is short: the break has refused to move,
    /// and nothing is certain to hold it.
    fn assert_refused(&self, layout: Layout, refused: usize) {
        assert!(self.yard.state().refused > refused, "{layout:?}: no memory, nobody refused");
        assert_nothing_fits(self.heap(), layout);
    }

    /// Notes a block: it is aligned, granted and disjoint from all others.
    fn add(&mut self, at: NonNull<u8>, layout: Layout) {
        let (offset, used) = (self.yard.offset_of(at.addr().get()), self.yard.state().used);
        assert!(at.addr().get().is_multiple_of(layout.align()), "{at:?} for {layout:?}");
        assert!(offset < used && layout.size() <= used - offset, "{at:?} is not granted");
        let index = self.live.partition_point(|other| other.offset < offset);
        let below =
            index.checked_sub(1).map_or(0, |i| self.live[i].offset + self.live[i].layout.size());
        let above = self.live.get(index).map_or(self.yard.len, |other| other.offset);
        assert!(below <= offset && offset + layout.size() <= above, "a block at {offset} overlaps");
        let block = Block { offset, layout };
        // SAFETY: the block is live and that long.
        unsafe {
            at.copy_from_nonoverlapping(NonNull::from(block.contents()).cast(), layout.size())
        };
        self.live.insert(index, block);
    }

    /// Asserts that the first bytes of what was a block are as they were written.
    fn assert_filled(&self, block: &Block, at: usize, len: usize) {
        let (found, written) = (self.yard.bytes(at, len), &block.contents()[..len]);
        assert_eq!(found, written, "the contents of {block:?}, now at {at}");
    }

    /// Asserts that live blocks and foreign memory are as they were written.
    pub fn assert_all_filled(&self) {
        for block in &self.live {
            self.assert_filled(block, block.offset, block.layout.size());
        }
        self.yard.assert_foreign_untouched();
    }

    pub fn free(&mut self, index: usize) {
        let block = self.live.remove(index);
        self.assert_filled(&block, block.offset, block.layout.size());
        let at = self.yard.at(block.offset);
        // SAFETY: the block is live and has this layout. What is left in it does not tell worlds
        // apart.
        unsafe {
            at.write_bytes(UNUSED, block.layout.size());
            self.heap_mut().deallocate(at, block.layout);
        }
    }

    /// Resizes a block. A refused request is refused again, and leaves the block as it was.
    fn resize(&mut self, index: usize, size: usize) {
        let (block, refused) = (self.live[index], self.yard.state().refused);
        let at = self.yard.at(block.offset);
        let layout = Layout::from_size_align(size, block.layout.align()).unwrap();
        // SAFETY: the block is live and has this layout.
        match unsafe { self.heap_mut().reallocate(at, block.layout, size) } {
            Some(now) => {
                let offset = self.yard.offset_of(now.addr().get());
                self.assert_filled(&block, offset, size.min(block.layout.size()));
                self.live.remove(index);
                self.add(now, layout);
            }
            None => {
                self.assert_refused(layout, refused);
                // SAFETY: as above: the block is as it was.
                let again = unsafe { self.heap_mut().reallocate(at, block.layout, size) };
                assert_eq!(again, None, "{block:?} to {size} bytes: granted the second time");
            }
        }
    }

    /// Asserts every invariant that can be seen.
    pub fn verify(&self) {
        if let Err(corruption) = self.heap().check() {
            panic!("{corruption}");
        }
        self.assert_all_filled();
    }

    /// Returns the words of the heap's state.
    pub fn words(&self) -> &[usize] {
        let heap = core::hint::black_box((&raw const *self.heap).cast());
        // SAFETY: `new` zeroed the box before it wrote the heap. Padding may be any bytes, and the
        // compiler does not know what was written.
        unsafe { core::slice::from_raw_parts(heap, size_of::<WorldHeap<P>>() / WORD) }
    }
}
