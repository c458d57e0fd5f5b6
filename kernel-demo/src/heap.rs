//! The kernel's own heap: brkalloc over a break whose pages appear when they are touched, with an
//! arena for each CPU.
//!
//! The break is strict, so an allocation that cannot be backed fails when it is made: `try_reserve`
//! and its like return an error, everything else ends in a panic that names the size. A touch never
//! fails.
//!
//! [`Arenas`] and [`OneLock`] are the same heap, shared in two ways. [`HEAP`] is the first one, or,
//! with the feature `one-lock`, the second.

pub mod guarded;

use core::hint::black_box;

use alloc::boxed::Box;
use brkalloc::{ArenaHeap, CellInfo, CellState, Cpu, Heap, Locked, NoMap, Trim};

use crate::cpu::lock::HeapLock;
use crate::cpu::{self, MAX_CPUS, request, work};
use crate::memory::kernel_break::KernelBreak;
use crate::story::{self, Cells};

/// The heap's profile. In the suite, a misuse of the heap by the kernel ends the case.
#[cfg(not(feature = "suite"))]
pub type Profile = brkalloc::Usual;
/// The heap's profile. In the suite, a misuse of the heap by the kernel ends the case.
#[cfg(feature = "suite")]
pub type Profile = brkalloc::Checked;

/// An arena for each CPU: a block is allocated and freed without a lock.
pub type Arenas = ArenaHeap<KernelBreak, Cpus, NoMap, Profile, HeapLock>;

/// One heap behind one lock, of which no handler of an interrupt allocates.
pub type OneLock = Locked<Heap<KernelBreak, NoMap, Profile>, HeapLock>;

/// The global allocator.
#[cfg(not(feature = "one-lock"))]
#[global_allocator]
pub static HEAP: Arenas = Arenas::with_profile(KernelBreak::of_kernel_heap(), Cpus, NoMap);

/// The global allocator.
#[cfg(feature = "one-lock")]
#[global_allocator]
pub static HEAP: OneLock =
    OneLock::from_heap(Heap::with_profile(KernelBreak::of_kernel_heap(), NoMap));

/// The CPUs, as the slots of a heap.
#[derive(Debug)]
pub struct Cpus;

#[allow(unsafe_code)]
// SAFETY: code of the kernel stays on its CPU, and what interrupts it returns before it goes on. A
// CPU that has answered a request has executed a serializing instruction since it was asked.
unsafe impl Cpu for Cpus {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        MAX_CPUS
    }

    #[inline]
    fn enter(&self) -> usize {
        cpu::number()
    }

    fn barrier(&self) -> bool {
        request::barrier();
        true
    }
}

/// Gives each CPU its arena. So what arenas take is taken when the kernel comes up.
pub fn prepare() {
    work::on_all(&|| drop(black_box(Box::new(0_u64))));
}

/// Gives back a slice of what the heap does not use. `false` if there is more.
pub fn trim_slice() -> bool {
    // The break moves down here alone: a segment that becomes free meanwhile does not move it.
    HEAP.set_trim(Trim::NEVER);
    HEAP.flush();
    let free = top();
    let given_back = HEAP.trim(free.saturating_sub(SLICE));
    HEAP.set_trim(Trim::DEFAULT);
    // Less than a page stays.
    free <= SLICE || given_back == 0
}

/// Bytes by which the break moves down at once.
const SLICE: usize = 256 << 10;

/// Returns the size of the free memory at the break. O(cells).
fn top() -> usize {
    let is_top = |cell: &CellInfo| cell.state == CellState::Top;
    let top = with_break(|heap| heap.cells().last().filter(is_top).map(|top| top.size));
    top.flatten().unwrap_or(0)
}

/// Runs `look` with the heap over the break: the one that arenas are made of, if there are arenas.
fn with_break<R>(look: impl FnOnce(&Heap<KernelBreak, NoMap, Profile>) -> R) -> Option<R> {
    #[cfg(feature = "one-lock")]
    return Some(HEAP.inspect(look));
    #[cfg(not(feature = "one-lock"))]
    HEAP.with_parent(look)
}

/// Tells the cells of the kernel's heap, if a story is told: those that arenas are made of, and
/// those of each CPU's arena.
pub fn tell() {
    if !story::is_on() {
        return;
    }
    with_break(|heap| {
        let mut cells = Cells::new(0, PARENT);
        heap.cells().for_each(|cell| cells.push(&cell));
        cells.finish();
    });
    #[cfg(not(feature = "one-lock"))]
    work::on_all(&|| {
        let mut cells = Cells::new(0, PARENT + 1 + cpu::number() as u64);
        HEAP.for_each_cell(|cell| cells.push(&cell));
        cells.finish();
    });
}

/// The number by which a story names what arenas are made of; those of the CPUs follow. No heap has
/// such an address.
const PARENT: u64 = 1;
