//! Small worlds: all short programs, each on a heap of a few KiB. Worlds that are alike count once.
//!
//! ```text
//!   start ──► each action ──► worlds of depth 1 ──► each action ──► worlds of depth 2 ──► …
//!                                  │
//!                                  └ a new one: verified, then all is freed, and the heap must be
//!                                    as good as a fresh one
//! ```
//!
//! The search goes by depth, so the first program that fails is a shortest one.
//!
//! | variable | means |
//! |---|---|
//! | `WORLDS_DEPTH` | number of actions of the longest programs; the default depends on the profile |
//! | `WORLDS_SECONDS` | time after which a search ends in the middle of a depth |

host_only!("a search for its own sake, with sets of a million worlds");

use core::alloc::Layout;
use core::any::{TypeId, type_name};
use core::cell::{Cell, RefCell};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::{self, NonNull};
use std::collections::HashSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use brkalloc::inner::Miniature;
use brkalloc::{Break, BreakError, CellInfo, CellState, Heap, NoMap};

use crate::common::case;
use crate::common::driver::{block_for, is_certain_to_fit};
use crate::common::platform::{Memory, host_only};
use crate::common::profile::{Variant, WORD};

/// Distance of the break's first address from a multiple of 64 KiB, in bytes.
const SKEW: usize = 5 * WORD;

/// Sizes of blocks, in bytes: two of small slabs, one of pages, and one that is too long for a slab
/// in a world.
const SIZES: [usize; 4] = [24, 64, 256, 700];

/// Alignments of blocks: the usual one, and one that cells do not have.
const ALIGNS: [usize; 2] = [8, 64];

/// Distance by which foreign code moves the break up, in bytes.
const FOREIGN_STEP: usize = 72;

/// Maximum number of foreign movements in a world.
const MOST_FOREIGN: usize = 2;

/// Maximum number of live blocks of which each is freed and resized. A world with more of them has
/// slabs from the start.
const MOST_CHOSEN: usize = 6;

/// Contents of new grants, of foreign memory, and of freed blocks.
const DIRTY: u8 = 0xA5;
const FOREIGN: u8 = 0xEE;
const FREED: u8 = 0xDD;

/// Memory of a world, and the state of its break.
struct Yard {
    memory: Memory,
    len: usize,
    used: Cell<usize>,
    refuses: Cell<bool>,
    refused: Cell<usize>,
    foreign: RefCell<Vec<Range<usize>>>,
}

impl Yard {
    fn new(len: usize) -> Self {
        Self {
            memory: Memory::new(len, SKEW),
            len,
            used: Cell::new(0),
            refuses: Cell::new(false),
            refused: Cell::new(0),
            foreign: RefCell::new(Vec::new()),
        }
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len);
        // SAFETY: the memory has `len` bytes.
        unsafe { self.memory.base().add(offset) }
    }

    /// Moves the break up over new memory, which contains `byte`.
    fn advance(&self, by: usize, byte: u8) -> NonNull<u8> {
        let start = self.at(self.used.get());
        // SAFETY: the memory has `by` bytes more: both callers see to it.
        unsafe { start.write_bytes(byte, by) };
        self.used.set(self.used.get() + by);
        start
    }

    fn move_foreign(&self) {
        let start = self.used.get();
        self.advance(FOREIGN_STEP, FOREIGN);
        self.foreign.borrow_mut().push(start..start + FOREIGN_STEP);
    }

    fn may_move_foreign(&self) -> bool {
        self.foreign.borrow().len() < MOST_FOREIGN && self.used.get() + FOREIGN_STEP <= self.len
    }

    fn assert_foreign_untouched(&self) {
        for offset in self.foreign.borrow().iter().cloned().flatten() {
            // SAFETY: `move_foreign` wrote the byte.
            let found = unsafe { self.at(offset).read() };
            assert_eq!(found, FOREIGN, "byte {offset} is somebody else's and was overwritten");
        }
    }
}

