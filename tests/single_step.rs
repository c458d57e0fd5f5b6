//! A handler that allocates and frees comes after *every instruction* of long sequences of
//! `allocate`, `reallocate` and `deallocate`: the processor's trap flag makes it so. Now and then a
//! second handler comes after every instruction of the first, and a third after every instruction
//! of some of the second. For a host
//! with signals; the kernel does the same with its debug trap (`tests/qemu/single_step.rs`).

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use crate::common::host_only;
use std::alloc::Layout;
use std::arch::asm;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::common::stepping::{Guest, Host};
use brkalloc::{ArenaHeap, FixedBreak, SingleCpu};

host_only!("signals of the host step here; the kernel has a suite of its own for this");

type Heap = ArenaHeap<FixedBreak, SingleCpu>;

fn heap() -> Heap {
    let memory = vec![0; 8 << 20].leak();
    // SAFETY: nothing else uses the memory, which is never freed.
    let brk = unsafe { FixedBreak::from_raw(memory.as_mut_ptr(), memory.len()) };
    // SAFETY: one thread uses the heap, and the handler that interrupts that.
    ArenaHeap::new(brk, unsafe { SingleCpu::new() })
}

/// The heap that is single-stepped, and what its handler has.
static HEAP: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
/// Handlers that may be nested.
const DEPTH: usize = 3;

/// One operation of so many of a handler is stepped through, for each depth but the last. Primes,
/// so that every kind of operation has its turn.
const RARER: [usize; DEPTH - 1] = [1009, 2003];

/// What the handler of each depth has, and how often it came.
static GUESTS: [Guest; DEPTH] = [const { Guest::new() }; DEPTH];
static STEPS: [AtomicUsize; DEPTH] = [const { AtomicUsize::new(0) }; DEPTH];

/// Handlers that are running.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: libc::c_int) {
    // SAFETY: the pointer is set while a thread is stepped, and null otherwise.
    let Some(heap) = (unsafe { HEAP.load(Ordering::Relaxed).as_ref() }) else { return };
    let depth = RUNNING.fetch_add(1, Ordering::Relaxed);
    let steps = STEPS[depth].fetch_add(1, Ordering::Relaxed);
    let is_stepped = RARER.get(depth).is_some_and(|rarer| steps % rarer == 1);
    if is_stepped {
        set_trap_flag(true);
    }
    // The first handler finds the second arena. Those that interrupt it may be refused.
    GUESTS[depth].step(heap, depth > 0);
    if is_stepped {
        set_trap_flag(false);
    }
    RUNNING.fetch_sub(1, Ordering::Relaxed);
}

/// Sets or clears the trap flag.
fn set_trap_flag(on: bool) {
    // SAFETY: changes that flag only; with it, each instruction is followed by a signal, for which
    // there is a handler.
    unsafe {
        if on {
            asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq");
        } else {
            asm!("pushfq", "and qword ptr [rsp], -257", "popfq");
        }
    }
}

#[test]
fn a_handler_comes_after_every_instruction() {
    let action = libc::sigaction {
        sa_sigaction: handler as extern "C" fn(libc::c_int) as usize,
        // SAFETY: a set of signals is plain bits, of which none set is a valid value.
        sa_mask: unsafe { std::mem::zeroed() },
        sa_flags: libc::SA_NODEFER,
        sa_restorer: None,
    };
    // SAFETY: the handler does what one may do.
    assert_eq!(unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut()) }, 0);
    let heap = heap();
    // The arenas are made before: that is a copy of some thousand words, each of which would be a
    // step.
    a_block(&heap);
    HEAP.store((&raw const heap).cast_mut(), Ordering::Relaxed);
    let mut host = Host::new();
    for _ in 0..3 {
        set_trap_flag(true);
        host.run(&heap, 12);
        set_trap_flag(false);
        heap.check().unwrap();
    }
    set_trap_flag(true);
    host.free_all(&heap);
    set_trap_flag(false);
    HEAP.store(ptr::null_mut(), Ordering::Relaxed);
    for (guest, steps) in GUESTS.iter().zip(&STEPS) {
        guest.free_all(&heap);
        let (steps, blocks) = (steps.load(Ordering::Relaxed), guest.allocated());
        assert!(steps > 5_000 && blocks > steps / 8, "{blocks} blocks in {steps} steps");
    }
    let [first, ..] = [&GUESTS[0], &GUESTS[1], &GUESTS[2]].map(Guest::allocated);
    assert!(first > STEPS[0].load(Ordering::Relaxed) / 4, "{first} blocks of the first handler");
    // SAFETY: no other thread uses the heap.
    let exclusive = unsafe { heap.exclusive() };
    exclusive.check().unwrap();
    assert!(exclusive.dissolve());
    exclusive.trim(0);
    assert_eq!(exclusive.stats().parent.granted_bytes, 0);
}

/// Not used by the handler: blocks of both kinds can be told apart by their contents.
#[test]
fn a_block_is_found_as_it_was_left() {
    let heap = heap();
    let guest = Guest::new();
    (0..1000).for_each(|_| guest.step(&heap, false));
    assert!(guest.allocated() > 200);
    guest.free_all(&heap);
    a_block(&heap);
    heap.check().unwrap();
}

/// Allocates a block and frees it.
fn a_block(heap: &Heap) {
    let layout = Layout::new::<u64>();
    // SAFETY: the heap outlives the block.
    let block = unsafe { heap.allocate(layout) }.expect("memory");
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout) };
}
