//! Counts the common paths of each heap and the beginnings of two traces.

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use brkalloc::{ArenaHeap, Cpu, FixedBreak, Heap};

use crate::step::Counter;
use crate::trace::{Act, Name, Op, Trace};

/// Number of operations that are counted together, so that rare slow ones have their share.
const OPERATIONS: usize = 20;

/// Sizes of blocks, in bytes.
const SIZES: [usize; 4] = [64, 512, 4 << 10, 64 << 10];

/// Factor by which resized blocks grow and shrink again.
const GROWTH: usize = 4;

/// Number of operations of each trace.
const OF_TRACE: usize = 1000;

/// Traces of which the beginning is counted.
const TRACES: [Name; 2] = [Name::Compiler, Name::Interpreter];

/// Length of the memory of each heap, in bytes.
const REGION: usize = 256 << 20;

/// Address of the memory of each heap: always the same, because a path can depend on addresses.
const ADDRESS: usize = 0x1000_0000_0000;

/// Heap under test.
trait Subject {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>>;
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Option<NonNull<u8>>;
}

/// Implements [`Subject`] by the methods of a heap, which have the same clauses.
macro_rules! subject {
    ($heap:ty) => {
        impl Subject for $heap {
            #[inline]
            unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the clauses are those of this method.
                unsafe { <$heap>::allocate(self, layout) }
            }

            #[inline]
            unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the clauses are those of this method.
                unsafe { <$heap>::allocate_zeroed(self, layout) }
            }

            #[inline]
            unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the clauses are those of this method.
                unsafe { <$heap>::deallocate(self, block, layout) };
            }

            #[inline]
            unsafe fn reallocate(
                &mut self,
                block: NonNull<u8>,
                layout: Layout,
                size: usize,
            ) -> Option<NonNull<u8>> {
                // SAFETY: the clauses are those of this method.
                unsafe { <$heap>::reallocate(self, block, layout, size) }
            }
        }
    };
}

subject!(Heap<FixedBreak>);
subject!(ArenaHeap<FixedBreak, One>);

/// System with one slot.
struct One;

// SAFETY: the program has one thread, and no signal handler allocates.
unsafe impl Cpu for One {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        1
    }

    #[inline]
    fn enter(&self) -> usize {
        0
    }
}

/// Counts all paths. The names are those in the file.
///
/// # Errors
///
/// The machine cannot count, a trace is damaged, or a heap had no memory.
pub fn count() -> Result<Vec<(String, u64)>, String> {
    let counter = Counter::new()?;
    let mut counts = Vec::new();
    of_heap("heap", || Ok(Heap::new(memory()?)), &counter, &mut counts)?;
    of_heap("arena_heap", || Ok(ArenaHeap::new(memory()?, One)), &counter, &mut counts)?;
    Ok(counts)
}

/// Counts all paths of a heap, each in a heap of its own.
fn of_heap<S: Subject>(
    name: &str,
    make: impl Fn() -> Result<S, String>,
    counter: &Counter,
    counts: &mut Vec<(String, u64)>,
) -> Result<(), String> {
    for size in SIZES {
        let (allocate, free) = in_a_row(&mut make()?, counter, size)?;
        counts.push((format!("{name}::allocate_{size}"), allocate));
        counts.push((format!("{name}::free_{size}"), free));
        counts.push((format!("{name}::pair_{size}"), pairs(&mut make()?, counter, size)?));
        counts.push((format!("{name}::resize_{size}"), resizes(&mut make()?, counter, size)?));
    }
    for trace_name in TRACES {
        let trace = Trace::load(trace_name).map_err(|error| error.to_string())?;
        let count = replay(&mut make()?, counter, &trace)?;
        counts.push((format!("{name}::trace_{trace_name}"), count));
    }
    Ok(())
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("sizes are far below the limit")
}

fn no_memory() -> String {
    "a heap had no memory".into()
}

/// Counts blocks that are allocated one after the other, then blocks that are freed, in a heap that
/// has had the same blocks before.
fn in_a_row<S: Subject>(
    subject: &mut S,
    counter: &Counter,
    size: usize,
) -> Result<(u64, u64), String> {
    let layout = layout(size);
    let mut blocks = Vec::with_capacity(OPERATIONS);
    for _ in 0..OPERATIONS {
        // SAFETY: the heap outlives the blocks.
        blocks.push(unsafe { subject.allocate(layout) }.ok_or_else(no_memory)?);
    }
    for block in blocks.drain(..) {
        // SAFETY: the block is live and has this layout.
        unsafe { subject.deallocate(block, layout) };
    }
    let mut counts = (0, 0);
    for _ in 0..OPERATIONS {
        // SAFETY: the heap outlives the blocks.
        let block = counter.add(&mut counts.0, || unsafe { subject.allocate(layout) });
        blocks.push(block.ok_or_else(no_memory)?);
    }
    for block in blocks {
        // SAFETY: the block is live and has this layout.
        counter.add(&mut counts.1, || unsafe { subject.deallocate(block, layout) });
    }
    Ok(counts)
}

