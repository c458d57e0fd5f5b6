//! Around a fork: the test is the process that forks, and then its child, in which nobody is on the
//! other slots any more.

use std::cell::Cell;
use std::ptr::NonNull;

use brkalloc::{ArenaHeap, Break, BreakError, Cpu, SlotWord};

use super::blocks::{Blocks, Rng, layout};
use super::common::test_break::TestBreak;
use super::slots::{Slots, assert_all_is_free, on_slot};

/// Slots with words of the provider's.
struct Words {
    slots: Slots,
    words: Vec<SlotWord>,
}

impl Words {
    fn new(slots: usize) -> Self {
        Self { slots: Slots(slots), words: (0..slots).map(|_| SlotWord::new()).collect() }
    }
}

// SAFETY: as of the other slots; each word is of one slot, and stays.
unsafe impl Cpu for Words {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        self.slots.slots()
    }

    fn enter(&self) -> usize {
        self.slots.enter()
    }

    fn word(&self) -> Option<&SlotWord> {
        self.words.get(self.enter())
    }

    fn word_of(&self, slot: usize) -> Option<&SlotWord> {
        self.words.get(slot)
    }
}

/// The number of whoever forks, and goes on in the child.
const OWN: usize = 2;

/// Goes on as the child. Says which slots are lost.
fn be_child<B: Break, C: Cpu>(heap: &ArenaHeap<B, C>) -> Vec<usize> {
    on_slot(OWN, || {
        // SAFETY: there is one thread, which does not go on as anybody else.
        unsafe { heap.after_fork() };
        // SAFETY: nobody else is there.
        (0..heap.cpu().slots())
            .filter(|&slot| slot != OWN && !unsafe { heap.take_over(slot) })
            .collect()
    })
}

/// Forks, and goes on as the child. Says whether all was held, and which slots are lost.
fn fork<B: Break, C: Cpu>(heap: &ArenaHeap<B, C>) -> (bool, Vec<usize>) {
    // SAFETY: there is one thread.
    let all = on_slot(OWN, || unsafe { heap.hold_for_fork() });
    (all, be_child(heap))
}

fn others_are_adopted(cpu: impl Cpu) {
    const COUNT: usize = 20_000;
    let heap = ArenaHeap::new(TestBreak::new(64 << 20, 0), cpu);
    let layout = layout(100, 8);
    // SAFETY: the heap outlives the blocks.
    let allocate =
        // SAFETY: the heap outlives the blocks.
        || -> Vec<_> { (0..COUNT).map(|_| unsafe { heap.allocate(layout) }.unwrap()).collect() };
    // SAFETY: live until now.
    let free = |blocks: &[NonNull<u8>]| {
        // SAFETY: live until now.
        blocks.iter().for_each(|block| unsafe { heap.deallocate(*block, layout) })
    };
    let of_others: Vec<_> = [0, 1, 3].map(|slot| on_slot(slot, allocate)).concat();
    // SAFETY: nobody is interrupted.
    on_slot(3, || unsafe { heap.retire() });
    // One has a block of each that it has freed, and not yet sent.
    let (sent, kept): (Vec<_>, Vec<_>) =
        of_others.iter().enumerate().partition(|(index, _)| index % COUNT == 0);
    let (sent, kept) = [sent, kept]
        .map(|blocks| blocks.into_iter().map(|(_, block)| *block).collect::<Vec<_>>())
        .into();
    on_slot(1, || free(&sent));
    let before = on_slot(OWN, || heap.stats()).parent.granted_bytes;
    assert_eq!(fork(&heap), (true, vec![]));
    on_slot(OWN, || {
        assert_eq!(heap.stats().retired, 3);
        free(&kept);
        let again = [allocate(), allocate(), allocate()].concat();
        let after = heap.stats().parent.granted_bytes;
        assert!(after < before + before / 3, "{after} bytes after {before}");
        free(&again);
    });
    assert_all_is_free(heap);
}

#[test]
fn what_the_other_threads_had_is_not_lost_to_a_child() {
    others_are_adopted(Slots(4));
    others_are_adopted(Words::new(4));
}

