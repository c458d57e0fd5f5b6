//! Late initialisation: a heap in a `static` receives its memory at boot, once.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use brkalloc::{
    BreakError, FixedBreak, Heap, InitError, Interrupts, LateBreak, Locked, LockedHeap,
    MaskInterrupts, Spin,
};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::test_break::TestBreak;
use crate::common::test_map::TestMap;

const SIZE: usize = 16 << 10;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Start and length of the region of a heap's break.
fn region(heap: &LockedHeap<FixedBreak>) -> (*mut u8, usize) {
    heap.inspect(|heap| (heap.provider().base(), heap.provider().len()))
}

/// Memory of one case, which runs once.
macro_rules! memory {
    () => {{
        static mut MEMORY: [u128; SIZE / 16] = [0; SIZE / 16];
        (&raw mut MEMORY).cast::<u8>()
    }};
}

#[case]
fn an_empty_heap_is_out_of_memory_until_it_is_initialised() {
    static HEAP: LockedHeap<FixedBreak> = LockedHeap::empty();
    // SAFETY: the heap is static; the region belongs to it alone; each block is freed once.
    unsafe {
        assert_eq!(HEAP.allocate(layout(1)), None);
        assert_eq!(HEAP.allocate_zeroed(layout(100)), None);
        assert!(HEAP.alloc(layout(SIZE)).is_null());
        assert_eq!(HEAP.reserve(1), Err(BreakError::OutOfMemory));
        assert_eq!((HEAP.trim(0), HEAP.stats().granted_bytes), (0, 0));
        HEAP.check().unwrap();
        let base = memory!();
        HEAP.init(base, SIZE).unwrap();
        assert_eq!(region(&HEAP), (base, SIZE));
        let block = HEAP.allocate(layout(SIZE / 2)).unwrap();
        assert!((base.addr()..base.addr() + SIZE).contains(&block.addr().get()));
        HEAP.deallocate(block, layout(SIZE / 2));
    }
    assert_eq!(HEAP.stats().live_cells, 0);
    HEAP.check().unwrap();
}

#[case]
fn a_second_initialisation_is_an_error() {
    let (first, second) = (memory!(), memory!());
    let fixed = LockedHeap::<FixedBreak>::empty();
    let optional = LockedHeap::<Option<FixedBreak>>::empty();
    // SAFETY: the regions are static; each heap keeps one of them, and the blocks end with the
    // case.
    unsafe {
        fixed.init(first, SIZE).unwrap();
        optional.init(second, SIZE).unwrap();
        assert!(fixed.allocate(layout(100)).is_some() && optional.allocate(layout(100)).is_some());
        let third = memory!();
        let again = InitError::AlreadyInitialized;
        assert_eq!(fixed.init(third, SIZE), Err(again));
        assert_eq!(optional.init(third, SIZE), Err(again));
        assert_eq!(fixed.init_with(FixedBreak::from_raw(third, SIZE)), Err(again));
        assert_eq!(optional.init_with(FixedBreak::from_raw(third, SIZE)), Err(again));
        let given = LockedHeap::new(FixedBreak::from_raw(third, SIZE));
        assert_eq!(given.init(third, SIZE), Err(again), "`new` set the break");
    }
    assert_eq!(fixed.lock().provider().base(), first);
    assert_eq!(optional.lock().provider().as_ref().unwrap().base(), second);
    fixed.check().unwrap();
    optional.check().unwrap();
}

#[case]
fn regions_that_cannot_be_are_errors() {
    let heap = LockedHeap::<FixedBreak>::empty();
    let base = memory!();
    let last_page = base.with_addr(usize::MAX - 4095);
    // SAFETY: nothing is required of a region that is an error; the last one is static.
    unsafe {
        assert_eq!(heap.init(null_mut(), SIZE), Err(InitError::Null));
        assert_eq!(heap.init(null_mut(), 0), Err(InitError::Null));
        assert_eq!(heap.init(base, isize::MAX as usize + 1), Err(InitError::TooLong));
        assert_eq!(heap.init(base, usize::MAX), Err(InitError::TooLong));
        for len in [4096, 4097, 8192, isize::MAX as usize] {
            assert_eq!(heap.init(last_page, len), Err(InitError::Wraps), "{len}");
        }
        assert_eq!(heap.allocate(layout(1)), None);
        assert!(heap.lock().provider().is_unset());
        heap.init(base, SIZE).unwrap();
        assert!(heap.allocate(layout(1)).is_some());
    }
    let errors =
        [InitError::AlreadyInitialized, InitError::Null, InitError::TooLong, InitError::Wraps];
    let texts: BTreeSet<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), errors.len());
}

