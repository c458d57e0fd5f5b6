//! Collections of every version of the crate allocator-api2 live on one heap, together. So do those
//! of `std` with `--cfg brkalloc_nightly`.

#![cfg(all(
    feature = "allocator-api2",
    feature = "allocator-api2-03",
    feature = "allocator-api2-04"
))]

use crate::common::host_only;
use crate::common::test_break::TestBreak;
use brkalloc::{ArenaHeap, LockedHeap, SimpleHeap, SingleCpu};

/// Cases of one version: `$api` has the `Allocator`, `$vec` and `$boxed` the collections.
macro_rules! version {
    ($name:ident, $api:path, $vec:path, $boxed:path) => {
        mod $name {
            use std::alloc::Layout;
            use std::slice;

            use $api as api;
            use $boxed as Box;
            use $vec as Vec;

            use api::Allocator;

            /// A collection that grows and shrinks, and a block that is grown with zeros.
            pub fn exercise(heap: impl Allocator + Copy) {
                let boxed = Box::new_in([7_u64; 100], heap);
                let mut numbers = Vec::new_in(heap);
                numbers.extend(0..10_000_u64);
                numbers.truncate(5_000);
                numbers.shrink_to_fit();
                assert_eq!(numbers.iter().sum::<u64>(), 4_999 * 5_000 / 2);
                assert_eq!(boxed.iter().sum::<u64>(), 700);
                let (old, new) = (Layout::new::<[u8; 100]>(), Layout::new::<[u64; 1_000]>());
                let block = heap.allocate_zeroed(old).unwrap();
                // SAFETY: each block is live and has the layout that is given with it; the slice is
                // within the last one.
                unsafe {
                    block.cast::<u8>().write_bytes(9, 100);
                    let grown = heap.grow_zeroed(block.cast(), old, new).unwrap();
                    assert_eq!((grown.len(), grown.cast::<u64>().is_aligned()), (8_000, true));
                    let bytes = slice::from_raw_parts(grown.cast::<u8>().as_ptr(), 8_000);
                    assert!(bytes[..100].iter().all(|&byte| byte == 9));
                    assert!(bytes[100..].iter().all(|&byte| byte == 0));
                    let shrunk = heap.shrink(grown.cast(), new, old).unwrap();
                    heap.deallocate(shrunk.cast(), old);
                }
                assert!(heap.allocate(Layout::new::<[u8; 1 << 24]>()).is_err());
            }

            #[test]
            fn collections_live_on_every_shared_heap() {
                super::on_every_heap!(exercise);
            }
        }
    };
}

/// Runs `$exercise` on each kind of shared heap, which must be empty afterwards.
macro_rules! on_every_heap {
    ($exercise:expr) => {{
        use super::*;

        let heap = LockedHeap::new(TestBreak::new(1 << 20, 0));
        $exercise(&heap);
        assert_eq!(heap.stats().live_cells, 0);
        heap.check().unwrap();
        $exercise(&brkalloc::Locked::<_>::from_heap(SimpleHeap::new(TestBreak::new(1 << 20, 0))));
        // SAFETY: one thread uses the heap.
        $exercise(&ArenaHeap::new(TestBreak::new(1 << 20, 0), unsafe { SingleCpu::new() }));
    }};
}
use on_every_heap;

host_only!("the kernel has one version of allocator-api2");

version!(v02, allocator_api2::alloc, allocator_api2::vec::Vec, allocator_api2::boxed::Box);
version!(v03, allocator_api2_03::alloc, allocator_api2_03::vec::Vec, allocator_api2_03::boxed::Box);
version!(v04, allocator_api2_04::alloc, allocator_api2_04::vec::Vec, allocator_api2_04::boxed::Box);
#[cfg(brkalloc_nightly)]
version!(nightly, std::alloc, std::vec::Vec, std::boxed::Box);

#[test]
fn collections_of_all_versions_share_a_heap() {
    let heap = LockedHeap::new(TestBreak::new(1 << 20, 0));
    let mut v02 = allocator_api2::vec::Vec::new_in(&heap);
    let mut v03 = allocator_api2_03::vec::Vec::new_in(&heap);
    let mut v04 = allocator_api2_04::vec::Vec::new_in(&heap);
    for number in 0..1_000_u64 {
        v02.push(number);
        v03.push(number);
        v04.push(number);
    }
    assert!(v02.iter().eq(v03.iter()) && v03.iter().eq(v04.iter()));
    assert_eq!(heap.stats().live_cells, 3);
    drop((v02, v03, v04));
    assert_eq!(heap.stats().live_cells, 0);
}
