//! Replays a trace on every heap of this project, and on a model of the blocks' contents.
//!
//! ```text
//!   trace ──► SimpleHeap · Plain · Usual · Checked · ArenaHeap    with room, then in a small memory
//!               │ a block is filled; when it moves or is freed, it holds what the model says
//!               └ in the end nothing is live: what a fresh heap grants, this one grants at once
//! ```
//!
//! In a small memory some requests are refused. Then the condition that suffices for success must
//! not hold: no free cell of the heap may be large enough for the block. A slot whose block was
//! refused stays empty in that heap alone. Every some thousand calls, and in the end, each heap's
//! `check()` must find nothing.

mod heaps;

use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

use brkalloc::{
    ArenaHeap, Checked, FixedBreak, Locked, LockedHeap, NoMap, Plain, SimpleHeap, SingleCpu, Usual,
};

use self::heaps::Replayed;
use crate::memory::{self, Pages};
use crate::trace::{Act, Op, Trace};

/// Calls between two verifications of the whole heap.
const CHECK_EVERY: usize = 10_000;

/// Alignment that every block has, so that the size alone decides if a cell fits.
const ALIGN: usize = 16;

/// Fault that a replay found: in which heap, at which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    heap: &'static str,
    call: usize,
    what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, call {}: {}", self.heap, self.call, self.what)
    }
}

/// Work of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Calls.
    pub calls: usize,
    /// Bytes that were compared with the model.
    pub compared: usize,
    /// Requests that were refused.
    pub refused: usize,
}

/// A live block: where it is, its layout, and which contents it has by the model.
#[derive(Clone, Copy)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    stamp: u8,
}

/// The byte of a block's contents at an index.
const fn contents(stamp: u8, index: usize) -> u8 {
    stamp.wrapping_add((index as u8).wrapping_mul(31)) ^ (index >> 8) as u8
}

impl Block {
    /// Writes the contents from an index on.
    fn fill(&self, from: usize) {
        for index in from..self.layout.size() {
            // SAFETY: inside the block, which is live.
            unsafe { self.start.add(index).write(contents(self.stamp, index)) };
        }
    }

    /// The index of the first of `len` bytes that is not as the model says.
    fn first_difference(&self, len: usize) -> Option<usize> {
        // SAFETY: inside the block, which is live, and was filled.
        let bytes = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), len) };
        (0..len).find(|&index| bytes[index] != contents(self.stamp, index))
    }
}

/// Replays the trace on every heap, with room and in a small memory, and returns what each did.
///
/// # Errors
///
/// The first difference.
pub fn replay(trace: &Trace) -> Result<Vec<(&'static str, Replay)>, Difference> {
    let mut done = Vec::new();
    let peak = trace.peak_live();
    for len in [8 * peak + (16 << 20), peak + peak / 16 + (64 << 10)] {
        done.push(on::<Locked<SimpleHeap<FixedBreak>>>(trace, len)?);
        done.push(on::<LockedHeap<FixedBreak, NoMap, Plain>>(trace, len)?);
        done.push(on::<LockedHeap<FixedBreak, NoMap, Usual>>(trace, len)?);
        done.push(on::<LockedHeap<FixedBreak, NoMap, Checked>>(trace, len)?);
        done.push(on::<ArenaHeap<FixedBreak, SingleCpu>>(trace, len)?);
    }
    Ok(done)
}

fn fresh<H: Replayed>(len: usize) -> H {
    let region = memory::region(len, Pages::OnTouch).expect("addresses for a heap");
    // SAFETY: a new region, which nothing else uses and which is never unmapped.
    unsafe { H::new(region) }
}

fn on<H: Replayed>(trace: &Trace, len: usize) -> Result<(&'static str, Replay), Difference> {
    let heap = fresh::<H>(len);
    let mut blocks: Vec<Option<Block>> = vec![None; trace.slots()];
    let mut replay = Replay::default();
    for &op in trace.ops() {
        replay.calls += 1;
        let slot = &mut blocks[op.slot as usize];
        call(&heap, op, slot, &mut replay)
            .and_then(|()| match replay.calls % CHECK_EVERY {
                0 => heap.check(),
                _ => Ok(()),
            })
            .map_err(|what| Difference { heap: H::NAME, call: replay.calls, what })?;
    }
    let found = |what| Difference { heap: H::NAME, call: replay.calls, what };
    heap.check().map_err(found)?;
    if H::IS_FRESH_WHEN_EMPTY {
        nothing_live(&heap, len).map_err(found)?;
    }
    Ok((H::NAME, replay))
}

