//! A heap as a line of characters.

use core::alloc::Layout;

use brkalloc::{Heap, NoMap};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::test_break::TestBreak;

#[case(Plain, Small, Checked<Plain>)]
fn a_heap_is_drawn_to_scale<P: Variant>() {
    let mut heap: Heap<_, _, P> = Heap::with_profile(TestBreak::new(4096, 0), NoMap);
    assert_eq!(heap.picture(10).to_string(), "");
    let layout = Layout::from_size_align(P::asking_for(40 * UNIT - WORD), 1).unwrap();
    // SAFETY: the heap outlives the case.
    let blocks: [_; 3] = core::array::from_fn(|_| unsafe { heap.allocate(layout) }.unwrap());
    // SAFETY: live until now.
    unsafe { heap.deallocate(blocks[1], layout) };
    heap.reserve(20 * UNIT).unwrap();
    let total: usize = heap.cells().map(|cell| cell.size).sum();
    // A character for each unit: the picture is exact.
    let picture = heap.picture(total / UNIT).to_string();
    let parts = [('#', 40), ('.', 40), ('#', 40), ('_', total / UNIT - 120)];
    let expected: String =
        parts.iter().flat_map(|&(symbol, units)| core::iter::repeat_n(symbol, units)).collect();
    assert_eq!(picture, expected);
    for width in [1, 2, 7, 100, 4096, 10_000] {
        assert_eq!(heap.picture(width).to_string().chars().count(), width);
    }
}