/// Break in a yard.
struct YardBreak<'a>(&'a Yard);

// SAFETY: grants are disjoint parts of the yard's memory, which outlives this value.
unsafe impl Break for YardBreak<'_> {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        128
    }

    fn end(&self) -> *mut u8 {
        self.0.at(self.0.used.get()).as_ptr()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        if self.0.refuses.get() || by > self.0.len - self.0.used.get() {
            self.0.refused.set(self.0.refused.get() + 1);
            return Err(BreakError::OutOfMemory);
        }
        Ok(NonNull::slice_from_raw_parts(self.0.advance(by, DIRTY), by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let floor = self.0.foreign.borrow().last().map_or(0, |last| last.end);
        let used = self.0.used.get();
        assert!(by <= used - floor, "the heap gives back {by} bytes of {floor}..{used}");
        self.0.used.set(used - by);
        Ok(())
    }
}

/// Operation of a program. Blocks are named by their number in the order of addresses.
#[derive(Clone, Copy, Debug)]
enum Action {
    Allocate { size: u8, align: u8 },
    Free { block: u8 },
    Resize { block: u8, size: u8 },
    RefuseGrowth(bool),
    MoveForeign,
    Flush,
}

/// Live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    offset: usize,
    layout: Layout,
}

impl Block {
    /// Returns the byte at a place, which depends on the block alone: worlds in which the same
    /// blocks came in another order are alike.
    fn byte(&self, index: usize) -> u8 {
        (self.offset / 8 * 31 + self.layout.size() + index * 7) as u8
    }
}

type WorldHeap<'a, P> = Heap<YardBreak<'a>, NoMap, P>;

/// Heap in a yard, and its live blocks in the order of addresses.
struct World<'a, P: Variant> {
    yard: &'a Yard,
    heap: Box<MaybeUninit<WorldHeap<'a, P>>>,
    live: Vec<Block>,
}

/// World as it was at some time.
struct Snapshot<'a, P: Variant> {
    heap: Box<MaybeUninit<WorldHeap<'a, P>>>,
    memory: Vec<u8>,
    foreign: Vec<Range<usize>>,
    refuses: bool,
    live: Vec<Block>,
}

impl<'a, P: Variant> World<'a, P> {
    fn new(yard: &'a Yard) -> Self {
        let mut heap = Box::new(MaybeUninit::zeroed());
        heap.write(Heap::with_profile(YardBreak(yard), NoMap));
        Self { yard, heap, live: Vec::new() }
    }

