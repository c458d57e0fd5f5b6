//! Heaps beside each other: four designs with the same blocks; a fixed heap and one that grows.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::evidence::{Evidence, Shown};
use crate::memory::Policy;
use crate::memory::kernel_break::{KernelBreak, RawBreak};
use crate::testing::single_step::single_step;
use brkalloc::{Locked, LockedHeap, NoMap, PlainHeap, SimpleHeap, Spin};

use super::cells::bytes;
use super::watch::{Bytes, Watch};

/// The size of the heap that hobby kernels usually begin with.
const FIXED: usize = 100 << 10;
/// The workload: so many blocks, all live at once.
const BLOCKS: usize = 1000;
const BLOCK: Layout = Layout::new::<[u64; 128]>();

/// Blocks of the comparison of designs.
const SIZES: [usize; 4] = [16, 40, 100, 300];
const MANY: usize = 2048;

/// Calls whose instructions are counted.
const COUNTED: usize = 32;

/// Addresses of the heap that does not grow.
const REGION: isize = 4 << 20;

/// What a design takes for the same blocks.
struct Figures {
    /// Instructions of a `malloc` and a `free`, page faults aside, when all blocks are live.
    instructions: usize,
    /// Bytes per block, beyond the request.
    overhead: usize,
    /// KiB that the heap holds when all blocks are live, and when every other one has given way to
    /// one of another size.
    held: [i64; 2],
    /// Whether it served each block.
    is_complete: bool,
}

pub fn trade(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "Four designs get the same {MANY} blocks; then every other one gives way to one of another size."
    ));
    for [speed, overhead, held] in [
        ["instructions", "bytes a block", "KiB in use by the heap"],
        ["malloc, free", "beyond request", "before, after that"],
    ] {
        evidence.show(format_args!("{:30} {speed:>13} {overhead:>15} {held:>23}", ""));
    }
    let brk = |evidence: &mut Evidence<'_>| {
        evidence.need("a break", KernelBreak::claim(Policy::Strict).ok_or("all are in use"))
    };
    let on_break = |raw: RawBreak| move |_: &[*mut u8]| raw.position() - raw.info().base;
    let simple = brk(evidence)?;
    let raw = simple.raw();
    let simple = figures(&Locked::<_, Spin>::from_heap(SimpleHeap::new(simple)), on_break(raw));
    let fixed = brk(evidence)?;
    let list = linked_list_allocator::LockedHeap::empty();
    // SAFETY: nothing else uses the break.
    let base = evidence.need("addresses", unsafe { fixed.raw().sbrk(REGION) })?;
    let memory = ptr::with_exposed_provenance_mut::<u8>(base as usize);
    // SAFETY: granted, and used for nothing else.
    unsafe { list.lock().init(memory, REGION as usize) };
    // Its end does not move: what it holds reaches to the end of its last block.
    let to_last = |blocks: &[*mut u8]| {
        let last = blocks.iter().map(|block| block.addr()).max().unwrap_or(0);
        (last + SIZES[SIZES.len() - 1]) as u64 - base
    };
    let list = figures(&list, to_last);
    drop(fixed);
    let plain = brk(evidence)?;
    let raw = plain.raw();
    let plain =
        figures(&LockedHeap::from_heap(PlainHeap::with_profile(plain, NoMap)), on_break(raw));
    let usual = brk(evidence)?;
    let raw = usual.raw();
    let usual = figures(&LockedHeap::new(usual), on_break(raw));

    let designs = [
        ("one free list (SimpleHeap)", &simple),
        ("sorted (linked_list_allocator)", &list),
        ("bins (PlainHeap)", &plain),
        ("bins and slabs (Heap)", &usual),
    ];
    for (name, Figures { instructions, overhead, held: [before, after], .. }) in designs {
        evidence.show(format_args!(
            "{name:30} {instructions:>13} {overhead:>15} {before:>15} {after:>7}"
        ));
    }
    let served = designs.iter().filter(|(_, figures)| figures.is_complete).count();
    evidence.say(format_args!("No design has the lowest figure in each column."));
    evidence.expect("designs that served every block", designs.len(), served);
    let best = |figure: fn(&Figures) -> i64| {
        let best = designs.iter().map(|(_, figures)| figure(figures)).min();
        designs.map(|(_, figures)| Some(figure(figures)) == best)
    };
    let columns = [
        best(|figures| figures.instructions as i64),
        best(|figures| figures.overhead as i64),
        best(|figures| figures.held[1]),
    ];
    let is_best = |design: &usize| columns.iter().all(|column| column[*design]);
    evidence.expect("designs that are the best in each column", 0, (0..4).filter(is_best).count());
    Ok(())
}

