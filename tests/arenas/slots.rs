//! Slots for tests: which one a thread is on is what the test says.

use std::cell::Cell;

use std::ptr;

use brkalloc::inner::{SlotWord, Slots as SlotProvider};
use brkalloc::{ArenaHeap, Break, Cpu, NoMap, RawLock};

use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;

thread_local!(static SLOT: Cell<usize> = const { Cell::new(usize::MAX) });

/// So many slots. A thread is on the one that [`on_slot`] says; on none otherwise, or if there are
/// not so many.
pub struct Slots(pub usize);

// SAFETY: the tests see to it that no two threads are on one slot at the same time, and that one is
// after the other.
unsafe impl Cpu for Slots {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        self.0
    }

    fn enter(&self) -> usize {
        SLOT.get()
    }

    fn barrier(&self) -> bool {
        barrier()
    }
}

/// Has every thread of the process fence, if the system can do that.
#[cfg(all(target_os = "linux", not(miri)))]
fn barrier() -> bool {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER: libc::c_int = 1 << 4;
    // SAFETY: the call touches no memory.
    let call =
        |command: libc::c_int| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0;
    // To register again changes nothing.
    call(REGISTER) && call(PRIVATE_EXPEDITED)
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn barrier() -> bool {
    false
}

/// The same without a barrier.
pub struct Deaf(pub Slots);

// SAFETY: as above.
unsafe impl Cpu for Deaf {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        Cpu::slots(&self.0)
    }

    fn enter(&self) -> usize {
        Cpu::enter(&self.0)
    }
}

/// Slots whose callers nobody interrupts: without a busy flag no other caller reaches their arenas.
pub struct Calm(pub usize);

// SAFETY: as above; the tests have no handlers.
unsafe impl SlotProvider for Calm {
    const NESTS: bool = false;
    const INTERRUPTED: bool = false;

    fn slots(&self) -> usize {
        self.0
    }

    fn enter(&self) -> usize {
        SLOT.get()
    }
}

thread_local!(static WORD: SlotWord = const { SlotWord::new() });

/// The same for threads that nobody interrupts, each of which stays on its slot, with a word of its
/// own.
pub struct Undisturbed(pub usize);

// SAFETY: as above; the word is the thread's, whose slot nobody else gets before it has abandoned.
unsafe impl SlotProvider for Undisturbed {
    const NESTS: bool = false;
    const INTERRUPTED: bool = false;

    fn slots(&self) -> usize {
        self.0
    }

    fn enter(&self) -> usize {
        SLOT.get()
    }

    fn has_words(&self) -> bool {
        true
    }

    fn word(&self) -> Option<&SlotWord> {
        let word = WORD.with(ptr::from_ref);
        // SAFETY: the thread's variable stays as long as the thread, whose operation this is.
        (SLOT.get() < self.0).then(|| unsafe { &*word })
    }
}

/// A heap of arenas over a [`TestBreak`].
pub type TestArenas<P, C = Slots> = ArenaHeap<TestBreak, C, NoMap, P>;

/// A heap over `len` bytes, with `slots` slots.
pub fn arenas<P: Variant>(len: usize, slots: usize) -> TestArenas<P> {
    arenas_over(len, Slots(slots))
}

/// A heap over `len` bytes, with these slots.
pub fn arenas_over<P: Variant, C>(len: usize, cpu: C) -> TestArenas<P, C> {
    ArenaHeap::with_profile(TestBreak::new(len, 0), cpu, NoMap)
}

/// Runs `run` on a slot. Nobody else is on it meanwhile.
pub fn on_slot<R>(slot: usize, run: impl FnOnce() -> R) -> R {
    let before = SLOT.replace(slot);
    let answer = run();
    SLOT.set(before);
    answer
}

/// Asserts, with no block live and no other thread in the heap, that all memory goes back.
pub fn assert_all_is_free<B: Break, C: SlotProvider, P: Variant, L: RawLock>(
    heap: ArenaHeap<B, C, NoMap, P, L>,
) {
    // SAFETY: it is owned, so there is nobody else.
    let exclusive = unsafe { heap.exclusive() };
    exclusive.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    exclusive.flush();
    exclusive.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    let stats = exclusive.stats();
    assert_eq!((stats.live_blocks, stats.segments), (0, 0), "{stats}");
    assert_eq!(
        (stats.parent.live_cells, stats.parent.live_bytes >= stats.internal_bytes),
        (stats.internal_blocks, true),
        "{stats}"
    );
    assert!(exclusive.dissolve());
    exclusive.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    let parent = exclusive.stats().parent;
    assert_eq!((parent.live_cells, parent.free_cells <= 1), (0, true), "{parent}");
    exclusive.trim(0);
    assert_eq!(exclusive.stats().parent.granted_bytes, 0);
}
