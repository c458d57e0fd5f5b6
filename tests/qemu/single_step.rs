//! A handler that allocates and frees comes after *every instruction* of long sequences of
//! `allocate`, `reallocate` and `deallocate` in a heap of arenas: in the middle of the fast paths,
//! of the slow ones, and while the parent's lock is held.

use alloc::vec;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use brkalloc::{ArenaHeap, FixedBreak, SingleCpu};
use kernel_demo::arch::single_step::single_step;
use kernel_demo::testing::{Case, CaseResult, OrFail, Run};
use kernel_demo::{ensure, ensure_eq};

use crate::common::stepping::{Guest, Host};

pub const CASES: &[Case] = &[Case {
    name: "single_step::a_handler_allocates_and_frees_after_every_instruction",
    run: Run::Function(a_handler_allocates_and_frees_after_every_instruction),
}];

type Heap = ArenaHeap<FixedBreak, SingleCpu>;

/// The memory of the heap, in bytes. Its pages are there: the handler must not fault where the
/// memory manager is locked.
const SIZE: usize = 2 << 20;

/// Operations of who is interrupted, between two looks at the heap.
const OPERATIONS: usize = 60;

static HEAP: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
static GUEST: Guest = Guest::new();
static STEPS: AtomicUsize = AtomicUsize::new(0);

fn handler() {
    STEPS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: set as long as somebody is stepped.
    if let Some(heap) = unsafe { HEAP.load(Ordering::Relaxed).as_ref() } {
        GUEST.step(heap);
    }
}

fn a_handler_allocates_and_frees_after_every_instruction() -> CaseResult {
    let mut memory = vec![0_u8; SIZE];
    // SAFETY: the vector is used for nothing else, and stays until the end of this function.
    let brk = unsafe { FixedBreak::from_raw(memory.as_mut_ptr(), SIZE) };
    // SAFETY: there is one processor; what interrupts it ends before it goes on.
    let heap: Heap = ArenaHeap::new(brk, unsafe { SingleCpu::new() });
    heap.prepare();
    HEAP.store((&raw const heap).cast_mut(), Ordering::Relaxed);
    let mut host = Host::new();
    for _ in 0..5 {
        single_step(handler, || host.run(&heap, OPERATIONS));
        heap.check().or_fail("a sound heap between two steps")?;
    }
    single_step(handler, || host.free_all(&heap));
    single_step(handler, || heap.flush());
    HEAP.store(ptr::null_mut(), Ordering::Relaxed);
    GUEST.free_all(&heap);
    let steps = STEPS.swap(0, Ordering::Relaxed);
    ensure!(steps > 50_000 && GUEST.allocated() > steps / 4);
    // SAFETY: there is nobody else.
    let quiet = unsafe { heap.quiet() };
    quiet.check().or_fail("sound heaps at the end")?;
    ensure!(quiet.dissolve());
    quiet.trim(0);
    ensure_eq!(quiet.stats().parent.granted_bytes, 0);
    Ok(())
}
