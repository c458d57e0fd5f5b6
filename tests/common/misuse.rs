//! A checked heap whose misuses are noted, and blocks of each kind to misuse.
//!
//! ```text
//!   a case ──► misuse ──► Heap ──► hook ──► noted (platform)      what was reported, in order
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{
    CellState, Checked, FixedBreak, Heap, Misuse, MisuseKind, MisuseResponse, NoMap, RegionError,
};

use super::platform::{self, Memory};
use super::prelude::*;
use super::profile::{Variant, WORD};
use super::regions::{PAGE, arena, bare};
use super::test_break::TestBreak;
use super::test_map::TestMap;

/// The hook of the heaps under test.
pub fn note_and_ignore(misuse: &Misuse) -> MisuseResponse {
    platform::note(*misuse);
    MisuseResponse::Ignore
}

/// What was reported since this was asked.
pub fn reported() -> Vec<Misuse> {
    platform::take_noted()
}

/// The one thing that was reported.
pub fn the_report() -> Misuse {
    let reported = reported();
    assert_eq!(reported.len(), 1, "{reported:x?}");
    reported[0]
}

/// Kinds of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a slab.
    Slab,
    /// A small block that is a cell.
    SmallCell,
    /// Of no bytes.
    Empty,
    /// A cell between used ones.
    Cell,
    /// A cell behind a free one, into which it is merged.
    Merged,
    /// A cell before the top.
    Last,
    OverAligned,
    Mapped,
}

const KINDS: [Kind; 8] = [
    Kind::Slab,
    Kind::SmallCell,
    Kind::Empty,
    Kind::Cell,
    Kind::Merged,
    Kind::Last,
    Kind::OverAligned,
    Kind::Mapped,
];

/// A profile whose heap finds mistakes.
pub trait CheckedVariant: Variant {
    /// Notes what the heap reports, and lets it pass.
    fn note_misuses<B, M>(heap: &mut Heap<B, M, Self>);

    /// Verifies a block.
    fn verify(
        heap: &mut Heap<TestBreak, TestMap, Self>,
        block: NonNull<u8>,
        layout: Layout,
    ) -> bool;
}

impl<P: Variant> CheckedVariant for Checked<P> {
    fn note_misuses<B, M>(heap: &mut Heap<B, M, Self>) {
        heap.set_misuse_hook(note_and_ignore);
    }

    fn verify(
        heap: &mut Heap<TestBreak, TestMap, Self>,
        block: NonNull<u8>,
        layout: Layout,
    ) -> bool {
        heap.verify(block, layout)
    }
}

/// A heap to misuse.
pub struct Bench<P: CheckedVariant> {
    pub heap: Heap<TestBreak, TestMap, P>,
}

impl<P: CheckedVariant> Bench<P> {
    /// The kinds of blocks that there are.
    pub fn kinds() -> impl Iterator<Item = Kind> {
        KINDS.into_iter().filter(|kind| P::LAYERED || *kind != Kind::Slab)
    }

    pub fn new() -> Self {
        let mut heap = Heap::with_profile(TestBreak::new(1 << 20, 0), TestMap::default());
        P::note_misuses(&mut heap);
        reported();
        Self { heap }
    }

    pub fn allocate(&mut self, layout: Layout) -> NonNull<u8> {
        // SAFETY: the heap outlives the case.
        unsafe { self.heap.allocate(layout) }.expect("there is memory")
    }

    /// Frees what may be no block at all: that is what a checked heap is for.
    pub fn free(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a checked heap does nothing if it is none.
        unsafe { self.heap.deallocate(block, layout) };
    }

    /// A block of this kind, with its layout.
    pub fn block(&mut self, kind: Kind) -> (NonNull<u8>, Layout) {
        let layout = match kind {
            Kind::Slab => layout(41, 8),
            Kind::SmallCell => layout(50, 1),
            Kind::Empty => layout(0, 1),
            Kind::Cell | Kind::Last | Kind::Merged => layout(3003, 4),
            Kind::OverAligned => layout(101, 512),
            Kind::Mapped => layout(200_000, 16),
        };
        let block = match kind {
            Kind::Slab => self.blocks_of_slab(layout)[5],
            Kind::Merged => {
                let before = self.allocate(layout);
                let block = self.allocate(layout);
                self.free(before, layout);
                block
            }
            _ => self.allocate(layout),
        };
        if kind != Kind::Last {
            self.allocate(Self::WALL);
        }
        assert_eq!(reported(), NOTHING);
        (block, layout)
    }

