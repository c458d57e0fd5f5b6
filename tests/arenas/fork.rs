//! Around a fork: the test is the process that forks, and then its child, in which nobody is on the
//! other slots any more.

use std::cell::Cell;
use std::ptr::NonNull;

use brkalloc::inner::{ArenaHooks, SlotWord, Slots as SlotProvider};
use brkalloc::{ArenaHeap, Break, BreakError, Cpu, NoMap};

use super::blocks::{Blocks, Rng, layout};
use super::slots::{Slots, arenas_over, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;

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
unsafe impl SlotProvider for Words {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        Cpu::slots(&self.slots)
    }

    fn enter(&self) -> usize {
        Cpu::enter(&self.slots)
    }

    fn has_words(&self) -> bool {
        true
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
fn be_child<B: Break, C: SlotProvider, P: Variant>(heap: &ArenaHeap<B, C, NoMap, P>) -> Vec<usize> {
    on_slot(OWN, || {
        // SAFETY: there is one thread, which does not go on as anybody else.
        unsafe { heap.postfork_child() };
        // SAFETY: nobody else is there.
        (0..heap.cpu().slots())
            .filter(|&slot| slot != OWN && !unsafe { heap.take_over(slot) })
            .collect()
    })
}

/// Forks, and goes on as the child. Says whether all was held, and which slots are lost.
fn fork<B: Break, C: SlotProvider, P: Variant>(
    heap: &ArenaHeap<B, C, NoMap, P>,
) -> (bool, Vec<usize>) {
    // SAFETY: there is one thread.
    let all = on_slot(OWN, || unsafe { heap.prefork() });
    (all, be_child(heap))
}

fn others_are_adopted<P: Variant>(cpu: impl SlotProvider) {
    const COUNT: usize = 20_000;
    let heap = arenas_over::<P, _>(64 << 20, cpu);
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
    on_slot(3, || unsafe { heap.abandon() });
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
        assert_eq!(heap.stats().abandoned, 3);
        free(&kept);
        let again = [allocate(), allocate(), allocate()].concat();
        let after = heap.stats().parent.granted_bytes;
        assert!(after < before + before / 3, "{after} bytes after {before}");
        free(&again);
    });
    assert_all_is_free(heap);
}

#[case(Usual, Checked<Usual>)]
fn what_the_other_threads_had_is_not_lost_to_a_child<P: Variant>() {
    others_are_adopted::<P>(Slots(4));
    others_are_adopted::<P>(Words::new(4));
}

fn goes_on<P: Variant>(cpu: impl SlotProvider) {
    let heap = arenas_over::<P, _>(64 << 20, cpu);
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
    on_slot(3, || unsafe { heap.abandon() });
    for _ in 0..2 {
        on_slot(OWN, || {
            // SAFETY: there is one thread.
            assert!(unsafe { heap.prefork() });
            // SAFETY: as above.
            unsafe { heap.postfork_parent() };
        });
        assert_eq!(heap.stats().abandoned, 1);
        work(&[0, 1, 2]);
    }
    work(&[3]);
    assert_eq!(heap.stats().abandoned, 0);
    for (slot, (blocks, _)) in all.iter_mut().enumerate() {
        on_slot(slot, || blocks.free_all(&heap));
    }
    assert_all_is_free(heap);
}

#[case(Usual, Checked<Usual>)]
fn in_the_parent_everybody_goes_on_after_a_fork<P: Variant>() {
    goes_on::<P>(Slots(4));
    goes_on::<P>(Words::new(4));
}

fn goes_in<P: Variant>(cpu: impl SlotProvider) {
    let heap = arenas_over::<P, _>(64 << 20, cpu);
    let layout = layout(100, 8);
    for slot in [0, 1, 3] {
        // SAFETY: the heap outlives the block.
        on_slot(slot, || unsafe { heap.allocate(layout) }.unwrap());
    }
    // SAFETY: nobody is interrupted.
    on_slot(3, || unsafe { heap.abandon() });
    // SAFETY: there is one thread.
    assert!(on_slot(OWN, || unsafe { heap.prefork() }));
    // Whose arena is held goes in when it has waited long enough, and is there before the process
    // is copied. A slot that is held has no next user.
    // SAFETY: the heap outlives the block.
    let blocks = [0, 3].map(|slot| on_slot(slot, || unsafe { heap.allocate(layout) }.unwrap()));
    assert_eq!((be_child(&heap), heap.stats().abandoned), (vec![0], 2));
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
    assert_eq!((on_slot(1, || heap.stats()).live_blocks, heap.stats().abandoned), (2, 1));
    // SAFETY: there is one thread.
    let exclusive = unsafe { heap.exclusive() };
    exclusive.check().unwrap();
    assert!(!exclusive.dissolve());
}

#[case(Usual, Checked<Usual>)]
fn whose_arena_is_held_does_not_wait_for_ever_and_only_a_child_loses_it<P: Variant>() {
    goes_in::<P>(Slots(4));
    goes_in::<P>(Words::new(4));
}

/// Forks the process.
type Fork = Box<dyn FnOnce() -> (bool, Vec<usize>)>;

thread_local! {
    /// What is done when the break moves.
    static FORK: Cell<Option<Fork>> = const { Cell::new(None) };
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
        if let Some(fork) = FORK.take() {
            LOST.set(Some(fork()));
        }
        self.0.grow(by)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the caller's promise.
        unsafe { self.0.shrink(by) }
    }
}

#[case(Usual, Checked<Usual>)]
fn who_is_in_the_middle_of_something_is_lost_to_a_child_and_nobody_else<P: Variant>() {
    let brk = Forking(TestBreak::new(64 << 20, 0));
    let heap = ArenaHeap::<_, _, _, P>::with_profile(brk, Slots(4), NoMap);
    let layout = layout(100, 8);
    for slot in [0, 1, OWN] {
        // SAFETY: the heap outlives the block.
        on_slot(slot, || unsafe { heap.allocate(layout) }.unwrap());
    }
    let forking = &raw const heap;
    // SAFETY: called for as long as the heap is there.
    FORK.set(Some(Box::new(move || fork(unsafe { &*forking }))));
    while LOST.take().inspect(|lost| assert_eq!(*lost, (false, vec![0]))).is_none() {
        // SAFETY: the heap outlives the block.
        on_slot(0, || unsafe { heap.allocate(layout) }.unwrap());
    }
    assert_eq!(heap.stats().abandoned, 1);
    // SAFETY: the heap outlives the block.
    on_slot(1, || unsafe { heap.allocate(layout) }.unwrap());
    assert_eq!(on_slot(1, || heap.stats()).live_blocks, 2);
}
