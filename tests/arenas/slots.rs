//! Slots for tests: which one a thread is on is what the test says.

use std::cell::Cell;

use brkalloc::{ArenaHeap, Break, Cpu, NoMap, RawLock};

thread_local!(static SLOT: Cell<usize> = const { Cell::new(usize::MAX) });

/// So many slots. A thread is on the one that [`on_slot`] says; on none otherwise, or if there are not so many.
pub struct Slots(pub usize);

// SAFETY: the tests see to it that no two threads are on one slot at the same time, and that one is after the other.
unsafe impl Cpu for Slots {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        self.0
    }

    fn enter(&self) -> usize {
        SLOT.get()
    }
}

/// Runs `run` on a slot. Nobody else is on it meanwhile.
pub fn on_slot<R>(slot: usize, run: impl FnOnce() -> R) -> R {
    let before = SLOT.replace(slot);
    let answer = run();
    SLOT.set(before);
    answer
}

/// Asserts, with no block live and no other thread in the heap, that all memory goes back.
pub fn assert_all_is_free<B: Break, L: RawLock>(heap: ArenaHeap<B, Slots, NoMap, L>) {
    // SAFETY: it is owned, so there is nobody else.
    let quiet = unsafe { heap.quiet() };
    quiet.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    quiet.flush();
    quiet.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    let stats = quiet.stats();
    assert_eq!((stats.live_blocks, stats.segments, stats.cached_bytes), (0, 0, 0), "{stats}");
    assert_eq!(
        (stats.parent.live_cells, stats.parent.live_bytes >= stats.internal_bytes),
        (stats.internal_blocks, true),
        "{stats}"
    );
    assert!(quiet.dissolve());
    quiet.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    let parent = quiet.stats().parent;
    assert_eq!((parent.live_cells, parent.free_cells <= 1), (0, true), "{parent}");
    quiet.trim(0);
    assert_eq!(quiet.stats().parent.granted_bytes, 0);
}