    pub const WALL: Layout = Layout::new::<[usize; 400]>();

    /// The first ten blocks of a slab, side by side.
    pub fn blocks_of_slab(&mut self, layout: Layout) -> [NonNull<u8>; 10] {
        for _ in 0..2_000 {
            let first = self.allocate(layout);
            if self.slab_around(first).is_some() {
                let mut blocks = [first; 10];
                blocks[1..].fill_with(|| self.allocate(layout));
                let slab = self.slab_around(first);
                assert!(blocks.iter().all(|&block| self.slab_around(block) == slab));
                assert!(blocks.is_sorted(), "{blocks:?}");
                return blocks;
            }
        }
        panic!("many blocks of {layout:?} earn no slab");
    }

    /// Address and size of the slab in which a block lies.
    pub fn slab_around(&self, block: NonNull<u8>) -> Option<(usize, usize)> {
        let around = self
            .heap
            .cells()
            .find(|cell| (cell.address..cell.address + cell.size).contains(&addr(block)))?;
        matches!(around.state, CellState::Slab { .. }).then_some((around.payload(), around.size))
    }

    /// The heap is whole, and serves.
    pub fn assert_serves(&mut self) {
        self.heap.check().unwrap();
        for layout in [
            layout(0, 1),
            layout(41, 8),
            layout(50, 1),
            layout(3003, 4),
            layout(100, 512),
            layout(200_000, 16),
        ] {
            let block = self.allocate(layout);
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0x5A, layout.size()) };
            self.free(block, layout);
        }
        self.heap.flush();
        assert_eq!(reported(), NOTHING, "a heap that should be whole");
        self.heap.check().unwrap();
    }
}

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

pub fn addr(block: NonNull<u8>) -> usize {
    block.addr().get()
}

pub fn at(block: NonNull<u8>, offset: isize) -> NonNull<u8> {
    NonNull::new(block.as_ptr().wrapping_offset(offset)).unwrap()
}

pub fn word(block: NonNull<u8>, address: usize) -> *mut usize {
    block.as_ptr().with_addr(address).cast()
}

pub fn read(block: NonNull<u8>, address: usize) -> usize {
    // SAFETY: an address in the heap's memory.
    unsafe { word(block, address).read() }
}

/// Writes where nobody should.
pub fn overwrite(block: NonNull<u8>, address: usize, value: usize) {
    // SAFETY: an address in the heap's memory.
    unsafe { word(block, address).write(value) };
}

/// The words from a block's header to behind its end.
pub fn words_around(block: NonNull<u8>, layout: Layout) -> BTreeMap<usize, usize> {
    let words = (addr(block) - WORD..addr(block) + layout.size() + 6 * WORD).step_by(WORD);
    words.map(|address| (address, read(block, address))).collect()
}

/// No misuse at all.
pub const NOTHING: [Misuse; 0] = [];

/// A misuse as a case expects it: one cannot be made outside the crate.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    kind: MisuseKind,
    block: usize,
    at: usize,
    found: usize,
    expected: usize,
}

impl PartialEq<Report> for Misuse {
    fn eq(&self, report: &Report) -> bool {
        let Report { kind, block, at, found, expected } = *report;
        (self.kind, self.block, self.at, self.found, self.expected)
            == (kind, block, at, found, expected)
    }
}

pub fn misuse(
    kind: MisuseKind,
    block: NonNull<u8>,
    at: usize,
    found: usize,
    expected: usize,
) -> Report {
    Report { kind, block: addr(block), at, found, expected }
}

/// A heap of two regions of a page each, a page apart.
pub struct TwoRegions<P: CheckedVariant> {
    pub heap: Heap<FixedBreak, NoMap, P>,
    arena: Memory,
}

impl<P: CheckedVariant> TwoRegions<P> {
    pub fn new() -> Self {
        let mut regions = Self { heap: bare(), arena: arena(3 * PAGE) };
        P::note_misuses(&mut regions.heap);
        reported();
        for index in [0, 2] {
            regions.add_page(index).unwrap();
        }
        regions
    }

    /// The lowest byte of three pages.
    pub fn memory(&self) -> NonNull<u8> {
        self.arena.base()
    }

    pub fn add_page(&mut self, index: usize) -> Result<usize, RegionError> {
        // SAFETY: inside the three pages.
        let page = unsafe { self.memory().add(index * PAGE) };
        // SAFETY: one of the three pages, which live as long as the heap, and which nobody else
        // uses.
        unsafe { self.heap.add_region(page.as_ptr(), PAGE) }
    }
}