    fn heap(&self) -> &WorldHeap<'a, P> {
        // SAFETY: `new` wrote the heap.
        unsafe { self.heap.assume_init_ref() }
    }

    fn heap_mut(&mut self) -> &mut WorldHeap<'a, P> {
        // SAFETY: `new` wrote the heap.
        unsafe { self.heap.assume_init_mut() }
    }

    fn save(&self) -> Snapshot<'a, P> {
        let memory = self.granted().collect();
        let mut heap = Box::new(MaybeUninit::zeroed());
        // SAFETY: a heap is a value without a destructor, and only one of the two is in use.
        unsafe { ptr::copy_nonoverlapping(&*self.heap, &mut *heap, 1) };
        Snapshot {
            heap,
            memory,
            foreign: self.yard.foreign.borrow().clone(),
            refuses: self.yard.refuses.get(),
            live: self.live.clone(),
        }
    }

    /// Returns the bytes below the break.
    fn granted(&self) -> impl Iterator<Item = u8> {
        // SAFETY: grants were written.
        (0..self.yard.used.get()).map(|offset| unsafe { self.yard.at(offset).read() })
    }

    /// Makes the world what it was.
    fn restore(&mut self, snapshot: &Snapshot<'a, P>) {
        // SAFETY: as in `save`. The yard is longer than what was granted.
        unsafe {
            ptr::copy_nonoverlapping(&*snapshot.heap, &mut *self.heap, 1);
            let start = self.yard.at(0).as_ptr();
            ptr::copy_nonoverlapping(snapshot.memory.as_ptr(), start, snapshot.memory.len());
        }
        self.yard.used.set(snapshot.memory.len());
        self.yard.refuses.set(snapshot.refuses);
        self.yard.foreign.borrow_mut().clone_from(&snapshot.foreign);
        self.live.clone_from(&snapshot.live);
    }

    /// Returns the blocks that may be freed and resized: all, or, if they are many, the lowest, the
    /// highest, and two at either end of the slabs.
    fn chosen(&self) -> Vec<u8> {
        let blocks = self.live.len();
        if blocks <= MOST_CHOSEN {
            return (0..blocks as u8).collect();
        }
        let runs: Vec<_> = self
            .heap()
            .cells()
            .filter(|cell| matches!(cell.state, CellState::Slab { .. }))
            .map(|cell| cell.address..cell.address + cell.size)
            .collect();
        let lies_in_run = |&n: &usize| {
            let address = self.yard.at(self.live[n].offset).addr().get();
            runs.iter().any(|run| run.contains(&address))
        };
        let of_runs: Vec<_> = (0..blocks).filter(lies_in_run).collect();
        let (first, last) = (of_runs.iter().take(2), of_runs.iter().rev().take(2));
        let mut chosen: Vec<_> = first.chain(last).copied().chain([0, blocks - 1]).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen.into_iter().map(|n| u8::try_from(n).expect("few blocks")).collect()
    }

    /// Calls `visit` with each action that may follow.
    fn for_each_action(&self, mut visit: impl FnMut(Action)) {
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
        visit(Action::RefuseGrowth(!self.yard.refuses.get()));
        visit(Action::Flush);
        if self.yard.may_move_foreign() {
            visit(Action::MoveForeign);
        }
    }

    fn step(&mut self, action: Action) {
        match action {
            Action::Allocate { size, align } => {
                let (size, align) = (SIZES[usize::from(size)], ALIGNS[usize::from(align)]);
                self.allocate(Layout::from_size_align(size, align).unwrap());
            }
            Action::Free { block } => self.free(usize::from(block)),
            Action::Resize { block, size } => {
                self.resize(usize::from(block), SIZES[usize::from(size)]);
            }
            Action::RefuseGrowth(refuses) => self.yard.refuses.set(refuses),
            Action::MoveForeign => self.yard.move_foreign(),
            Action::Flush => self.heap_mut().flush(),
        }
    }

    /// Allocates a block. A refused request is refused again.
    fn allocate(&mut self, layout: Layout) -> bool {
        let refused = self.yard.refused.get();
        // SAFETY: the yard's memory outlives the heap.
        let Some(at) = (unsafe { self.heap_mut().allocate(layout) }) else {
            assert!(self.yard.refused.get() > refused, "{layout:?}: no memory, nobody refused");
            // SAFETY: as above.
            let again = unsafe { self.heap_mut().allocate(layout) };
            self.assert_nothing_fits(layout);
            assert_eq!(again, None, "{layout:?}: refused, and granted the second time");
            return false;
        };
        self.add(at, layout);
        true
    }

    /// A request was refused: nothing that is free is certain to hold it.
    fn assert_nothing_fits(&self, layout: Layout) {
        let is_free = |cell: &CellInfo| matches!(cell.state, CellState::Free | CellState::Top);
        let map = |cell: CellInfo| (cell.address, cell.size, is_free(&cell));
        let map: Vec<_> = self.heap().cells().map(map).collect();
        assert!(!is_certain_to_fit::<P>(&map, layout), "refused {layout:?}: {map:x?}");
        assert_eq!(block_for::<P>(self.heap().cells(), layout), None, "refused {layout:?}");
    }

    /// Notes a block: it is aligned, granted and disjoint from all others.
    fn add(&mut self, at: NonNull<u8>, layout: Layout) {
        let offset = at.addr().get().wrapping_sub(self.yard.at(0).addr().get());
        assert!(at.addr().get().is_multiple_of(layout.align()), "{at:?} for {layout:?}");
        assert!(offset < self.yard.used.get(), "{at:?} is not granted");
        assert!(layout.size() <= self.yard.used.get() - offset, "{at:?} is not granted");
        let index = self.live.partition_point(|other| other.offset < offset);
        let below =
            index.checked_sub(1).map_or(0, |i| self.live[i].offset + self.live[i].layout.size());
        let above = self.live.get(index).map_or(self.yard.len, |other| other.offset);
        assert!(below <= offset && offset + layout.size() <= above, "a block at {offset} overlaps");
        let block = Block { offset, layout };
        for index in 0..layout.size() {
            // SAFETY: the block is live and that long.
            unsafe { at.add(index).write(block.byte(index)) };
        }
        self.live.insert(index, block);
    }

    /// Asserts that the first bytes of what was a block are as they were written.
    fn assert_filled(&self, block: &Block, at: usize, len: usize) {
        for index in 0..len {
            // SAFETY: memory of the yard, which `add` wrote, or the heap when it moved the block.
            let found = unsafe { self.yard.at(at + index).read() };
            assert_eq!(found, block.byte(index), "byte {index} of {block:?}, now at {at}");
        }
    }

    fn free(&mut self, index: usize) {
        let block = self.live.remove(index);
        self.assert_filled(&block, block.offset, block.layout.size());
        let at = self.yard.at(block.offset);
        // SAFETY: the block is live and has this layout. What is left in it does not tell worlds
        // apart.
        unsafe {
            at.write_bytes(FREED, block.layout.size());
            self.heap_mut().deallocate(at, block.layout);
        }
    }

    /// Resizes a block. A refused request is refused again, and leaves the block as it was.
    fn resize(&mut self, index: usize, size: usize) {
        let (block, refused) = (self.live[index], self.yard.refused.get());
        let at = self.yard.at(block.offset);
        let layout = Layout::from_size_align(size, block.layout.align()).unwrap();
        // SAFETY: the block is live and has this layout.
        match unsafe { self.heap_mut().reallocate(at, block.layout, size) } {
            Some(now) => {
                let offset = now.addr().get() - self.yard.at(0).addr().get();
                self.assert_filled(&block, offset, size.min(block.layout.size()));
                self.live.remove(index);
                self.add(now, layout);
            }
            None => {
                assert!(self.yard.refused.get() > refused, "{layout:?}: no memory, nobody refused");
                // SAFETY: as above: the block is as it was.
                let again = unsafe { self.heap_mut().reallocate(at, block.layout, size) };
                self.assert_nothing_fits(layout);
                assert_eq!(again, None, "{block:?} to {size} bytes: granted the second time");
            }
        }
    }

    /// Asserts every invariant that can be seen.
    fn verify(&self) {
        if let Err(corruption) = self.heap().check() {
            panic!("{corruption}");
        }
        for block in &self.live {
            self.assert_filled(block, block.offset, block.layout.size());
        }
        assert_eq!(self.heap().stats().live_cells, self.live.len(), "live blocks");
        self.yard.assert_foreign_untouched();
    }

    /// Frees everything, in the order of addresses or against it. The heap is as good as a fresh
    /// one then, and after a flush each region is one free cell.
    fn drain(&mut self, chance: u64, fresh: &Fresh) {
        while !self.live.is_empty() {
            self.free(if chance % 2 == 0 { 0 } else { self.live.len() - 1 });
        }
        if self.yard.foreign.borrow().is_empty() {
            self.yard.refuses.set(false);
            let request = fresh.request(chance >> 1);
            assert!(request.is_granted(self), "{request:?} is granted by a fresh heap");
        }
        self.heap_mut().flush();
        self.verify();
        let states: Vec<_> = self.heap().cells().map(|cell| cell.state).collect();
        for region in states.split(|state| *state == CellState::Hole) {
            let is_free = matches!(region, [] | [CellState::Free | CellState::Top]);
            assert!(is_free, "with nothing live: {states:?}");
        }
    }

    /// Returns a number that is the same for worlds that are alike: of the memory counts what a
    /// heap may read.
    fn digest(&self, peak: &[usize]) -> u64 {
        let mut digest = Digest(0);
        let words = size_of::<WorldHeap<P>>() / WORD;
        let heap = (&raw const *self.heap).cast::<usize>();
        for index in (0..words).filter(|index| !peak.contains(index)) {
            // SAFETY: inside the heap. Padding may be any bytes, so the access is one that the
            // compiler does not look into.
            digest.add(unsafe { heap.add(index).read_volatile() });
        }
        digest.add(self.yard.used.get() * 2 + usize::from(self.yard.refuses.get()));
        for range in &*self.yard.foreign.borrow() {
            digest.add(range.start);
        }
        for block in &self.live {
            digest.add(block.offset);
            digest.add(block.layout.size() << 8 | block.layout.align());
        }
        for cell in self.heap().cells() {
            // Of a free cell count its header, its links (with their copies) and the size at its
            // end; of a block that is a cell, its header and its record.
            let words = cell.size / WORD;
            let (head, tail) = match cell.state {
                CellState::Free | CellState::Top => (5, 1),
                CellState::Used => (1, 3),
                _ => (words, 0),
            };
            let start = self.yard.at(cell.address - self.yard.at(0).addr().get()).cast::<usize>();
            for word in (0..words).filter(|&word| word < head || word + tail >= words) {
                // SAFETY: a word of a cell of the heap.
                digest.add(unsafe { start.add(word).read() });
            }
        }
        digest.0
    }

    /// Returns the numbers of the words of a heap that hold its peak, which no operation reads.
    fn peak_words(&mut self) -> Vec<usize> {
        let start = self.save();
        let words = size_of::<WorldHeap<P>>() / WORD;
        let heap = (&raw const *self.heap).cast::<usize>();
        let mut peak: Vec<_> = (0..words).collect();
        for size in [1000, 1400] {
            self.restore(&start);
            assert!(self.allocate(Layout::from_size_align(size, 8).unwrap()), "it is fresh");
            self.free(0);
            let bytes = self.heap().stats().peak_bytes;
            // SAFETY: as in `digest`.
            peak.retain(|&index| unsafe { heap.add(index).read_volatile() } == bytes);
        }
        self.restore(&start);
        peak
    }
}

