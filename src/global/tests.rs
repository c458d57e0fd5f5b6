//! A misuse of a checked heap stops the program with a message, whatever wraps the heap: a panic
//! does not unwind out of a global allocator.

use std::boxed::Box;
use std::env;
use std::process::Command;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::failing::Failing;
use crate::ledger::Ledger;
use crate::locked::LockedHeap;
use crate::profile::Checked;
use crate::provider::{FixedBreak, GuardPages, MapError, NoMap, SingleCpu};
use crate::reserve::ReserveHeap;
use crate::sampled::Sampled;
use crate::tagged::TaggedHeap;
use crate::trace::NoSites;

/// Set in a child process, which runs one test and must not come to its end.
const CHILD: &str = "BRKALLOC_MISUSES";

const LEN: usize = 1 << 20;

const LAYOUT: Layout = Layout::new::<[u64; 8]>();

/// No addresses to reserve.
struct NoPages;

// SAFETY: it reserves nothing.
unsafe impl GuardPages for NoPages {
    fn granule(&self) -> usize {
        4096
    }

    fn reserve(&mut self, _: usize) -> Result<NonNull<u8>, MapError> {
        Err(MapError::OutOfMemory)
    }

    unsafe fn open(&mut self, _: NonNull<u8>, _: usize) -> Result<(), MapError> {
        Err(MapError::Refused)
    }

    unsafe fn close(&mut self, _: NonNull<u8>, _: usize) -> Result<(), MapError> {
        Err(MapError::Refused)
    }
}

fn memory() -> FixedBreak {
    FixedBreak::from_array(Box::leak(Box::new([0; LEN])))
}

fn locked() -> LockedHeap<FixedBreak, NoMap, Checked> {
    Locked::from_heap(crate::heap::Heap::with_profile(memory(), NoMap))
}

fn arenas() -> ArenaHeap<FixedBreak, SingleCpu, NoMap, Checked> {
    // SAFETY: the heap is used by one thread.
    ArenaHeap::with_profile(memory(), unsafe { SingleCpu::new() }, NoMap)
}

fn tagged() -> TaggedHeap<1, Checked> {
    let heap = TaggedHeap::empty();
    let memory = Box::leak(Box::new([0_u8; LEN]));
    // SAFETY: nothing else uses the array.
    unsafe { heap.init(0, memory.as_mut_ptr(), LEN).unwrap() };
    heap
}

/// Frees a block twice.
fn double_free(heap: &impl GlobalAlloc) {
    // SAFETY: none of it holds the second time: the heap finds that.
    unsafe {
        let block = heap.alloc(LAYOUT);
        heap.dealloc(block, LAYOUT);
        heap.dealloc(block, LAYOUT);
    }
}

/// Writes to a block of a slab after it was freed, and allocates it again.
fn write_after_free(heap: &impl GlobalAlloc) {
    // SAFETY: the write breaks the clauses: the heap finds that.
    unsafe {
        let blocks: Vec<_> = (0..1000).map(|_| heap.alloc(LAYOUT)).collect();
        heap.dealloc(blocks[999], LAYOUT);
        blocks[999].add(40).write(0);
        for _ in 0..1000 {
            heap.alloc(LAYOUT);
        }
    }
}

/// Resizes a block with a wrong layout.
fn wrong_layout(heap: &impl GlobalAlloc) {
    // SAFETY: the layout is not the block's: the heap finds that.
    unsafe { heap.realloc(heap.alloc(LAYOUT), Layout::new::<[u64; 9]>(), 100) };
}

/// Runs each misuse in a process of its own, with this test's name. It must abort.
fn aborts<H: GlobalAlloc>(test: &str, heap: fn() -> H) {
    let misuses: [fn(&H); 3] = [double_free, write_after_free, wrong_layout];
    if let Ok(number) = env::var(CHILD) {
        return misuses[number.parse::<usize>().unwrap()](&heap());
    }
    let test = std::format!("global::tests::{test}");
    for number in 0..misuses.len() {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([&test, "--exact", "--nocapture"]).env(CHILD, std::format!("{number}"));
        let output = command.env("RUST_BACKTRACE", "0").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let is_stopped = said.contains("a misuse of the global allocator");
        assert!(is_stopped && !output.status.success(), "misuse {number}: {output:?}");
    }
}

#[test]
fn a_misuse_of_a_locked_heap_aborts() {
    aborts("a_misuse_of_a_locked_heap_aborts", locked);
}

#[test]
fn a_misuse_of_arenas_aborts() {
    aborts("a_misuse_of_arenas_aborts", arenas);
}

#[test]
fn a_misuse_of_tagged_regions_aborts() {
    aborts("a_misuse_of_tagged_regions_aborts", tagged);
}

#[test]
fn a_misuse_of_a_heap_with_a_reserve_aborts() {
    let heap = || ReserveHeap::<_>::new(locked());
    aborts("a_misuse_of_a_heap_with_a_reserve_aborts", heap);
}

#[test]
fn a_misuse_of_sampled_arenas_aborts() {
    let heap = || Sampled::<_, _>::new(arenas(), NoPages);
    aborts("a_misuse_of_sampled_arenas_aborts", heap);
}

#[test]
fn a_misuse_of_a_heap_that_fails_or_has_a_ledger_aborts() {
    let heap = || Ledger::<_, _, 2000>::new(Failing::new(locked()), NoSites);
    aborts("a_misuse_of_a_heap_that_fails_or_has_a_ledger_aborts", heap);
}