/// Counts pairs of an allocation and a free, after the same number of pairs that are not counted.
fn pairs<S: Subject>(subject: &mut S, counter: &Counter, size: usize) -> Result<u64, String> {
    let layout = layout(size);
    for _ in 0..OPERATIONS {
        // SAFETY: the heap outlives the blocks.
        let block = unsafe { subject.allocate(layout) }.ok_or_else(no_memory)?;
        // SAFETY: the block is live and has this layout.
        unsafe { subject.deallocate(block, layout) };
    }
    let mut count = 0;
    for _ in 0..OPERATIONS {
        // SAFETY: the heap outlives the blocks.
        let block = counter.add(&mut count, || unsafe { subject.allocate(layout) });
        let block = block.ok_or_else(no_memory)?;
        // SAFETY: the block is live and has this layout.
        counter.add(&mut count, || unsafe { subject.deallocate(block, layout) });
    }
    Ok(count)
}

/// Counts blocks that grow and shrink again.
fn resizes<S: Subject>(subject: &mut S, counter: &Counter, size: usize) -> Result<u64, String> {
    let mut count = 0;
    for _ in 0..OPERATIONS / 2 {
        // SAFETY: the heap outlives the blocks.
        let mut block = unsafe { subject.allocate(layout(size)) }.ok_or_else(no_memory)?;
        for (from, to) in [(size, size * GROWTH), (size * GROWTH, size)] {
            let resized = counter.add(&mut count, || {
                // SAFETY: the block is live and has this layout.
                unsafe { subject.reallocate(block, layout(from), to) }
            });
            block = resized.ok_or_else(no_memory)?;
        }
        // SAFETY: the block is live and has this layout.
        unsafe { subject.deallocate(block, layout(size)) };
    }
    Ok(count)
}

/// Counts the first operations of a trace.
fn replay<S: Subject>(subject: &mut S, counter: &Counter, trace: &Trace) -> Result<u64, String> {
    let mut count = 0;
    let mut blocks = vec![(NonNull::dangling(), Layout::new::<()>()); trace.slots()];
    for &Op { act, slot, size, align_log2 } in &trace.ops()[..OF_TRACE] {
        let slot = &mut blocks[slot as usize];
        let (block, old) = *slot;
        let align = if act == Act::Reallocate { old.align() } else { 1 << align_log2 };
        let new = Layout::from_size_align(size as usize, align).map_err(|e| e.to_string())?;
        // SAFETY: the heap outlives the blocks. A trace frees and resizes a block that is live, and
        // each has the layout of its slot.
        let block = unsafe {
            match act {
                Act::Allocate => counter.add(&mut count, || subject.allocate(new)),
                Act::AllocateZeroed => counter.add(&mut count, || subject.allocate_zeroed(new)),
                Act::Reallocate => {
                    counter.add(&mut count, || subject.reallocate(block, old, new.size()))
                }
                Act::Free | Act::Replace => {
                    counter.add(&mut count, || subject.deallocate(block, old));
                    Some(block)
                }
            }
        };
        *slot = (block.ok_or_else(no_memory)?, new);
    }
    Ok(count)
}

/// Returns a break over new memory at the address of the former heap's memory.
fn memory() -> Result<FixedBreak, String> {
    // SAFETY: the former heap is gone, and nothing else is mapped there: the address lies far from
    // programs, libraries and stacks. If it does not, the first mapping fails.
    let mapped = unsafe {
        libc::munmap(ptr::without_provenance_mut(ADDRESS), REGION);
        libc::mmap(
            ptr::without_provenance_mut(ADDRESS),
            REGION,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE
                | libc::MAP_ANONYMOUS
                | libc::MAP_NORESERVE
                | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    if mapped.addr() != ADDRESS {
        return Err(format!("no memory at {ADDRESS:#x}: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: the memory was just mapped, for this break alone, and stays until the next one.
    Ok(unsafe { FixedBreak::from_raw(mapped.cast(), REGION) })
}