/// Mixes words into a number.
struct Digest(u64);

impl Digest {
    fn add(&mut self, word: usize) {
        let product = u128::from(self.0 ^ word as u64 ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(0xD6E8_FEB8_6659_FD93_u64);
        self.0 = (product as u64 ^ (product >> 64) as u64).rotate_left(23);
    }
}

/// Ways to ask for memory.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Allocate,
    Aligned,
    Zeroed,
    Reserve,
}

/// Request for memory.
#[derive(Clone, Copy, Debug)]
struct Request {
    kind: Kind,
    size: usize,
}

impl Request {
    const KINDS: [Kind; 4] = [Kind::Allocate, Kind::Aligned, Kind::Zeroed, Kind::Reserve];

    /// Returns whether a heap grants the request. The block is freed.
    fn is_granted<P: Variant>(self, world: &mut World<P>) -> bool {
        let heap = world.heap_mut();
        let align = if matches!(self.kind, Kind::Aligned) { ALIGNS[1] } else { ALIGNS[0] };
        let of = |size| Layout::from_size_align(size, align).expect("less than there is");
        // SAFETY: the yard's memory outlives the heap; the block is freed once, with its layout.
        unsafe {
            let block = match self.kind {
                Kind::Allocate | Kind::Aligned => heap.allocate(of(self.size)),
                Kind::Zeroed => heap.allocate_zeroed(of(self.size)),
                Kind::Reserve => return heap.reserve(self.size).is_ok(),
            };
            block.inspect(|&block| heap.deallocate(block, of(self.size))).is_some()
        }
    }
}

