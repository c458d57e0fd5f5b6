use std::cell::Cell;
use std::sync::Barrier;
use std::vec::Vec;

use super::*;
use crate::arena::{ArenaHeap, LinuxHeap};
use crate::mapped::MapThreshold;
use crate::provider::{Break, BreakError, Map, MapError};
use core::alloc::Layout;

std::thread_local! {
    /// Number of Linux's pages that make one of the break's, for a test of longer pages.
    pub(super) static PAGES: Cell<libc::c_long> = const { Cell::new(1) };
}

#[test]
fn a_thread_that_ends_gives_back_whole_pages_where_they_are_long() {
    PAGES.set(16);
    let heap: LinuxHeap =
        ArenaHeap::with_map(LinuxBreak::new(), LinuxThreads::new(|| ()), LinuxMap);
    heap.set_map_threshold(MapThreshold::fixed(usize::MAX));
    let layout = Layout::from_size_align(300_000, 16).unwrap();
    // SAFETY: the heap outlives the blocks; each is freed at most once, and this thread is in no
    // operation of the heap.
    unsafe {
        let blocks: Vec<_> = (0..8).map(|_| heap.allocate(layout).unwrap()).collect();
        for (number, block) in blocks.iter().enumerate() {
            block.write_bytes(number as u8, layout.size());
        }
        blocks.iter().step_by(2).for_each(|&block| heap.deallocate(block, layout));
        heap.end_of_thread();
        for (number, block) in blocks.iter().enumerate().skip(1).step_by(2) {
            let bytes = NonNull::slice_from_raw_parts(*block, layout.size());
            assert!(bytes.as_ref().iter().all(|&byte| byte == number as u8));
        }
    }
    heap.check().unwrap();
}

#[test]
fn a_break_grows_by_pages_of_zeros_also_again() {
    let mut brk = LinuxBreak::new();
    assert!(brk.end().is_null());
    let grant = brk.grow(100).unwrap();
    assert_eq!(grant.len(), brk.granule());
    let start = grant.cast::<u8>().as_ptr();
    // SAFETY: the page was granted, then given back, and is granted again.
    unsafe {
        start.write_bytes(0xA5, grant.len());
        brk.shrink(grant.len()).unwrap();
        let again = brk.grow(1).unwrap();
        assert_eq!(
            (again.cast::<u8>().as_ptr(), start.read(), start.add(99).read()),
            (start, 0, 0)
        );
    }
    assert_eq!(brk.end(), start.wrapping_add(brk.granule()));
}

#[test]
fn a_break_refuses_what_it_cannot_do_and_does_not_change() {
    let mut brk = LinuxBreak::new();
    let page = brk.grow(1).unwrap().len();
    let end = brk.end();
    assert_eq!(brk.grow(usize::MAX), Err(BreakError::OutOfAddresses));
    assert_eq!(brk.grow(isize::MAX as usize), Err(BreakError::OutOfAddresses));
    // SAFETY: the page was granted, and is not used.
    unsafe {
        assert_eq!(brk.shrink(page - 1), Err(BreakError::Refused), "a part of a page");
        assert_eq!(brk.shrink(2 * page), Err(BreakError::OutOfAddresses));
    }
    assert_eq!(brk.end(), end);
}

#[test]
fn a_process_with_few_addresses_gets_a_shorter_reserve() {
    const CHILD: &str = "BRKALLOC_FEW_ADDRESSES";
    if std::env::var_os(CHILD).is_some() {
        let figures = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: libc::rlim_t = figures.split(' ').next().unwrap().parse().unwrap();
        // A GiB more than the process has, which is much under a sanitizer.
        let limit = pages * page() as libc::rlim_t + (1 << 30);
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
        // SAFETY: reads the limits.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        let mut brk = LinuxBreak::new();
        assert!(brk.grow(1 << 20).is_ok() && brk.grow(1 << 30).is_err());
        return;
    }
    let test = "provider::linux::tests::a_process_with_few_addresses_gets_a_shorter_reserve";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let child = command.args([test, "--exact"]).env(CHILD, "1").output().unwrap();
    assert!(child.status.success(), "{child:?}");
}

