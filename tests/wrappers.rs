//! Wrappers of a shared heap: one that refuses requests, and one that knows its live blocks.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{CallSites, Failing, Ledger, LiveSite, LockedHeap, Trace};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::test_break::TestBreak;

type Heap = LockedHeap<TestBreak>;

fn heap() -> Heap {
    LockedHeap::new(TestBreak::new(1 << 20, 0))
}

const LAYOUT: Layout = Layout::new::<[u64; 4]>();

/// Makes one request of each kind, frees what was granted, and returns which were.
fn requests(heap: &impl GlobalAlloc) -> [bool; 3] {
    // SAFETY: each block is freed once, with its layout.
    unsafe {
        let (first, second) = (heap.alloc(LAYOUT), heap.alloc_zeroed(LAYOUT));
        let resized = if first.is_null() {
            core::ptr::null_mut()
        } else {
            first.write_bytes(7, LAYOUT.size());
            heap.realloc(first, LAYOUT, 1000)
        };
        let granted = [!first.is_null(), !second.is_null(), !resized.is_null()];
        if granted[2] {
            assert_eq!(resized.add(31).read(), 7);
            heap.dealloc(resized, Layout::from_size_align(1000, LAYOUT.align()).unwrap());
        } else if granted[0] {
            assert_eq!(first.add(31).read(), 7, "a refused request leaves the block as it was");
            heap.dealloc(first, LAYOUT);
        }
        if granted[1] {
            heap.dealloc(second, LAYOUT);
        }
        granted
    }
}

#[case]
fn the_nth_request_is_refused_and_no_other() {
    let heap = Failing::new(heap());
    assert_eq!(requests(&heap), [true; 3]);
    for n in 1..=3 {
        heap.fail_nth(n);
        assert!(!heap.has_failed());
        let mut expected = [true; 3];
        expected[n - 1] = false;
        // Without the first block there is nothing to resize.
        expected[2] &= expected[0];
        assert_eq!(requests(&heap), expected, "{n}");
        assert!(heap.has_failed());
        assert_eq!(requests(&heap), [true; 3]);
        assert_eq!(heap.heap().stats().live_cells, 0);
    }
    heap.fail_nth(4);
    assert_eq!((requests(&heap), heap.has_failed()), ([true; 3], false));
    assert_eq!((requests(&heap), heap.has_failed()), ([false, true, false], true));
}

#[case]
fn all_requests_from_the_nth_on_are_refused_until_that_ends() {
    let heap = Failing::new(heap());
    heap.fail_from(2);
    assert_eq!(requests(&heap), [true, false, false]);
    assert_eq!(requests(&heap), [false; 3]);
    assert!(heap.has_failed());
    let before = heap.requests();
    heap.fail_never();
    assert_eq!(requests(&heap), [true; 3]);
    assert!(!heap.has_failed());
    assert_eq!(heap.requests(), before + 3);
}

/// Call sites that a test names.
#[derive(Default)]
struct Sites(AtomicUsize);

impl CallSites for &Sites {
    fn trace(&self) -> Trace {
        Trace::of([self.0.load(Ordering::Relaxed)])
    }
}

#[case]
fn live_blocks_are_known_with_their_sizes_and_call_sites() {
    let sites = Sites::default();
    let ledger: Ledger<_, _, 100> = Ledger::new(heap(), &sites);
    let allocate = |site, size| {
        sites.0.store(site, Ordering::Relaxed);
        // SAFETY: the heap lives as long as the block.
        unsafe { ledger.alloc(Layout::from_size_align(size, 16).unwrap()) }
    };
    let blocks: Vec<_> = (0..60_usize).map(|i| (allocate(0x100 + i % 3, 10 + i), 10 + i)).collect();
    assert_eq!((ledger.blocks(), ledger.lost()), (60, 0));
    let mut found = Vec::new();
    ledger.live(|block| {
        assert_eq!(block.align, 16);
        found.push((block.address, block.size, block.allocated_by));
    });
    let trace = |i: usize| Trace::of([0x100 + i % 3]);
    let mut expected: Vec<_> = blocks
        .iter()
        .enumerate()
        .map(|(i, &(block, size))| (block.addr(), size, trace(i)))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let mut by_site: Vec<LiveSite> = Vec::new();
    ledger.sites(|site| by_site.push(site));
    let sums: Vec<_> = by_site.iter().map(|site| (site.blocks, site.bytes)).collect();
    assert_eq!(sums, [(20, 770), (20, 790), (20, 810)]);
    assert_eq!(by_site[0].allocated_by, trace(0));
    // A block that is resized is one of the call that did so.
    sites.0.store(0x200, Ordering::Relaxed);
    let (first, size) = blocks[0];
    let layout = Layout::from_size_align(size, 16).unwrap();
    // SAFETY: a live block of that layout.
    let moved = unsafe { ledger.realloc(first, layout, 5000) };
    assert_eq!(ledger.blocks(), 60);
    let mut resized = Vec::new();
    ledger.live(|block| resized.extend((block.size == 5000).then_some(block)));
    assert_eq!((resized.len(), resized[0].address), (1, moved.addr()));
    assert_eq!(resized[0].allocated_by, Trace::of([0x200]));
    // One that cannot be resized is as it was.
    let layout = Layout::from_size_align(5000, 16).unwrap();
    // SAFETY: as before.
    assert!(unsafe { ledger.realloc(moved, layout, 2 << 20) }.is_null());
    assert_eq!(ledger.blocks(), 60);
    // SAFETY: each block is freed once, with its layout.
    unsafe {
        ledger.dealloc(moved, layout);
        for &(block, size) in &blocks[1..] {
            ledger.dealloc(block, Layout::from_size_align(size, 16).unwrap());
        }
    }
    assert_eq!((ledger.blocks(), ledger.lost()), (0, 0));
    assert_eq!(ledger.heap().used(), 0);
}

#[case]
fn a_full_ledger_serves_on_and_counts_what_it_does_not_know() {
    let ledger: Ledger<_, _, 4> = Ledger::new(Failing::new(heap()), brkalloc::NoSites);
    // SAFETY: each block is freed once, with its layout.
    unsafe {
        let blocks = [(); 6].map(|()| ledger.alloc(LAYOUT));
        assert!(blocks.iter().all(|block| !block.is_null()));
        assert_eq!((ledger.blocks(), ledger.lost()), (4, 2));
        blocks.iter().for_each(|&block| ledger.dealloc(block, LAYOUT));
    }
    assert_eq!(ledger.blocks(), 0);
    ledger.heap().fail_nth(1);
    // SAFETY: nothing is allocated.
    assert!(unsafe { ledger.alloc(LAYOUT) }.is_null());
    assert_eq!(ledger.blocks(), 0);
}