/// What a fresh heap grants.
struct Fresh {
    /// For each kind, the sizes that are granted, in ascending order.
    granted: Vec<(Kind, Vec<usize>)>,
}

impl Fresh {
    fn new<P: Variant>(world: &mut World<P>) -> Self {
        let (start, len) = (world.save(), world.yard.len);
        let mut sizes_of = |kind| {
            let mut is_granted = |size: &usize| {
                world.restore(&start);
                Request { kind, size: *size }.is_granted(world)
            };
            let sizes = (1..=len).step_by(WORD - 1);
            (kind, sizes.filter(&mut is_granted).collect())
        };
        let granted = Request::KINDS.into_iter().map(&mut sizes_of).collect();
        world.restore(&start);
        Self { granted }
    }

    /// Returns one of the requests, often the largest of its kind.
    fn request(&self, chance: u64) -> Request {
        let chance = chance as usize;
        let (kind, sizes) = &self.granted[chance % self.granted.len()];
        let chance = chance / self.granted.len();
        let last = sizes.len() - 1;
        let index = if chance % 4 < 3 { last } else { chance / 4 % sizes.len() };
        Request { kind: *kind, size: sizes[index] }
    }
}

/// A program: the last action, and the number of the program without it.
#[derive(Clone, Copy)]
struct Program {
    before: u32,
    last: Option<Action>,
}

