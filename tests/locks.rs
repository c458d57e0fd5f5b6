//! The lock of a heap can be of any crate (feature `lock_api`): each operation locks once and
//! unlocks once.

#![cfg(feature = "lock_api")]

use crate::common::host_only;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::oracle::Oracle;
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;
use crate::common::threads::threads;
use brkalloc::{
    FixedBreak, Heap, Interrupts, Locked, LockedHeap, MaskInterrupts, RawHeap, RawLock, SimpleHeap,
    Spin,
};
use lock_api::{GuardNoSend, RawMutex};

host_only!("spin, parking_lot and lock_api are locks of the host, for its threads");

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

thread_local! {
    /// How often this thread locked a [`Counting`], and how often it unlocked one.
    static COUNTS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A raw mutex as a kernel may write it, which counts.
struct Counting(AtomicBool);

// SAFETY: of the threads that swap `true` in, one finds `false`, until the holder stores it again.
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
        assert!(self.0.swap(false, Ordering::Release), "unlocked, but not locked");
    }
}

type CountedHeap<B> = Locked<Heap<B>, Counting>;

/// Returns the result of an operation, which must lock once and unlock once.
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
        once(|| heap.with(|heap| heap.provider_mut().refuse_grow = true));
    }
    assert!(once(|| heap.reserve(large.size())).is_err());
    assert!(once(|| heap.inspect(|heap| heap.cells().count())) > 0);
    assert_eq!(once(|| heap.stats()).live_cells, 0);
    assert!(once(|| heap.trim(0)) > 0);
    once(|| heap.check()).unwrap();
}

#[test]
fn the_global_allocator_locks_once_and_unlocks_also_when_it_fails() {
    const SIZE: usize = 64 << 10;
    static mut ARENA: [u8; SIZE] = [0; SIZE];
    // SAFETY: ARENA is used by this break alone.
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
fn a_panic_with_the_heap_locked_unlocks_it() {
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    let inspect = || catch_unwind(AssertUnwindSafe(|| heap.inspect(|_| panic!("on purpose"))));
    assert!(once(inspect).is_err());
    // SAFETY: the heap and its provider stay in place.
    let with = || catch_unwind(AssertUnwindSafe(|| unsafe { heap.with(|_| panic!("on purpose")) }));
    assert!(once(with).is_err());
    let guard = || {
        catch_unwind(AssertUnwindSafe(|| {
            let _guard = heap.lock();
            panic!("on purpose");
        }))
    };
    assert!(once(guard).is_err());
    once(|| heap.check()).unwrap();
}

#[test]
fn a_guard_derefs_to_the_heap_and_unlocks_when_it_is_dropped() {
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    assert_eq!(once(|| heap.lock().cells().count()), 0);
    once(|| {
        // SAFETY: the heap and its provider stay in place.
        let mut guard = unsafe { heap.lock_mut() };
        guard.reserve(10_000).unwrap();
        guard.provider_mut().refuse_grow = true;
        assert!(guard.cells().count() > 0);
    });
    assert!(once(|| heap.lock().provider().refuse_grow));
}

#[test]
fn a_guard_excludes_other_callers() {
    let heap = LockedHeap::new(TestBreak::new(1 << 16, 0));
    let started = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let guard = heap.lock();
        let other = scope.spawn(|| {
            started.store(true, Ordering::Release);
            heap.reserve(1)
        });
        while !started.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        for _ in 0..100 {
            std::thread::yield_now();
            assert_eq!(guard.cells().count(), 0);
        }
        drop(guard);
        other.join().unwrap().unwrap();
    });
    assert!(heap.stats().granted_bytes > 0);
}

#[test]
fn guards_of_two_heaps_may_be_dropped_in_any_order() {
    let heaps = [1 << 16, 1 << 17].map(|len| LockedHeap::new(TestBreak::new(len, 0)));
    for first in [0, 1] {
        let [a, b] = heaps.each_ref().map(|heap| heap.lock());
        let (a, b) = if first == 0 { (a, b) } else { (b, a) };
        drop(a);
        assert_eq!(b.cells().count(), 0);
        drop(b);
    }
    heaps.iter().for_each(|heap| heap.check().unwrap());
}

#[test]
fn closures_run_with_interrupts_masked_and_in_reverse_order() {
    thread_local! {
        static MASKS: Cell<usize> = const { Cell::new(0) };
    }

    struct Flag;

    // SAFETY: a host test has no interrupts.
    unsafe impl Interrupts for Flag {
        type Before = usize;

        fn mask() -> usize {
            MASKS.replace(MASKS.get() + 1)
        }

        fn restore(before: usize) {
            assert_eq!(MASKS.get(), before + 1, "in reverse order");
            MASKS.set(before);
        }
    }

    type Masked = Locked<Heap<TestBreak>, MaskInterrupts<Spin, Flag>>;
    let heaps: [Masked; 2] = [(); 2].map(|()| Locked::new(TestBreak::new(1 << 16, 0)));
    heaps[0].inspect(|_| {
        assert_eq!(MASKS.get(), 1);
        // SAFETY: the heap and its provider stay in place.
        unsafe { heaps[1].with(|heap| heap.reserve(1)) }.unwrap();
        assert_eq!(MASKS.get(), 1);
    });
    assert_eq!(MASKS.get(), 0);
}

#[test]
fn printing_a_locked_heap_does_not_wait() {
    let heap = CountedHeap::new(TestBreak::new(1 << 16, 0));
    assert_eq!(once(|| heap.inspect(|_| format!("{heap:?}"))), "Locked { .. }");
    let number: Locked<u8> = Locked::from_heap(7);
    assert_eq!(format!("{:?}", number.lock()), "HeapGuard(7)");
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
    collect(&Locked::<_, Counting>::from_heap(SimpleHeap::new(TestBreak::new(1 << 16, 0))));
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
    let simple = Locked::<_, L>::from_heap(SimpleHeap::new(TestBreak::new(4 << 20, 0)));
    threads(&simple);
    simple.inspect(|heap| heap.verify(&Oracle::default()));
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
