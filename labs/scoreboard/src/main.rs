//! Replays the stored traces on one heap, and writes a line for each: the trace, utilisation, and
//! operations per second. `grade scoreboard` runs it once for each heap, in a process of its own.
//!
//! Utilisation is the most bytes that were live at a time, divided by the most that the heap took
//! from its break.
//!
//! The traces' reader is that of the benchmarks, whose package brings peers that take minutes to
//! compile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use brkalloc::{ArenaHeap, Cpu, FixedBreak, Locked, LockedHeap, SimpleHeap};
use clap::{Parser, ValueEnum};

use memory::{Pages, region};
use trace::{Act, Name, Op, Trace};
use watched::{WatchedBreak, take_most_granted};

#[allow(dead_code, reason = "the benchmarks measure on one core, with small pages")]
#[path = "../../../benches/src/memory.rs"]
mod memory;
#[allow(dead_code, unused_imports, reason = "the benchmarks read and write traces of any form")]
#[path = "../../../benches/src/trace/mod.rs"]
mod trace;
#[path = "../../../benches/src/watched.rs"]
mod watched;

/// Bytes of the memory under each heap.
const MEMORY: usize = 256 << 20;

/// Replays of a trace, of which the fastest counts, unless one takes longer than `SLOW`.
const ROUNDS: usize = 3;

/// Time after which a trace is not replayed again.
const SLOW: Duration = Duration::from_secs(2);

/// A heap on which traces are replayed.
#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// `SimpleHeap`, of which labs 1 to 4 write the parts.
    Simple,
    /// `ArenaHeap` with two slots, each of which frees what the other has allocated (lab 9).
    Arenas,
    /// `Heap`.
    Heap,
    /// The C library's `malloc`, for its throughput.
    System,
}

/// Replays traces of real programs on a heap.
#[derive(Parser)]
struct Arguments {
    subject: Subject,
}

fn main() -> Result<(), Box<dyn Error>> {
    let subject = Arguments::parse().subject;
    for name in Name::ALL {
        let trace = Trace::load(name)?;
        let (mut best, mut most) = (Duration::MAX, 0);
        for _ in 0..ROUNDS {
            let time = match subject {
                Subject::Simple => {
                    let heap: Locked<_> = Locked::from_heap(SimpleHeap::new(watched()?));
                    replay(&heap, &trace)
                }
                Subject::Heap => replay(&LockedHeap::new(watched()?), &trace),
                Subject::Arenas => replay(&ArenaHeap::new(watched()?, TwoSlots), &trace),
                Subject::System => replay(&System, &trace),
            }?;
            best = best.min(time);
            most = take_most_granted();
            if best > SLOW {
                break;
            }
        }
        let share = if most == 0 { 1.0 } else { trace.peak_live() as f64 / most as f64 };
        println!("{name} {share:.3} {:.0}", trace.ops().len() as f64 / best.as_secs_f64());
    }
    Ok(())
}

/// Replays a trace, and writes the first byte of each block. Slot 0 allocates, slot 1 frees.
/// Returns how long it took.
fn replay(heap: &impl GlobalAlloc, trace: &Trace) -> Result<Duration, String> {
    let mut blocks: Vec<Option<(NonNull<u8>, Layout)>> = vec![None; trace.slots()];
    let begun = Instant::now();
    for &op in trace.ops() {
        let block = &mut blocks[op.slot as usize];
        *block = step(heap, op, *block)
            .map_err(|()| format!("out of memory: {} bytes, {MEMORY} are there", op.size))?;
    }
    Ok(begun.elapsed())
}

/// Does one operation on a slot of the trace. Returns what is in the slot then.
fn step(
    heap: &impl GlobalAlloc,
    op: Op,
    slot: Option<(NonNull<u8>, Layout)>,
) -> Result<Option<(NonNull<u8>, Layout)>, ()> {
    let live = || slot.expect("a trace frees and changes full slots only");
    SLOT.store(usize::from(op.act == Act::Free), Relaxed);
    // SAFETY: the heap outlives the blocks; a block in a slot is live and has the slot's layout; no
    // size of a trace is 0.
    let (block, layout) = unsafe {
        match op.act {
            Act::Allocate => (heap.alloc(op.layout()), op.layout()),
            Act::AllocateZeroed => (heap.alloc_zeroed(op.layout()), op.layout()),
            Act::Reallocate => {
                let (block, old) = live();
                let new = Layout::from_size_align(op.size as usize, old.align());
                (heap.realloc(block.as_ptr(), old, op.size as usize), new.map_err(|_| ())?)
            }
            Act::Free | Act::Replace => {
                let (block, old) = live();
                heap.dealloc(block.as_ptr(), old);
                return Ok(None);
            }
        }
    };
    let block = NonNull::new(block).ok_or(())?;
    // SAFETY: the block is the caller's, and has a byte.
    unsafe { block.write(1) };
    Ok(Some((block, layout)))
}

/// A break over new memory.
fn watched() -> std::io::Result<WatchedBreak> {
    let memory = region(MEMORY, Pages::OnTouch)?;
    // SAFETY: the memory is new, and only this break has it.
    Ok(WatchedBreak(unsafe { FixedBreak::from_raw(memory.cast().as_ptr(), memory.len()) }))
}

/// Slot of the caller.
static SLOT: AtomicUsize = AtomicUsize::new(0);

/// Two slots, of which this process's one thread chooses.
struct TwoSlots;

// SAFETY: one thread calls, and does not change the slot in the middle of a call.
unsafe impl Cpu for TwoSlots {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        2
    }

    fn enter(&self) -> usize {
        SLOT.load(Relaxed)
    }

    fn barrier(&self) -> bool {
        true
    }
}