/// Search through all programs.
struct Search<'a, P: Variant> {
    world: World<'a, P>,
    start: Snapshot<'a, P>,
    fresh: Fresh,
    /// Words of the heap that do not count.
    peak: Vec<usize>,
    /// Programs that lead to worlds which are not alike, the shortest first.
    programs: Vec<Program>,
    seen: HashSet<u64>,
}

impl<'a, P: Variant> Search<'a, P> {
    /// A search from the world on which `prelude` leads a fresh one.
    fn new(yard: &'a Yard, prelude: impl FnOnce(&mut World<'a, P>)) -> Self {
        let mut world = World::new(yard);
        let peak = world.peak_words();
        let fresh = Fresh::new(&mut world);
        prelude(&mut world);
        world.verify();
        let start = world.save();
        let programs = vec![Program { before: 0, last: None }];
        Self { world, start, fresh, peak, programs, seen: HashSet::new() }
    }

    fn actions(&self, mut program: Program) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(last) = program.last {
            actions.push(last);
            program = self.programs[program.before as usize];
        }
        actions.reverse();
        actions
    }

    /// Runs the last action of a program in the world to which the others have led. Returns whether
    /// it leads to a world that is new. If it fails, the actions are shown.
    fn run(&mut self, before: &Snapshot<'a, P>, actions: &[Action]) -> bool {
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            self.world.restore(before);
            actions.iter().rev().take(1).for_each(|&action| self.world.step(action));
            let digest = self.world.digest(&self.peak);
            let is_new = self.seen.insert(digest);
            if is_new {
                self.world.verify();
                self.world.drain(digest, &self.fresh);
            }
            is_new
        }));
        verdict.unwrap_or_else(|panic| {
            println!("the program that failed: {actions:?}");
            resume_unwind(panic)
        })
    }

    /// Runs all programs of at most `depth` actions, as far as there is time.
    fn run_all(&mut self, depth: usize) {
        let begin = Instant::now();
        let limit = variable("WORLDS_SECONDS").map(|seconds| Duration::from_secs(seconds as u64));
        let has_time = || limit.is_none_or(|limit| begin.elapsed() < limit);
        let (mut first, mut runs) = (0, 1);
        self.world.restore(&self.start);
        self.run(&self.world.save(), &[]);
        for depth in 1..=depth {
            let last = self.programs.len();
            let next = (first..last).find(|&before| {
                runs += self.run_longer(before);
                !has_time()
            });
            first = last;
            let (worlds, seconds) = (self.programs.len(), begin.elapsed().as_secs_f32());
            println!("  depth {depth}: {worlds} worlds of {runs} programs, {seconds:.1} s");
            if let Some(next) = next {
                println!("  no time for programs that begin with one of {}", last - next - 1);
                break;
            }
        }
        println!("  in all: {} worlds of {}", self.programs.len(), type_name::<P>());
    }

    /// Runs all programs that are longer than another one by an action. Returns their number.
    fn run_longer(&mut self, before: usize) -> usize {
        let mut actions = self.actions(self.programs[before]);
        let mut next = Vec::new();
        self.world.restore(&self.start);
        actions.iter().for_each(|&action| self.world.step(action));
        self.world.for_each_action(|action| next.push(action));
        let reached = self.world.save();
        for &action in &next {
            actions.push(action);
            if self.run(&reached, &actions) {
                self.programs.push(Program { before: before as u32, last: Some(action) });
            }
            actions.pop();
        }
        next.len()
    }
}

