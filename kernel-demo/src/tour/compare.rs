//! Heaps beside each other: three designs with the same blocks; a fixed heap and one that grows.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::x86_64::_rdtsc;
use core::ptr;

use crate::evidence::{Evidence, Shown};
use crate::memory::Policy;
use crate::memory::kernel_break::{KernelBreak, RawBreak};
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

/// What a design takes for the same blocks.
struct Figures {
    /// Ticks of the processor's clock per `malloc`.
    ticks: u64,
    /// Bytes of the break per block, beyond the request.
    overhead: usize,
    /// KiB that the break moves when every other block makes room for one of another size.
    growth: i64,
    /// Whether it served each block.
    is_complete: bool,
}

pub fn trade(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!("Three designs get the same {MANY} blocks, and then others."));
    evidence.show(format_args!("{:28} {:>12} {:>12} {:>12}", "", "ticks", "overhead", "growth"));
    let brk = |evidence: &mut Evidence<'_>| {
        evidence.need("a break", KernelBreak::claim(Policy::Strict).ok_or("all are in use"))
    };
    let simple = brk(evidence)?;
    let raw = simple.raw();
    let simple = figures(&Locked::<_, Spin>::from_heap(SimpleHeap::new(simple)), raw);
    let plain = brk(evidence)?;
    let raw = plain.raw();
    let plain = figures(&LockedHeap::from_heap(PlainHeap::with_profile(plain, NoMap)), raw);
    let usual = brk(evidence)?;
    let raw = usual.raw();
    let usual = figures(&LockedHeap::new(usual), raw);
    for (name, Figures { ticks, overhead, growth, .. }) in [
        ("one free list (SimpleHeap)", &simple),
        ("bins (PlainHeap)", &plain),
        ("bins and slabs (Heap)", &usual),
    ] {
        evidence
            .show(format_args!("{name:28} {ticks:>8}/call {overhead:>6} B/cell {growth:>8} KiB"));
    }
    let served = [&simple, &plain, &usual].iter().filter(|figures| figures.is_complete).count();
    evidence.say(format_args!("Each serves all blocks; which one is best depends on what counts."));
    evidence.expect("designs that served every block", 3, served);
    Ok(())
}

/// Measures a heap over the break, which it alone moves.
fn figures(heap: &impl GlobalAlloc, brk: RawBreak) -> Figures {
    let size = |index: usize| SIZES[index % SIZES.len()];
    let held = || brk.position() - brk.info().base;
    let mut blocks = [ptr::null_mut(); MANY];
    let begun = now();
    for (index, block) in blocks.iter_mut().enumerate() {
        // SAFETY: no size is zero.
        *block = unsafe { heap.alloc(bytes(size(index))) };
    }
    let ticks = (now() - begun) / MANY as u64;
    let requested: usize = (0..MANY).map(size).sum();
    let full = held();
    for index in (0..MANY).step_by(2) {
        // SAFETY: allocated above with this layout, and freed once.
        unsafe { heap.dealloc(blocks[index], bytes(size(index))) };
        // SAFETY: no size is zero.
        blocks[index] = unsafe { heap.alloc(bytes(size(index + 2))) };
    }
    let growth = (held().cast_signed() - full.cast_signed()) >> 10;
    let is_complete = blocks.iter().all(|block| !block.is_null());
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| !block.is_null()) {
        let index = if index % 2 == 0 { index + 2 } else { index };
        // SAFETY: allocated with this layout, and freed once.
        unsafe { heap.dealloc(*block, bytes(size(index))) };
    }
    Figures { ticks, overhead: (full as usize - requested) / MANY, growth, is_complete }
}

/// The processor's clock.
fn now() -> u64 {
    // SAFETY: every x86_64 processor has the counter.
    unsafe { _rdtsc() }
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
    evidence.say(format_args!("A heap on a break goes on, LockedHeap."));
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
