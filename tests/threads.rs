//! One lock makes a heap correct under threads (C25). For the host alone: the kernel has one.

use crate::common::host_only;
use crate::common::oracle::Oracle;
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;
use crate::common::threads::threads;
use brkalloc::{Locked, LockedHeap, SimpleHeap};

host_only!("the kernel has one thread");

#[test]
fn c25_one_lock_serves_several_threads() {
    let heap = LockedHeap::new(TestBreak::new(4 << 20, 0));
    threads(&heap);
    heap.check().unwrap();
    assert_eq!(heap.stats().live_cells, 0);
    let simple = Locked::<_>::from_heap(SimpleHeap::new(TestBreak::new(4 << 20, 0)));
    threads(&simple);
    simple.inspect(|heap| heap.verify(&Oracle::default()));
}
