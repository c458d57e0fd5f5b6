//! One lock makes a heap correct under threads (C25). For the host alone: the kernel has one.

mod common;

use brkalloc::{Locked, LockedHeap, SimpleHeap};
use common::oracle::Oracle;
use common::subject::Subject;
use common::test_break::TestBreak;
use common::threads::threads;

#[test]
fn c25_one_lock_serves_several_threads() {
    let heap = LockedHeap::new(TestBreak::new(4 << 20, 0));
    threads(&heap);
    heap.check().unwrap();
    assert_eq!(heap.stats().live_cells, 0);
    let simple = Locked::<SimpleHeap<_>>::new(TestBreak::new(4 << 20, 0));
    threads(&simple);
    simple.with(|heap| heap.verify(&Oracle::default()));
}