fn goes_on(cpu: impl Cpu) {
    let heap = ArenaHeap::new(TestBreak::new(64 << 20, 0), cpu);
    let mut all: Vec<_> =
        (0..4).map(|slot| (Blocks::new(slot), Rng(u64::from(slot) + 1))).collect();
    let mut work = |slots: &[usize]| {
        for &slot in slots {
            let (blocks, rng) = &mut all[slot];
            on_slot(slot, || (0..2_000).for_each(|_| blocks.step(&heap, rng)));
        }
        heap.check().unwrap();
    };
    work(&[0, 1, 2, 3]);
    // SAFETY: nobody is interrupted.
    on_slot(3, || unsafe { heap.retire() });
    for _ in 0..2 {
        on_slot(OWN, || {
            // SAFETY: there is one thread.
            assert!(unsafe { heap.hold_for_fork() });
            // SAFETY: as above.
            unsafe { heap.release_after_fork() };
        });
        assert_eq!(heap.stats().retired, 1);
        work(&[0, 1, 2]);
    }
    work(&[3]);
    assert_eq!(heap.stats().retired, 0);
    for (slot, (blocks, _)) in all.iter_mut().enumerate() {
        on_slot(slot, || blocks.free_all(&heap));
    }
    assert_all_is_free(heap);
}

#[test]
fn in_the_parent_everybody_goes_on_after_a_fork() {
    goes_on(Slots(4));
    goes_on(Words::new(4));
}

fn goes_in(cpu: impl Cpu) {
    let heap = ArenaHeap::new(TestBreak::new(64 << 20, 0), cpu);
    let layout = layout(100, 8);
    for slot in [0, 1, 3] {
        // SAFETY: the heap outlives the block.
        on_slot(slot, || unsafe { heap.allocate(layout) }.unwrap());
    }
    // SAFETY: nobody is interrupted.
    on_slot(3, || unsafe { heap.retire() });
    // SAFETY: there is one thread.
    assert!(on_slot(OWN, || unsafe { heap.hold_for_fork() }));
    // Whose arena is held goes in when it has waited long enough, and is there before the process
    // is copied. A slot that is held has no next user.
    // SAFETY: the heap outlives the block.
    let blocks = [0, 3].map(|slot| on_slot(slot, || unsafe { heap.allocate(layout) }.unwrap()));
    assert_eq!((be_child(&heap), heap.stats().retired), (vec![0], 2));
    on_slot(OWN, || {
        // What is another's that is lost is lost, and breaks nothing.
        // SAFETY: live until now.
        blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
        heap.flush();
        heap.check().unwrap();
    });
    // The next one on a slot that is not lost has its arena.
    // SAFETY: the heap outlives the block.
    on_slot(1, || unsafe { heap.allocate(layout) }.unwrap());
    assert_eq!((on_slot(1, || heap.stats()).live_blocks, heap.stats().retired), (2, 1));
    // SAFETY: there is one thread.
    let quiet = unsafe { heap.quiet() };
    quiet.check().unwrap();
    assert!(!quiet.dissolve());
}

#[test]
fn whose_arena_is_held_does_not_wait_for_ever_and_only_a_child_loses_it() {
    goes_in(Slots(4));
    goes_in(Words::new(4));
}

thread_local! {
    /// The heap whose process forks when the break moves.
    static HEAP: Cell<*const ArenaHeap<Forking, Slots>> = const { Cell::new(std::ptr::null()) };
    static LOST: Cell<Option<(bool, Vec<usize>)>> = const { Cell::new(None) };
}

/// A break that moves while another thread forks.
struct Forking(TestBreak);

// SAFETY: the other break's promises.
unsafe impl Break for Forking {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        self.0.granule()
    }

    fn end(&self) -> *mut u8 {
        self.0.end()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        // SAFETY: set below, for as long as the heap is there.
        if let Some(heap) = unsafe { HEAP.take().as_ref() } {
            LOST.set(Some(fork(heap)));
        }
        self.0.grow(by)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the caller's promise.
        unsafe { self.0.shrink(by) }
    }
}

#[test]
fn who_is_in_the_middle_of_something_is_lost_to_a_child_and_nobody_else() {
    let heap = ArenaHeap::new(Forking(TestBreak::new(64 << 20, 0)), Slots(4));
    let layout = layout(100, 8);
    for slot in [0, 1, OWN] {
        // SAFETY: the heap outlives the block.
        on_slot(slot, || unsafe { heap.allocate(layout) }.unwrap());
    }
    HEAP.set(&raw const heap);
    while LOST.take().inspect(|lost| assert_eq!(*lost, (false, vec![0]))).is_none() {
        // SAFETY: the heap outlives the block.
        on_slot(0, || unsafe { heap.allocate(layout) }.unwrap());
    }
    assert_eq!(heap.stats().retired, 1);
    // SAFETY: the heap outlives the block.
    on_slot(1, || unsafe { heap.allocate(layout) }.unwrap());
    assert_eq!(on_slot(1, || heap.stats()).live_blocks, 2);
}
