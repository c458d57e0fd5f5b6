//! Interrupts: somebody allocates and frees in the middle of either, on the same slot.
//!
//! A provider that uses the heap which calls it is what no provider may be, and what a handler is
//! that hits the worst moment: the arena is in the middle of an operation, and its slot has the
//! parent's lock.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use brkalloc::{ArenaHeap, Break, BreakError, NoMap, RegionError};

use super::blocks::{Block, Blocks, Rng, layout};
use super::slots::{Slots, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;

type Heap<P> = ArenaHeap<Interrupting, Slots, NoMap, P>;

thread_local! {
    /// What comes in the middle of things.
    static HANDLER: Cell<Option<Box<dyn Fn()>>> = const { Cell::new(None) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// A break that is interrupted when it moves.
struct Interrupting(TestBreak);

impl Interrupting {
    fn interrupt() {
        if let Some(handler) = HANDLER.take() {
            CALLS.set(CALLS.get() + 1);
            handler();
            HANDLER.set(Some(handler));
        }
    }

    /// Makes `handler` the one that comes.
    fn by<P: Variant>(heap: &Heap<P>, handler: fn(&Heap<P>)) {
        let heap = ptr::from_ref(heap);
        // SAFETY: the cases take the handler away before the heap goes.
        HANDLER.set(Some(Box::new(move || handler(unsafe { &*heap }))));
    }
}

// SAFETY: the other break's promises. It uses the heap only as a handler may, who has come in
// between.
unsafe impl Break for Interrupting {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        self.0.granule()
    }

    fn end(&self) -> *mut u8 {
        Self::interrupt();
        self.0.end()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        Self::interrupt();
        self.0.grow(by)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        Self::interrupt();
        // SAFETY: the caller's promise.
        unsafe { self.0.shrink(by) }
    }
}

fn heap<P: Variant>() -> Heap<P> {
    ArenaHeap::with_profile(Interrupting(TestBreak::new(64 << 20, 0)), Slots(2), NoMap)
}

/// A program on slot 0 that `handler` interrupts whenever the break moves, or is looked at.
fn interrupted<P: Variant>(handler: fn(&Heap<P>)) {
    let heap = heap::<P>();
    on_slot(0, || {
        // There is a second arena now.
        Block::new(&heap, layout(1, 1), 1).unwrap().free(&heap);
        Interrupting::by(&heap, handler);
        let (mut blocks, mut rng) = (Blocks::new(0), Rng(17));
        for _ in 0..10_000 {
            blocks.step(&heap, &mut rng);
        }
        blocks.free_all(&heap);
        heap.trim(0);
        HANDLER.set(None);
    });
    assert!(CALLS.take() > 50);
    assert_all_is_free(heap);
}

#[case(Usual, Checked<Usual>)]
fn a_handler_allocates_and_frees_while_the_interrupted_one_has_the_lock<P: Variant>() {
    interrupted::<P>(|heap| {
        let blocks: Vec<_> = [1, 16, 100, 1000, 4000]
            .map(|size| Block::new(heap, layout(size, 8), 3).expect("the second arena"))
            .into();
        blocks.into_iter().for_each(|block| block.free(heap));
    });
}

#[case(Usual, Checked<Usual>)]
fn a_handler_is_refused_what_only_the_parent_has_and_nothing_breaks<P: Variant>() {
    interrupted::<P>(|heap| {
        assert!(
            Block::new(heap, layout(200_000, 8), 3).is_none(),
            "who was interrupted has the lock"
        );
        let mut memory = [0_u128; 64];
        // SAFETY: it is refused.
        let added = unsafe { heap.add_region(memory.as_mut_ptr().cast(), size_of_val(&memory)) };
        assert_eq!(added, Err(RegionError::Locked));
        let mut blocks: Vec<_> =
            std::iter::from_fn(|| Block::new(heap, layout(1000, 8), 4)).collect();
        assert!(blocks.len() > 25, "{} blocks of 1000 bytes in the second arena", blocks.len());
        assert!(blocks[0].resize(heap, 50_000).is_none());
        blocks.into_iter().for_each(|block| block.free(heap));
        heap.flush();
        assert_eq!(heap.trim(0), 0);
        heap.check().unwrap();
    });
}

#[case(Usual, Checked<Usual>)]
fn a_handler_frees_what_it_did_not_allocate<P: Variant>() {
    thread_local!(static BLOCKS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) });
    let heap = heap::<P>();
    Interrupting::by(&heap, |heap| BLOCKS.take().into_iter().for_each(|block| block.free(heap)));
    for round in 0..50 {
        let of_another = on_slot(1, || Block::new(&heap, layout(200, 8), 9).unwrap());
        on_slot(0, || {
            let small = (0..20).map(|_| Block::new(&heap, layout(100, 8), round).unwrap());
            let large = (0..2).map(|_| Block::new(&heap, layout(140_000, 8), round).unwrap());
            let mut blocks: Vec<_> = small.chain(large).collect();
            blocks.push(of_another);
            BLOCKS.set(blocks);
            // The break moves, and the handler comes.
            let block = Block::new(&heap, layout(1_000_000, 8), 1).unwrap();
            assert!(BLOCKS.take().is_empty());
            block.free(&heap);
            heap.trim(0);
        });
    }
    HANDLER.set(None);
    CALLS.set(0);
    assert_all_is_free(heap);
}

/// The handler reaches neither the arena, which is in the middle of an operation, nor the parent:
/// the blocks of both must move to the second arena with their contents, or stay.
#[case(Usual, Checked<Usual>)]
fn what_a_handler_resizes_by_address_keeps_its_contents<P: Variant>() {
    thread_local! {
        static BLOCKS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
        static MOVED: Cell<usize> = const { Cell::new(0) };
    }
    /// Sizes of blocks of slabs, of a cell, and of the parent.
    const SIZES: [usize; 5] = [40, 100, 700, 9_000, 200_000];
    let heap = heap::<P>();
    on_slot(0, || {
        BLOCKS.set(SIZES.map(|size| Block::new(&heap, layout(size, 8), 5).unwrap()).into());
        Interrupting::by(&heap, |heap| {
            let mut blocks = BLOCKS.take();
            for (index, block) in blocks.iter_mut().enumerate() {
                let resized = [90, 30, 600].map(|size| block.resize_by_ptr(heap, size));
                let is_moved = resized.iter().any(Option::is_some);
                assert!(!is_moved || index < SIZES.len() - 1, "the parent was interrupted");
                MOVED.set(MOVED.get() + usize::from(is_moved));
            }
            BLOCKS.set(blocks);
        });
        // The arena needs segments: the break moves.
        let blocks: Vec<_> =
            (0..200).map(|_| Block::new(&heap, layout(3_000, 8), 6).unwrap()).collect();
        HANDLER.set(None);
        assert!(CALLS.take() > 1 && MOVED.take() > SIZES.len());
        let mut resized = BLOCKS.take();
        resized.last_mut().unwrap().resize_by_ptr(&heap, 100).expect("the parent is free");
        resized.into_iter().chain(blocks).for_each(|block| block.free(&heap));
    });
    assert_all_is_free(heap);
}