#[test]
fn a_mapping_keeps_its_contents_when_it_is_remapped() {
    let mut mappings = LinuxMap;
    let page = mappings.granule();
    let start = mappings.map(page).unwrap();
    // SAFETY: one mapping of these lengths.
    unsafe {
        start.write(7);
        let moved = mappings.remap(start, page, 64 * page).unwrap();
        assert_eq!((moved.read(), moved.add(63 * page).read()), (7, 0));
        mappings.unmap(moved, 64 * page).unwrap();
    }
    assert_eq!(mappings.map(isize::MAX as usize & !(page - 1)), Err(MapError::OutOfMemory));
}

static HEAP: LinuxHeap = ArenaHeap::with_map(LinuxBreak::new(), THREADS, LinuxMap);
// SAFETY: a thread that ends is in no operation of the heap.
const THREADS: LinuxThreads = LinuxThreads::new(|| unsafe { HEAP.end_of_thread() });

/// Allocates and frees 64 KiB in small blocks. Returns the slot.
fn work() -> usize {
    let layout = Layout::from_size_align(64, 16).unwrap();
    // SAFETY: the heap is a static; each block is freed once.
    unsafe {
        let blocks: Vec<_> = (0..1024).map(|_| HEAP.allocate(layout).unwrap()).collect();
        blocks.into_iter().for_each(|block| HEAP.deallocate(block, layout));
    }
    crate::provider::Cpu::enter(&THREADS)
}

#[test]
fn threads_give_their_slots_and_memory_back() {
    let slot = std::thread::spawn(work).join().unwrap();
    let one_thread = HEAP.size();
    for _ in 0..200 {
        // Other tests of this process may have taken a slot meanwhile, and given it back.
        assert!(std::thread::spawn(work).join().unwrap() < slot + 16);
    }
    assert!(HEAP.size() <= one_thread + (64 << 10), "{} after {one_thread}", HEAP.size());

    const THREADS_AT_A_TIME: usize = 100;
    let barrier = Barrier::new(THREADS_AT_A_TIME);
    std::thread::scope(|scope| {
        let run = || {
            let slot = work();
            barrier.wait();
            slot
        };
        let threads: Vec<_> = (0..THREADS_AT_A_TIME).map(|_| scope.spawn(run)).collect();
        let mut slots: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), THREADS_AT_A_TIME, "each thread had a slot of its own");
    });
    // What is left are the arenas themselves; free memory between them has no pages.
    assert!(HEAP.used() <= one_thread + THREADS_AT_A_TIME * (14 << 10), "{} bytes", HEAP.used());
    // SAFETY: this thread is in no operation of the heap.
    unsafe { HEAP.end_of_thread() };
    let mut resident = 0;
    HEAP.unused_memory(4096, 64 << 10, |memory| resident += resident_pages(memory));
    assert_eq!(resident, 0);
    HEAP.check().unwrap();
}

#[test]
fn a_large_block_is_a_mapping_and_goes_back_at_once() {
    let layout = Layout::from_size_align(8 << 20, 16).unwrap();
    let heap: LinuxHeap =
        ArenaHeap::with_map(LinuxBreak::new(), LinuxThreads::new(|| ()), LinuxMap);
    // SAFETY: the heap outlives the block, which is freed once.
    unsafe {
        let block = heap.allocate(layout).unwrap();
        assert!(heap.size() >= 8 << 20);
        heap.deallocate(block, layout);
    }
    assert!(heap.size() < 1 << 20, "{}", heap.size());
}

/// Returns the number of pages of this memory that are backed.
fn resident_pages(memory: NonNull<[u8]>) -> usize {
    let mut pages = std::vec![0; memory.len() / 4096];
    // SAFETY: whole pages of a mapping, and a byte for each.
    let failed = unsafe { libc::mincore(memory.cast().as_ptr(), memory.len(), pages.as_mut_ptr()) };
    assert_eq!(failed, 0);
    pages.iter().filter(|&page| page & 1 != 0).count()
}