/// Makes one call, and compares.
fn call(
    heap: &impl Replayed,
    op: Op,
    slot: &mut Option<Block>,
    replay: &mut Replay,
) -> Result<(), String> {
    if matches!(op.act, Act::Free | Act::Replace)
        && let Some(block) = slot.take()
    {
        compare(&block, block.layout.size(), replay)?;
        // SAFETY: live until now, with this layout.
        unsafe { heap.dealloc(block.start.as_ptr(), block.layout) };
    }
    let stamp = (replay.calls as u8).wrapping_mul(7);
    match (op.act, *slot) {
        (Act::Free, _) | (Act::Reallocate, None) => {}
        (Act::Reallocate, Some(block)) => {
            let (old, size) = (block.layout.size(), op.size as usize);
            compare(&block, old, replay)?;
            // SAFETY: live, with this layout; the size is not 0.
            let resized = unsafe { heap.realloc(block.start.as_ptr(), block.layout, size) };
            match NonNull::new(resized) {
                Some(start) => {
                    let layout = Layout::from_size_align(size, block.layout.align())
                        .map_err(|error| error.to_string())?;
                    let new = Block { start, layout, ..block };
                    compare(&new, old.min(size), replay)?;
                    new.fill(old.min(size));
                    *slot = Some(new);
                }
                None => {
                    refused(heap, op, replay)?;
                    compare(&block, old, replay)?;
                }
            }
        }
        (Act::Allocate | Act::AllocateZeroed | Act::Replace, _) => {
            let is_zeroed = op.act == Act::AllocateZeroed;
            let layout = op.layout();
            // SAFETY: the size is not 0: the invariant of `Op`. The heap outlives its blocks.
            let start =
                unsafe { if is_zeroed { heap.alloc_zeroed(layout) } else { heap.alloc(layout) } };
            let Some(start) = NonNull::new(start) else { return refused(heap, op, replay) };
            if !start.addr().get().is_multiple_of(layout.align()) {
                return Err(format!("{start:?} is not aligned to {}", layout.align()));
            }
            // SAFETY: a new block of that size, which is zeroed.
            let is_zero = |index| unsafe { start.add(index).read() } == 0;
            if is_zeroed && !(0..layout.size()).all(is_zero) {
                return Err(format!("a zeroed block of {} bytes is not zero", layout.size()));
            }
            let block = Block { start, layout, stamp };
            block.fill(0);
            *slot = Some(block);
        }
    }
    Ok(())
}

fn compare(block: &Block, len: usize, replay: &mut Replay) -> Result<(), String> {
    replay.compared += len;
    match block.first_difference(len) {
        None => Ok(()),
        Some(index) => {
            Err(format!("byte {index} of a block of {} is not as it was", block.layout.size()))
        }
    }
}

/// A refusal is right only if no free cell is large enough.
fn refused(heap: &impl Replayed, op: Op, replay: &mut Replay) -> Result<(), String> {
    replay.refused += 1;
    let (size, largest) = (op.size as usize, heap.largest_free());
    if op.act != Act::Reallocate && op.layout().align() <= ALIGN && largest >= size {
        return Err(format!("{size} bytes were refused, and a free cell has {largest}"));
    }
    Ok(())
}