/// Measures a heap; `held` says how many bytes it holds, with these blocks.
fn figures(heap: &impl GlobalAlloc, held: impl Fn(&[*mut u8]) -> u64) -> Figures {
    let size = |index: usize| SIZES[index % SIZES.len()];
    let mut blocks = [ptr::null_mut(); MANY];
    for (index, block) in blocks.iter_mut().enumerate() {
        // SAFETY: no size is zero.
        *block = unsafe { heap.alloc(bytes(size(index))) };
    }
    let requested: usize = (0..MANY).map(size).sum();
    let full = held(&blocks);
    for index in (0..MANY).step_by(2) {
        // SAFETY: allocated above with this layout, and freed once.
        unsafe { heap.dealloc(blocks[index], bytes(size(index))) };
        // SAFETY: no size is zero.
        blocks[index] = unsafe { heap.alloc(bytes(size(index + 2))) };
    }
    let held = [full, held(&blocks)].map(|bytes| bytes.div_ceil(1 << 10).cast_signed());
    let is_complete = blocks.iter().all(|block| !block.is_null());
    let instructions = instructions(|| {
        for index in 0..COUNTED {
            // SAFETY: no size is zero.
            let block = unsafe { heap.alloc(bytes(size(index))) };
            // SAFETY: allocated above, and freed once.
            unsafe { heap.dealloc(block, bytes(size(index))) };
        }
    }) / COUNTED;
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| !block.is_null()) {
        let index = if index % 2 == 0 { index + 2 } else { index };
        // SAFETY: allocated with this layout, and freed once.
        unsafe { heap.dealloc(*block, bytes(size(index))) };
    }
    let overhead = (full as usize).saturating_sub(requested) / MANY;
    Figures { instructions, overhead, held, is_complete }
}

/// Instructions that the processor executes meanwhile, but those that serve faults.
fn instructions(run: impl FnOnce()) -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    fn count() {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    COUNT.store(0, Ordering::Relaxed);
    single_step(count, run);
    COUNT.load(Ordering::Relaxed)
}

pub fn side_by_side(evidence: &mut Evidence<'_>) -> Shown {
    static mut ARENA: [u8; FIXED] = [0; FIXED];
    let fixed = linked_list_allocator::LockedHeap::empty();
    let (mut uninitialised, arena) = (fixed.lock(), (&raw mut ARENA).cast());
    // SAFETY: this function runs once, and nobody else names ARENA.
    unsafe { uninitialised.init(arena, FIXED) };
    drop(uninitialised);
    let on_fixed = Chain::fill(&fixed);
    evidence.say(format_args!(
        "{BLOCKS} live blocks of 1 KiB do not fit a heap of fixed size, linked_list_allocator on {}.",
        Bytes(FIXED as u64)
    ));
    evidence.show(format_args!("{} blocks, then null", on_fixed.len));
    evidence.expect_that("it ends in out-of-memory", on_fixed.len < BLOCKS);
    evidence.expect_at_least(
        "bytes allocated by then",
        FIXED - 2 * BLOCK.size(),
        on_fixed.len * BLOCK.size(),
    );
    on_fixed.free(&fixed);

    let watch = Watch::start();
    let brk =
        evidence.need("a break", KernelBreak::claim(Policy::Strict).ok_or("all are in use"))?;
    let growing = LockedHeap::new(brk);
    let on_break = Chain::fill(&growing);
    evidence.say(format_args!(
        "A heap on a break, LockedHeap, goes on: the break moves whenever the heap is full."
    ));
    evidence.show(format_args!("{} blocks; {}", on_break.len, growing.stats()));
    evidence.expect("it goes on to the last block", BLOCKS, on_break.len);
    evidence.expect_at_least(
        "frames taken",
        (BLOCKS * BLOCK.size() / 4096).cast_signed(),
        watch.frames(),
    );
    on_break.free(&growing);
    growing.trim(0);
    evidence.ensure("live cells after all are freed", 0, growing.stats().live_cells);
    evidence.ensure("frames in use after all are freed, and the heap trimmed", 0, watch.frames());
    Ok(())
}

/// Blocks that are linked through their first word.
struct Chain {
    first: *mut *mut u8,
    len: usize,
}

impl Chain {
    /// Allocates blocks until there are [`BLOCKS`], or until the answer is null.
    fn fill(heap: &impl GlobalAlloc) -> Self {
        let mut chain = Self { first: ptr::null_mut(), len: 0 };
        while chain.len < BLOCKS {
            // SAFETY: the layout is not empty.
            let block: *mut *mut u8 = unsafe { heap.alloc(BLOCK) }.cast();
            if block.is_null() {
                break;
            }
            // SAFETY: a block of that layout holds a pointer.
            unsafe { block.write(chain.first.cast()) };
            chain = Self { first: block, len: chain.len + 1 };
        }
        chain
    }

    /// Frees them all.
    fn free(self, heap: &impl GlobalAlloc) {
        let mut block = self.first;
        while !block.is_null() {
            // SAFETY: written by `fill`.
            let next = unsafe { block.read() }.cast();
            // SAFETY: allocated by `fill` with this layout, and freed once.
            unsafe { heap.dealloc(block.cast(), BLOCK) };
            block = next;
        }
    }
}