#[case]
fn a_region_of_no_bytes_is_a_break() {
    let heap = LockedHeap::<FixedBreak>::empty();
    let base = memory!();
    // SAFETY: the region has no bytes.
    unsafe {
        heap.init(base, 0).unwrap();
        assert_eq!(heap.allocate(layout(1)), None);
        assert_eq!(heap.init(base, 0), Err(InitError::AlreadyInitialized));
    }
    assert_eq!(region(&heap), (base, 0));
}

#[case]
fn an_optional_break_is_set_once() {
    let heap = LockedHeap::<Option<TestBreak>>::empty();
    // SAFETY: the breaks own their memory, which the heap keeps; the block is freed once.
    unsafe {
        assert_eq!(heap.allocate(layout(100)), None);
        heap.init_with(TestBreak::new(SIZE, 0)).unwrap();
        let block = heap.allocate(layout(100)).unwrap();
        let second = heap.init_with(TestBreak::new(SIZE, 0));
        assert_eq!(second, Err(InitError::AlreadyInitialized));
        let owned = heap
            .lock()
            .provider()
            .as_ref()
            .unwrap()
            .owns(block.addr().get()..block.addr().get() + 100);
        assert!(owned, "the first break stays");
        heap.deallocate(block, layout(100));
    }
    heap.check().unwrap();
}

#[case]
fn a_heap_with_mappings_is_initialised_late() {
    let heap = LockedHeap::with_map(FixedBreak::EMPTY, TestMap::default());
    // SAFETY: the region is static; the blocks end with the case or are freed once.
    unsafe {
        let large = layout(1 << 20);
        assert_eq!(heap.allocate(layout(100)), None);
        let block = heap.allocate(large).unwrap();
        heap.deallocate(block, large);
        heap.init(memory!(), SIZE).unwrap();
        assert!(heap.allocate(layout(100)).is_some());
    }
    heap.check().unwrap();
}

#[case]
fn a_heap_behind_another_lock_is_initialised_late() {
    /// Interrupts of a machine that has none.
    struct NoInterrupts;

    // SAFETY: no handler exists.
    unsafe impl Interrupts for NoInterrupts {
        type Before = ();
        fn mask() {}
        fn restore((): ()) {}
    }

    type Masking = MaskInterrupts<Spin, NoInterrupts>;
    static EMPTY: Locked<Heap<FixedBreak>, Masking> = Locked::empty();
    static UNSET: Locked<Heap<Option<FixedBreak>>, Masking> = Locked::new(None);
    // SAFETY: the heaps and their regions are static.
    unsafe {
        EMPTY.init(memory!(), SIZE).unwrap();
        UNSET.init(memory!(), SIZE).unwrap();
        assert!(EMPTY.allocate(layout(100)).is_some() && UNSET.allocate(layout(100)).is_some());
    }
}

#[case]
fn regions_added_before_the_break_stay() {
    let heap = LockedHeap::<FixedBreak>::empty();
    // SAFETY: the regions are static; each block is freed once.
    unsafe {
        heap.add_region(memory!(), SIZE).unwrap();
        let block = heap.allocate(layout(SIZE / 2)).unwrap();
        block.write_bytes(7, SIZE / 2);
        heap.init(memory!(), SIZE).unwrap();
        let second = heap.allocate(layout(SIZE * 3 / 4)).unwrap();
        assert_eq!(block.add(SIZE / 2 - 1).read(), 7);
        heap.check().unwrap();
        heap.deallocate(block, layout(SIZE / 2));
        heap.deallocate(second, layout(SIZE * 3 / 4));
    }
    assert_eq!(heap.stats().added_bytes, SIZE);
    heap.check().unwrap();
}

#[case]
fn the_default_heap_is_empty() {
    let heap = LockedHeap::<FixedBreak>::default();
    assert!(heap.lock().provider().is_unset() && FixedBreak::default().is_unset());
    // SAFETY: the region is static.
    unsafe { heap.init(memory!(), SIZE) }.unwrap();
    assert!(!heap.lock().provider().is_unset());
}

#[case]
fn an_unset_break_grants_nothing() {
    use brkalloc::Break;

    let mut brk = FixedBreak::EMPTY;
    assert_eq!((brk.base(), brk.len(), brk.remaining()), (null_mut(), 0, 0));
    assert!(brk.end().is_null());
    assert_eq!(brk.grow(0), Err(BreakError::OutOfMemory));
    assert_eq!(brk.grow(1), Err(BreakError::OutOfMemory));
    // SAFETY: one byte below the break was not granted, which the break reports.
    assert!(unsafe { brk.shrink(1) }.is_err());
    assert!(Option::<FixedBreak>::UNSET.is_unset() && FixedBreak::UNSET.is_unset());
    // SAFETY: an empty region.
    let set = unsafe { FixedBreak::try_from_raw(NonNull::dangling().as_ptr(), 0) };
    assert!(!set.unwrap().is_unset());
}