/// Nothing is live: the heap grants at the first request what a fresh one grants. A heap is fresh
/// that has allocated and freed one byte: an arena stays with its slot once there is one.
fn nothing_live<H: Replayed>(heap: &H, len: usize) -> Result<(), String> {
    let layout = |size| Layout::from_size_align(size, ALIGN).expect("a size below a region's");
    // SAFETY: no size is 0, and each heap outlives its blocks.
    let allocate = |heap: &H, size| NonNull::new(unsafe { heap.alloc(layout(size)) });
    let (mut granted, mut refused) = (0, len + 1);
    while refused - granted > 1 {
        let size = granted + (refused - granted) / 2;
        let other = fresh::<H>(len);
        let byte = allocate(&other, 1).ok_or("a fresh heap refuses one byte")?;
        // SAFETY: live, with this layout.
        unsafe { other.dealloc(byte.as_ptr(), layout(1)) };
        match allocate(&other, size) {
            Some(_) => granted = size,
            None => refused = size,
        }
    }
    // A checked heap keeps freed blocks in quarantine until memory is short.
    match allocate(heap, granted) {
        Some(block) => {
            // SAFETY: live, with this layout.
            unsafe { heap.dealloc(block.as_ptr(), layout(granted)) };
            heap.check()
        }
        None => Err(format!(
            "nothing is live, a fresh heap grants {granted} of {len} bytes, and this one does not"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::GlobalAlloc;

    use super::*;
    use crate::trace::Name;

    /// The first calls of a trace, and then a free of each block that is live.
    fn beginning(trace: &Trace, calls: usize) -> Trace {
        let mut ops = trace.ops()[..calls].to_vec();
        let mut live = vec![false; trace.slots()];
        ops.iter().for_each(|op| live[op.slot as usize] = op.act != Act::Free);
        let slots = (0..).zip(live).filter(|(_, live)| *live);
        let free = |(slot, _)| Op { act: Act::Free, align_log2: 3, slot, size: 0 };
        ops.extend(slots.map(free));
        Trace::new(ops, trace.slots()).unwrap()
    }

    #[test]
    fn every_heap_replays_the_beginnings_of_the_stored_traces() {
        for name in Name::ALL {
            let trace = beginning(&Trace::load(name).unwrap(), 20_000);
            let done = replay(&trace).unwrap_or_else(|difference| panic!("{name}: {difference}"));
            assert_eq!(done.len(), 10);
            assert!(done.iter().all(|(_, replay)| replay.calls == trace.ops().len()));
            assert!(done.iter().all(|(_, replay)| replay.compared > trace.peak_live()));
            assert!(done[..5].iter().all(|(_, replay)| replay.refused == 0), "{done:?}");
            assert!(done[5..].iter().any(|(_, replay)| replay.refused > 0), "{done:?}");
        }
    }

    /// Returns one block for every request, and resizes none.
    struct Same(NonNull<[u8]>);

    // SAFETY: a wrong allocator, whose blocks no caller uses but the replay, which finds that out.
    unsafe impl GlobalAlloc for Same {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            self.0.as_ptr().cast()
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

        unsafe fn alloc_zeroed(&self, _: Layout) -> *mut u8 {
            self.0.as_ptr().cast()
        }

        unsafe fn realloc(&self, _: *mut u8, _: Layout, _: usize) -> *mut u8 {
            std::ptr::null_mut()
        }
    }

    impl Replayed for Same {
        const NAME: &'static str = "Same";

        unsafe fn new(region: NonNull<[u8]>) -> Self {
            Self(region)
        }

        fn check(&self) -> Result<(), String> {
            Ok(())
        }

        fn largest_free(&self) -> usize {
            self.0.len()
        }
    }

    fn trace(acts: &[(Act, u32, u32)]) -> Trace {
        let op = |&(act, slot, size)| Op { act, align_log2: 3, slot, size };
        Trace::new(acts.iter().map(op).collect(), 2).unwrap()
    }

    #[test]
    fn a_block_that_is_two_blocks_is_found() {
        let two = [(Act::Allocate, 0, 40), (Act::Allocate, 1, 40)];
        let both = trace(&[two[0], two[1], (Act::Free, 0, 0), (Act::Free, 1, 0)]);
        let difference = on::<Same>(&both, 1 << 20).unwrap_err();
        assert_eq!(
            difference.to_string(),
            "Same, call 3: byte 0 of a block of 40 is not as it was"
        );
    }

    #[test]
    fn a_block_that_is_not_zero_and_a_refusal_without_need_are_found() {
        let dirty = trace(&[
            (Act::Allocate, 0, 9),
            (Act::Free, 0, 0),
            (Act::AllocateZeroed, 0, 9),
            (Act::Free, 0, 0),
        ]);
        let difference = on::<Same>(&dirty, 1 << 20).unwrap_err();
        assert_eq!(difference.what, "a zeroed block of 9 bytes is not zero");
        let op = Op { act: Act::Allocate, align_log2: 3, slot: 0, size: 9 };
        let heap = fresh::<Same>(1 << 20);
        let found = refused(&heap, op, &mut Replay::default()).unwrap_err();
        assert_eq!(found, "9 bytes were refused, and a free cell has 1048576");
    }
}
