//! Checked heaps: unless a heap was told otherwise, a misuse is a panic. (On the host
//! alone: nothing unwinds in the kernel.)

use std::panic::{AssertUnwindSafe, catch_unwind};

use brkalloc::{CheckedHeap, NoMap};

use crate::common::misuse::layout;
use crate::common::test_break::TestBreak;
use crate::common::{case, host_only};

host_only!("nothing unwinds in the kernel");

#[case]
fn unless_told_otherwise_a_misuse_panics() {
    let mut heap = CheckedHeap::<_>::with_profile(TestBreak::new(1 << 16, 0), NoMap);
    let layout = layout(40, 8);
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout) }.unwrap();
    let free = |heap: &mut CheckedHeap<TestBreak>| {
        // SAFETY: live the first time; then a checked heap does nothing then.
        unsafe { heap.deallocate(block, layout) };
    };
    free(&mut heap);
    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(|| free(&mut heap))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(
            text.starts_with(&format!(
                "double free of the block at {block:p}: it is free already (at 0x"
            )),
            "{text}"
        );
    }
    heap.check().unwrap();
    // SAFETY: the heap outlives the case.
    assert_eq!(unsafe { heap.allocate(layout) }, Some(block), "the heap serves on");
}
