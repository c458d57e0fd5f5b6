//! The lock of a heap can be anybody's (feature `lock_api`): each operation takes it once, and
//! gives it back.

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use brkalloc::{FixedBreak, Heap, Locked, RawHeap, RawLock, SimpleHeap, Spin};
use common::oracle::Oracle;
use common::subject::Subject;
use common::test_break::TestBreak;
use common::threads::threads;
use lock_api::{GuardNoSend, RawMutex};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

thread_local! {
    /// How often this thread took a [`Counting`], and how often it gave one back.
    static COUNTS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A raw mutex as a kernel may write its own, which counts.
struct Counting(AtomicBool);

// SAFETY: of those who swap `true` in, one finds `false`, until the holder stores it again.
unsafe impl RawMutex for Counting {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait asks for it")]
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        while !self.try_lock() {
            std::thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        let got_it = !self.0.swap(true, Ordering::Acquire);
        if got_it {
            let (locks, unlocks) = COUNTS.get();
            COUNTS.set((locks + 1, unlocks));
        }
        got_it
    }

    unsafe fn unlock(&self) {
        let (locks, unlocks) = COUNTS.get();
        COUNTS.set((locks, unlocks + 1));
        assert!(self.0.swap(false, Ordering::Release), "given back, but nobody holds it");
    }
}

type CountedHeap<B> = Locked<Heap<B>, Counting>;

/// What an operation answers; it must have taken the lock once and given it back.
fn once<T>(operation: impl FnOnce() -> T) -> T {
    let (locks, unlocks) = COUNTS.get();
    let answer = operation();
    assert_eq!(COUNTS.get(), (locks + 1, unlocks + 1));
    answer
}

#[test]
fn each_operation_locks_once_and_unlocks_also_when_it_fails() {
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    let (small, large) = (layout(100, 8), layout(1 << 17, 8));
    assert_eq!(COUNTS.get(), (0, 0), "making a heap takes no lock");
    // SAFETY: the heap outlives its blocks, each of which is freed once, with the layout that it
    // was last given.
    unsafe {
        assert_eq!(once(|| heap.try_allocate(small)), None, "nothing is granted yet");
        let block = once(|| heap.allocate(small)).unwrap();
        assert_eq!(once(|| heap.reallocate(block, small, large.size())), None);
        let block = once(|| heap.reallocate(block, small, 200)).unwrap();
        let zeros = once(|| heap.allocate_zeroed(small)).unwrap();
        let third = once(|| heap.try_allocate(small)).unwrap();
        assert_eq!(once(|| heap.allocate(large)), None);
        assert_eq!(once(|| heap.allocate_zeroed(large)), None);
        once(|| heap.deallocate(block, layout(200, 8)));
        once(|| heap.deallocate(zeros, small));
        once(|| heap.deallocate(third, small));
        once(|| heap.with_mut(|heap| heap.provider_mut().refuse_grow = true));
    }
    assert!(once(|| heap.reserve(large.size())).is_err());
    assert!(once(|| heap.with(|heap| heap.cells().count())) > 0);
    assert_eq!(once(|| heap.stats()).live_cells, 0);
    assert!(once(|| heap.trim(0)) > 0);
    once(|| heap.check()).unwrap();
}

#[test]
fn the_global_allocator_locks_once_and_unlocks_also_when_it_fails() {
    const SIZE: usize = 64 << 10;
    static mut ARENA: [u8; SIZE] = [0; SIZE];
    // SAFETY: nobody else names ARENA.
    static HEAP: CountedHeap<FixedBreak> =
        CountedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });
    let (small, large) = (layout(100, 8), layout(SIZE, 8));
    // SAFETY: the heap is static; each block is freed once, with the layout that it was last given.
    unsafe {
        let block = once(|| HEAP.alloc(small));
        let zeros = once(|| HEAP.alloc_zeroed(small));
        assert!(once(|| HEAP.alloc(large)).is_null());
        assert!(once(|| HEAP.realloc(block, small, SIZE)).is_null());
        let block = once(|| HEAP.realloc(block, small, 1_000));
        let other = once(|| HEAP.realloc(null_mut(), small, 10));
        once(|| HEAP.dealloc(block, layout(1_000, 8)));
        once(|| HEAP.dealloc(zeros, small));
        once(|| HEAP.dealloc(other, layout(10, 8)));
    }
    assert_eq!(HEAP.stats().live_cells, 0);
}

#[test]
fn who_panics_with_the_heap_locked_gives_the_lock_back() {
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    let panics = || catch_unwind(AssertUnwindSafe(|| heap.with(|_| panic!("on purpose"))));
    assert!(once(panics).is_err());
    once(|| heap.check()).unwrap();
}

#[test]
fn looking_at_a_locked_heap_from_inside_does_not_wait() {
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    assert_eq!(once(|| heap.with(|_| format!("{heap:?}"))), "Locked { .. }");
    let spin = Spin::INIT;
    let held = spin.lock();
    assert_eq!(format!("{spin:?}"), "Spin(locked)");
    drop(held);
    assert_eq!(format!("{spin:?}"), "Spin(unlocked)");
}

#[cfg(feature = "allocator-api2")]
#[test]
fn collections_take_a_heap_with_any_lock() {
    use allocator_api2::{alloc::Allocator, boxed::Box, vec::Vec};

    fn collect<H: RawHeap, L: RawLock>(heap: &Locked<H, L>) {
        let boxed = Box::new_in(7_u64, heap);
        let mut numbers = Vec::new_in(heap);
        numbers.extend(0..1_000_u64);
        assert_eq!(numbers.iter().sum::<u64>() + *boxed, 999 * 1_000 / 2 + 7);
    }
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    collect(&heap);
    collect(&Locked::<Heap<_>, spin::Mutex<()>>::new(TestBreak::new(1 << 16, 0)));
    collect(&Locked::<SimpleHeap<_>, Counting>::new(TestBreak::new(1 << 16, 0)));
    assert_eq!(heap.stats().live_cells, 0);
    let allocator = &&heap;
    let block = once(|| Allocator::allocate(allocator, layout(10, 1))).unwrap();
    assert!(once(|| Allocator::allocate(allocator, layout(1 << 17, 1))).is_err());
    // SAFETY: live, with this layout.
    once(|| unsafe { Allocator::deallocate(allocator, block.cast(), layout(10, 1)) });
}

/// Threads on both heaps, behind one kind of lock.
fn threads_behind<L: RawLock + Sync>() {
    let heap = Locked::<Heap<_>, L>::new(TestBreak::new(4 << 20, 0));
    threads(&heap);
    heap.check().unwrap();
    assert_eq!(heap.stats().live_cells, 0);
    let simple = Locked::<SimpleHeap<_>, L>::new(TestBreak::new(4 << 20, 0));
    threads(&simple);
    simple.with(|heap| heap.verify(&Oracle::default()));
}

#[test]
fn c25_threads_share_a_heap_behind_spins_own_mutex() {
    threads_behind::<spin::Mutex<()>>();
}

#[test]
fn c25_threads_share_a_heap_behind_a_mutex_that_puts_them_to_sleep() {
    threads_behind::<parking_lot::RawMutex>();
}

#[test]
fn c25_threads_share_a_heap_behind_a_mutex_of_their_own() {
    threads_behind::<Counting>();
}