/// Returns the number that a variable of the environment holds.
fn variable(name: &str) -> Option<usize> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; expected a number")))
}

/// Number of actions of the longest programs, unless `WORLDS_DEPTH` says another.
fn usual_depth<P: Variant>() -> usize {
    if TypeId::of::<P>() == TypeId::of::<Miniature>() { 5 } else { 4 }
}

#[case(Usual, Miniature, Checked<Miniature>, Plain, Small)]
fn every_short_program_keeps_every_promise<P: Variant>() {
    let yard = Yard::new(3000);
    Search::<P>::new(&yard, |_| ())
        .run_all(variable("WORLDS_DEPTH").unwrap_or_else(usual_depth::<P>));
}

/// Allocates cells until a slab has begun, and blocks until it is full.
fn fill_a_slab<P: Variant>(world: &mut World<P>) {
    let is_full =
        |cell: CellInfo| matches!(cell.state, CellState::Slab { live, total, .. } if live == total);
    while !world.heap().cells().any(is_full) {
        assert!(world.allocate(Layout::new::<[u64; 3]>()), "there is room for a slab");
    }
}

/// Frees all blocks but the lowest one and `left` of the slab.
fn free_all_but<P: Variant>(world: &mut World<P>, left: usize) {
    while world.live.len() > left + 1 {
        world.free(1);
    }
}

/// Allocates until all memory is taken and growth is refused.
fn fill_the_rest<P: Variant>(world: &mut World<P>) {
    world.yard.refuses.set(true);
    for size in SIZES.into_iter().rev() {
        while world.allocate(Layout::from_size_align(size, 8).unwrap()) {}
    }
}

/// What leads from a fresh world to the start of a search.
type Prelude<P> = fn(&mut World<P>);

/// Worlds that a short program does not reach: a full slab, one with few live blocks, and a full
/// slab where memory is short.
#[case(Usual, Miniature, Checked<Miniature>, Checked<Usual>)]
fn every_short_program_keeps_every_promise_once_slabs_have_begun<P: Variant>() {
    let preludes: [(Prelude<P>, usize); 3] = [
        (|world| fill_a_slab(world), 2),
        (|world| (fill_a_slab(world), free_all_but(world, 2)).1, 3),
        (|world| (fill_a_slab(world), fill_the_rest(world)).1, 3),
    ];
    for (prelude, depth) in preludes {
        let yard = Yard::new(24 << 10);
        Search::<P>::new(&yard, prelude).run_all(variable("WORLDS_DEPTH").unwrap_or(depth));
    }
}
