//! One lock for all, and an arena for each CPU. One processor plays two CPUs, whether the machine
//! has one or more: what a claim counts is the same in each run.

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{ArenaHeap, CellInfo, CellState, Cpu, Heap, Locked, NoMap, RawLock, Spin, Usual};

use super::cells::bytes;
use crate::evidence::{Evidence, Missing, Shown};
use crate::memory::Policy;
use crate::memory::kernel_break::KernelBreak;

/// Blocks that a CPU allocates, and frees again.
const BLOCKS: usize = 100;
const BLOCK: Layout = bytes(100);

/// Bytes of a segment: an arena has whole ones.
const SEGMENT: usize = 64 << 10;

/// The CPU that the processor plays.
static CPU: AtomicUsize = AtomicUsize::new(0);

/// How often a [`Counting`] lock was taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Two CPUs.
struct Played;

// SAFETY: the processor ends an operation before it plays the other CPU, and no handler allocates.
unsafe impl Cpu for Played {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        2
    }

    fn enter(&self) -> usize {
        CPU.load(Ordering::Relaxed)
    }
}

/// A lock that counts how often it is taken.
struct Counting(Spin);

// SAFETY: the guard is that of a lock.
unsafe impl RawLock for Counting {
    const INIT: Self = Self(Spin::INIT);

    type Guard<'lock> = <Spin as RawLock>::Guard<'lock>;

    fn lock(&self) -> Self::Guard<'_> {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        self.0.lock()
    }
}

type Arenas = ArenaHeap<KernelBreak, Played, NoMap, Usual, Counting>;

/// Goes on as this CPU.
fn play(cpu: usize) {
    CPU.store(cpu, Ordering::Relaxed);
}

/// How often a lock is taken meanwhile.
fn locks(work: impl FnOnce()) -> usize {
    let before = TAKEN.load(Ordering::Relaxed);
    work();
    TAKEN.load(Ordering::Relaxed) - before
}

fn scratch(evidence: &mut Evidence<'_>) -> Result<KernelBreak, Missing> {
    evidence.need("a break", KernelBreak::claim(Policy::Strict).ok_or("all are in use"))
}

/// A heap whose arenas both have memory. In a small heap, an arena that begins makes the others
/// give back what is free: the first CPU comes twice.
fn arenas(evidence: &mut Evidence<'_>) -> Result<Arenas, Missing> {
    let heap = Arenas::with_profile(scratch(evidence)?, Played, NoMap);
    for cpu in [0, 1, 0] {
        play(cpu);
        come_and_go(&heap);
    }
    Ok(heap)
}

/// Allocates blocks and frees them.
fn come_and_go(heap: &impl GlobalAlloc) {
    // SAFETY: the layout is not empty.
    let blocks = [(); BLOCKS].map(|()| unsafe { heap.alloc(BLOCK) });
    // SAFETY: allocated above, and freed once.
    blocks.iter().for_each(|&block| unsafe { heap.dealloc(block, BLOCK) });
}

pub fn one_lock(evidence: &mut Evidence<'_>) -> Shown {
    let heap = Locked::<_, Counting>::from_heap(Heap::new(scratch(evidence)?));
    evidence.say(format_args!(
        "One processor plays CPU 0 and CPU 1 in turn. They share a heap behind one lock; each \
         allocates and frees {BLOCKS} blocks."
    ));
    for (cpu, what) in [
        "times that CPU 0 takes the lock: once in each call",
        "times that CPU 1 takes the same lock",
    ]
    .into_iter()
    .enumerate()
    {
        play(cpu);
        let taken = locks(|| come_and_go(&heap));
        evidence.expect(what, 2 * BLOCKS, taken);
    }
    play(0);
    Ok(())
}

pub fn an_arena_each(evidence: &mut Evidence<'_>) -> Shown {
    let heap = arenas(evidence)?;
    evidence.say(format_args!(
        "The two played CPUs have an arena each, and do the same: no lock is taken."
    ));
    let mut blocks = [0; 2];
    let checks = ["times that CPU 0 takes a lock", "times that CPU 1 takes a lock"];
    for (cpu, (block, what)) in blocks.iter_mut().zip(checks).enumerate() {
        play(cpu);
        let taken = locks(|| come_and_go(&heap));
        evidence.expect(what, 0, taken);
        // SAFETY: the layout is not empty; the heap is dropped with its blocks.
        *block = unsafe { heap.alloc(BLOCK) }.addr();
    }
    play(0);
    evidence.say(format_args!("Their blocks lie in segments of their own."));
    evidence
        .show(format_args!("a block of CPU 0 at {:#x}, of CPU 1 at {:#x}", blocks[0], blocks[1]));
    let [one, other] = blocks.map(|address| address / SEGMENT);
    evidence.expect_that("the segments differ", one != other);
    Ok(())
}

pub fn back_to_its_arena(evidence: &mut Evidence<'_>) -> Shown {
    let heap = arenas(evidence)?;
    play(0);
    // SAFETY: the layout is not empty.
    let block = unsafe { heap.alloc(BLOCK) };
    play(1);
    evidence.say(format_args!(
        "CPU 1, which is played, frees the block at {:#x} of CPU 0.",
        block.addr()
    ));
    // SAFETY: allocated above, and freed once.
    unsafe { heap.dealloc(block, BLOCK) };
    heap.flush();
    let reuses = |cpu| {
        play(cpu);
        // SAFETY: the layout is not empty; the heap is dropped with its blocks.
        (0..SEGMENT / BLOCK.size()).any(|_| unsafe { heap.alloc(BLOCK) } == block)
    };
    evidence.expect_that("CPU 1 never gets the block", !reuses(1));
    evidence.expect_that("CPU 0 gets it again", reuses(0));
    play(0);
    Ok(())
}

/// Finds what has served the block at an address, by where it lies.
fn server(heap: &Arenas, address: usize) -> &'static str {
    let holds = |cell: &CellInfo| (cell.address..cell.address + cell.size).contains(&address);
    // An arena's memory lies in cells of the parent: of its blocks, this is the start of one.
    let begins = |cell: CellInfo| cell.payload() == address;
    let is_parents = heap.with_parent(|parent| parent.cells().any(begins));
    let mut found = if is_parents == Some(true) { "the parent heap" } else { "nothing" };
    heap.for_each_cell(|cell| {
        if holds(&cell) {
            found = match cell.state {
                CellState::Slab { .. } => "a slab of the arena",
                _ => "a cell of the arena",
            };
        }
    });
    found
}

pub fn strategies(evidence: &mut Evidence<'_>) -> Shown {
    let heap = arenas(evidence)?;
    play(0);
    evidence
        .say(format_args!("An allocator for production has a strategy for each range of sizes."));
    for (size, before, expected, bound) in [
        (40, 100, "a slab of the arena", 0),
        (3000, 100, "a slab of the arena", 0),
        (300_000, 0, "the parent heap", 2),
    ] {
        let layout = bytes(size);
        // SAFETY: the layout is not empty.
        let malloc = || unsafe { heap.alloc(layout) };
        // SAFETY: allocated with this layout, and freed once.
        let free = |block| unsafe { heap.dealloc(block, layout) };
        // The first blocks of a size are cells: a slab pays from some on.
        let first: Vec<_> = (0..before).map(|_| malloc()).collect();
        let block = malloc();
        let found = server(&heap, block.addr());
        free(block);
        let taken = locks(|| free(malloc()));
        evidence.show(format_args!("malloc({size})"));
        evidence.expect("  is served by", expected, found);
        evidence.expect("  locks taken by malloc and free", bound, taken);
        first.into_iter().for_each(free);
    }
    Ok(())
}
