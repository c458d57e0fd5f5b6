//! Replays the stored traces on one heap, and writes a line for each: the trace, utilisation, and
//! operations per second. `grade scoreboard` runs it once for each heap, in a process of its own.
//!
//! Utilisation is the most bytes that were live at a time, divided by the most that the heap took
//! from its break.
//!
//! The traces' reader is that of the benchmarks, whose package brings peers that take minutes to
//! compile.

use std::alloc::{GlobalAlloc as _, Layout, System};
use std::error::Error;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use brkalloc::{ArenaHeap, Break, BreakError, Cpu, FixedBreak, Heap, RawHeap, SimpleHeap};
use clap::{Parser, ValueEnum};

use memory::{Pages, region};
use trace::{Name, Trace};
use workload::{Act, Op};

#[allow(dead_code, reason = "the benchmarks measure on one core, with small pages")]
#[path = "../../../benches/src/memory.rs"]
mod memory;
#[allow(dead_code, unused_imports, reason = "the benchmarks read and write traces of any form")]
#[path = "../../../benches/src/trace/mod.rs"]
mod trace;
mod workload;

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
            MOST.store(0, Relaxed);
            let time = match subject {
                Subject::Simple => replay(&mut SimpleHeap::new(watched()?), &trace),
                Subject::Heap => replay(&mut Heap::new(watched()?), &trace),
                Subject::Arenas => replay(&mut Arenas::new(watched()?), &trace),
                Subject::System => replay(&mut Libc, &trace),
            }?;
            best = best.min(time);
            most = MOST.load(Relaxed);
            if best > SLOW {
                break;
            }
        }
        let share = if most == 0 { 1.0 } else { trace.peak_live() as f64 / most as f64 };
        println!("{name} {share:.3} {:.0}", trace.ops().len() as f64 / best.as_secs_f64());
    }
    Ok(())
}

/// What a trace needs of a heap.
trait Replayed {
    /// # Safety
    ///
    /// As for [`RawHeap::allocate`].
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    ///
    /// As for [`RawHeap::allocate_zeroed`].
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    ///
    /// As for [`RawHeap::deallocate`].
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// # Safety
    ///
    /// As for [`RawHeap::reallocate`].
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>>;
}

impl<H: RawHeap> Replayed for H {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { RawHeap::allocate(self, layout) }
    }

    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { RawHeap::allocate_zeroed(self, layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { RawHeap::deallocate(self, block, layout) };
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        unsafe { RawHeap::reallocate(self, block, layout, new_size) }
    }
}

/// Replays a trace, and writes the first byte of each block. Returns how long it took.
fn replay(heap: &mut impl Replayed, trace: &Trace) -> Result<Duration, String> {
    let mut blocks: Vec<Option<(NonNull<u8>, Layout)>> = vec![None; trace.slots()];
    let begun = Instant::now();
    for op in trace.ops() {
        let slot = &mut blocks[op.slot as usize];
        *slot = step(heap, op, *slot)
            .map_err(|()| format!("out of memory: {} bytes, {MEMORY} are there", op.size))?;
    }
    Ok(begun.elapsed())
}

/// Does one operation on a slot. Returns what is in the slot then.
fn step(
    heap: &mut impl Replayed,
    op: &Op,
    slot: Option<(NonNull<u8>, Layout)>,
) -> Result<Option<(NonNull<u8>, Layout)>, ()> {
    let layout = Layout::from_size_align(op.size as usize, 1 << op.align_log2).map_err(|_| ())?;
    let live = || slot.expect("a trace frees and changes full slots only");
    // SAFETY: the heap outlives the blocks; a block in a slot is live and has the slot's layout.
    let block = unsafe {
        match op.act {
            Act::Allocate => heap.allocate(layout),
            Act::AllocateZeroed => heap.allocate_zeroed(layout),
            Act::Reallocate => {
                let (block, old) = live();
                let new = heap.reallocate(block, old, layout.size());
                return new.map(|new| Some((new, old_with(old, layout)))).ok_or(());
            }
            Act::Free | Act::Replace => {
                let (block, old) = live();
                heap.deallocate(block, old);
                return Ok(None);
            }
        }
    };
    let block = block.ok_or(())?;
    // SAFETY: the block is new and has a byte.
    unsafe { block.write(1) };
    Ok(Some((block, layout)))
}

/// The layout of a block that was resized: the old alignment, the new size.
fn old_with(old: Layout, new: Layout) -> Layout {
    Layout::from_size_align(new.size(), old.align()).expect("both parts are those of layouts")
}

/// Most bytes that the break had granted at a time.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// [`FixedBreak`] that notes its highest position.
struct Watched(FixedBreak);

/// A break over new memory.
fn watched() -> std::io::Result<Watched> {
    let memory = region(MEMORY, Pages::OnTouch)?;
    // SAFETY: the memory is new, and only this break has it.
    Ok(Watched(unsafe { FixedBreak::from_raw(memory.cast().as_ptr(), memory.len()) }))
}

// SAFETY: what `FixedBreak` guarantees: each method calls its method of the same name.
unsafe impl Break for Watched {
    const ZEROED: bool = FixedBreak::ZEROED;

    fn granule(&self) -> usize {
        self.0.granule()
    }

    fn end(&self) -> *mut u8 {
        self.0.end()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let grant = self.0.grow(by)?;
        MOST.fetch_max(self.0.len() - self.0.remaining(), Relaxed);
        Ok(grant)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.0.shrink(by) }
    }
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

/// Arenas: slot 0 allocates, slot 1 frees.
struct Arenas(ArenaHeap<Watched, TwoSlots>);

impl Arenas {
    fn new(brk: Watched) -> Self {
        Self(ArenaHeap::new(brk, TwoSlots))
    }
}

impl Replayed for Arenas {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        SLOT.store(0, Relaxed);
        // SAFETY: the clause is that of this method.
        unsafe { self.0.allocate(layout) }
    }

    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        SLOT.store(0, Relaxed);
        // SAFETY: the clause is that of this method.
        unsafe { self.0.allocate_zeroed(layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        SLOT.store(1, Relaxed);
        // SAFETY: the clause is that of this method.
        unsafe { self.0.deallocate(block, layout) };
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        SLOT.store(0, Relaxed);
        // SAFETY: the clause is that of this method.
        unsafe { self.0.reallocate(block, layout, new_size) }
    }
}

/// The C library's `malloc`.
struct Libc;

impl Replayed for Libc {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: traces have no blocks of 0 bytes.
        NonNull::new(unsafe { System.alloc(layout) })
    }

    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: traces have no blocks of 0 bytes.
        NonNull::new(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        NonNull::new(unsafe { System.realloc(block.as_ptr(), layout, new_size) })
    }
}
