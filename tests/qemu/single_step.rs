//! A handler that allocates and frees comes after *every instruction* of long sequences of
//! `allocate`, `reallocate` and `deallocate` in a heap of arenas: in the middle of the fast paths,
//! of the slow ones, and while the parent's lock is held.

use alloc::vec;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use brkalloc::{ArenaHeap, FixedBreak, NoMap, Profile, SingleCpu};
use kernel_demo::testing::single_step::single_step;
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;
use crate::common::stepping::{Guest, Host};

type Heap<P> = ArenaHeap<FixedBreak, SingleCpu, NoMap, P>;

/// The memory of the heap, in bytes. Its pages are there: the handler must not fault where the
/// memory manager is locked.
const SIZE: usize = 2 << 20;

/// Operations of who is interrupted, between two looks at the heap.
const OPERATIONS: usize = 60;

/// The heap, of the profile of the case that runs.
static HEAP: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
static GUEST: Guest = Guest::new();
static STEPS: AtomicUsize = AtomicUsize::new(0);

fn handler<P: Profile>() {
    STEPS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: points to the heap, of this profile, while a case steps through its operations.
    if let Some(heap) = unsafe { HEAP.load(Ordering::Relaxed).cast::<Heap<P>>().as_ref() } {
        GUEST.step(heap, false);
    }
}

#[case(Usual, Checked<Usual>)]
fn a_handler_allocates_and_frees_after_every_instruction<P: Profile>() -> CaseResult {
    let mut memory = vec![0_u8; SIZE];
    // SAFETY: the vector is used for nothing else, and stays until the end of this function.
    let brk = unsafe { FixedBreak::from_raw(memory.as_mut_ptr(), SIZE) };
    // SAFETY: there is one processor; what interrupts it ends before it goes on.
    let heap = Heap::<P>::with_profile(brk, unsafe { SingleCpu::new() }, NoMap);
    heap.prepare();
    HEAP.store((&raw const heap).cast_mut().cast(), Ordering::Relaxed);
    let (mut host, allocated) = (Host::new(), GUEST.allocated());
    for _ in 0..5 {
        single_step(handler::<P>, || host.run(&heap, OPERATIONS));
        heap.check().or_fail("a sound heap between two steps")?;
    }
    single_step(handler::<P>, || host.free_all(&heap));
    single_step(handler::<P>, || heap.flush());
    HEAP.store(ptr::null_mut(), Ordering::Relaxed);
    GUEST.free_all(&heap);
    let (steps, allocated) = (STEPS.swap(0, Ordering::Relaxed), GUEST.allocated() - allocated);
    ensure!(steps > 50_000 && allocated > steps / 4);
    // SAFETY: the handler and the operations that it interrupted have ended.
    let exclusive = unsafe { heap.exclusive() };
    exclusive.check().or_fail("sound heaps at the end")?;
    ensure!(exclusive.dissolve());
    exclusive.trim(0);
    ensure_eq!(exclusive.stats().parent.granted_bytes, 0);
    Ok(())
}
