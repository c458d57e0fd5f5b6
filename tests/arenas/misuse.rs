//! Checked heaps of arenas: what is done wrong with another's block is reported where it
//! is done, or when its owner takes it up.

use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use brkalloc::{Misuse, MisuseKind, MisuseResponse};
use spin::Mutex;

use super::blocks::layout;
use super::slots::{TestArenas, assert_all_is_free, on_slot};
use super::threads::join;
use crate::common::case;
use crate::common::misuse::{
    CheckedVariant, NOTHING, addr, at, misuse, note_and_ignore, reported, the_report,
};
use crate::common::profile::WORD;

/// On no slot.
const NOWHERE: usize = usize::MAX;

/// A heap whose slots 0 to 2 have arenas, and which notes what is done wrong.
fn heap<P: CheckedVariant>() -> TestArenas<P> {
    let heap = super::heap::<P>(3);
    heap.set_misuse_hook(note_and_ignore);
    reported();
    (0..3).for_each(|slot| free(&heap, slot, allocate(&heap, slot, layout(8, 8)), layout(8, 8)));
    heap
}

fn allocate<P: CheckedVariant>(heap: &TestArenas<P>, slot: usize, layout: Layout) -> NonNull<u8> {
    // SAFETY: the cases keep their heaps.
    on_slot(slot, || unsafe { heap.allocate(layout) }).expect("there is memory")
}

/// Frees what may be no block: that is what a checked heap is for.
fn free<P: CheckedVariant>(heap: &TestArenas<P>, slot: usize, block: NonNull<u8>, layout: Layout) {
    // SAFETY: a checked heap does nothing if it is none.
    on_slot(slot, || unsafe { heap.deallocate(block, layout) });
}

fn resize<P: CheckedVariant>(
    heap: &TestArenas<P>,
    slot: usize,
    block: NonNull<u8>,
    layout: Layout,
    size: usize,
) -> Option<NonNull<u8>> {
    // SAFETY: as for `free`.
    on_slot(slot, || unsafe { heap.reallocate(block, layout, size) })
}

/// Sends what the slots have for others, and lets slot 0 take up what it gets.
fn bring_home<P: CheckedVariant>(heap: &TestArenas<P>) {
    (1..3).for_each(|slot| on_slot(slot, || heap.flush()));
    on_slot(0, || heap.flush());
}

/// A layout of each kind of block that lies in an arena: in a run, and a cell, and what is longer
/// than the outbox takes of one owner.
fn layouts() -> [Layout; 4] {
    [layout(41, 8), layout(3, 1), layout(3003, 4), layout(30_000, 16)]
}

/// A block of slot 0, and one behind it, which keeps its memory where it is.
fn block<P: CheckedVariant>(heap: &TestArenas<P>, layout: Layout) -> (NonNull<u8>, NonNull<u8>) {
    (allocate(heap, 0, layout), allocate(heap, 0, layout))
}

fn assert_is_whole<P: CheckedVariant>(heap: &TestArenas<P>) {
    // SAFETY: the case has one thread, or the others have ended.
    unsafe { heap.exclusive() }.check().unwrap_or_else(|corruption| panic!("{corruption}"));
    assert_eq!(reported(), NOTHING);
}

#[case(Checked<Usual>, Checked<Plain>)]
fn a_second_free_is_reported_whoever_does_it_and_wherever_the_block_is<P: CheckedVariant>() {
    for layout in layouts() {
        let heap = heap::<P>();
        let (block, wall) = block(&heap, layout);
        free(&heap, 1, block, layout);
        assert_eq!(reported(), NOTHING);
        // It waits in the outbox; then it is on the owner's list; then the owner has it back.
        for when in ["waiting", "sent", "taken up"] {
            for slot in [1, 2, 0, NOWHERE] {
                free(&heap, slot, block, layout);
                let report = the_report();
                assert_eq!(
                    (report.kind, report.block),
                    (MisuseKind::DoubleFree, addr(block)),
                    "{layout:?}, {when}, slot {slot}"
                );
                assert_eq!(resize(&heap, slot, block, layout, 50), None);
                assert_eq!(
                    the_report().kind,
                    MisuseKind::DoubleFree,
                    "{layout:?}, {when}, slot {slot}"
                );
                // SAFETY: a checked heap does nothing.
                let moved = on_slot(slot, || unsafe {
                    heap.reallocate_by_ptr(block, super::layout(50, 8))
                });
                assert_eq!(
                    (moved, the_report().kind),
                    (None, MisuseKind::DoubleFree),
                    "{layout:?}, {when}, slot {slot}"
                );
            }
            match when {
                "waiting" => on_slot(1, || heap.flush()),
                _ => on_slot(0, || heap.flush()),
            }
        }
        free(&heap, 0, wall, layout);
        assert_is_whole(&heap);
        assert_all_is_free(heap);
    }
}

/// Frees two blocks of the parent as a handler does that has interrupted code with its lock: they
/// wait. Then runs `harm` with both, and has them freed.
fn freed_by_handler<P: CheckedVariant>(
    harm: impl Fn(&TestArenas<P>, NonNull<u8>, NonNull<u8>),
) -> (Vec<Misuse>, NonNull<u8>, NonNull<u8>) {
    let (heap, layout) = (heap::<P>(), layout(200_000, 8));
    let [first, between, second, wall] = [(); 4].map(|()| allocate(&heap, 0, layout));
    let run = |_: &_| {
        free(&heap, 0, first, layout);
        free(&heap, 0, second, layout);
        harm(&heap, first, second);
    };
    on_slot(0, || heap.with_parent(run)).unwrap();
    on_slot(0, || heap.check()).unwrap_or_else(|corruption| panic!("{corruption}"));
    let reports = reported();
    [between, wall].into_iter().for_each(|block| free(&heap, 0, block, layout));
    assert_is_whole(&heap);
    (reports, first, second)
}

#[case(Checked<Usual>, Checked<Plain>)]
fn a_handler_that_frees_a_block_of_the_parent_twice_is_reported<P: CheckedVariant>() {
    let layout = layout(200_000, 8);
    for again in [0, 1] {
        let (reports, first, second) = freed_by_handler::<P>(|heap, first, second| {
            free(heap, 0, [first, second][again], layout);
        });
        let kinds: Vec<_> = reports.iter().map(|report| (report.kind, report.block)).collect();
        assert_eq!(kinds, [(MisuseKind::DoubleFree, addr([first, second][again]))]);
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn a_write_to_a_block_that_a_handler_has_freed_is_reported<P: CheckedVariant>() {
    for wild in [8, 0x5555_5555, 1 << (usize::BITS - 2)] {
        let (reports, _, second) = freed_by_handler::<P>(|_, _, second| {
            // SAFETY: memory of the heap, which is what a checked heap is for.
            unsafe { second.cast().write(wild) };
        });
        assert_eq!(reports, [misuse(MisuseKind::WriteAfterFree, second, addr(second), wild, 0)]);
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn once_here_and_once_there_is_reported<P: CheckedVariant>() {
    for layout in layouts() {
        let heap = heap::<P>();
        let (block, wall) = block(&heap, layout);
        free(&heap, 0, block, layout);
        for slot in [1, 2, NOWHERE] {
            free(&heap, slot, block, layout);
            let report = the_report();
            assert_eq!(
                (report.kind, report.block),
                (MisuseKind::DoubleFree, addr(block)),
                "{layout:?}, slot {slot}"
            );
        }
        bring_home(&heap);
        free(&heap, 2, wall, layout);
        assert_is_whole(&heap);
        assert_all_is_free(heap);
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn of_two_who_free_at_the_same_time_one_is_reported<P: CheckedVariant>() {
    static REPORTED: AtomicUsize = AtomicUsize::new(0);
    fn count(misuse: &Misuse) -> MisuseResponse {
        assert_eq!(misuse.kind, MisuseKind::DoubleFree);
        REPORTED.fetch_add(1, Ordering::Relaxed);
        MisuseResponse::Ignore
    }
    const ROUNDS: usize = 200;
    // The counter is that of all profiles.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    REPORTED.store(0, Ordering::Relaxed);
    let heap = super::heap::<P>(3);
    heap.set_misuse_hook(count);
    let blocks: Vec<usize> = (0..ROUNDS)
        .map(|round| allocate(&heap, 0, layouts()[round % 3]).as_ptr().expose_provenance())
        .collect();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let spawn = |slot| {
            let (heap, blocks, start) = (&heap, &blocks, &start);
            scope.spawn(move || {
                for (round, &block) in blocks.iter().enumerate() {
                    start.wait();
                    let block = NonNull::new(std::ptr::with_exposed_provenance_mut(block)).unwrap();
                    free(heap, slot, block, layouts()[round % 3]);
                }
            })
        };
        join([spawn(1), spawn(2)].into());
    });
    bring_home(&heap);
    assert_eq!(REPORTED.load(Ordering::Relaxed), ROUNDS);
    assert_all_is_free(heap);
}

#[case(Checked<Usual>, Checked<Plain>)]
fn a_wrong_layout_and_what_was_never_allocated_are_reported<P: CheckedVariant>() {
    for layout in layouts() {
        let heap = heap::<P>();
        let (block, wall) = block(&heap, layout);
        for slot in [1, NOWHERE] {
            let (wrong, size) =
                (super::layout(layout.size() + 20, layout.align()), layout.size().max(WORD));
            free(&heap, slot, block, wrong);
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WrongSize, block, addr(block), wrong.size(), size)
            );
            let wrong = super::layout(layout.size(), 2 * layout.align());
            free(&heap, slot, block, wrong);
            assert_eq!(
                the_report(),
                misuse(
                    MisuseKind::WrongAlignment,
                    block,
                    addr(block),
                    wrong.align(),
                    layout.align()
                )
            );
            for offset in [1, 8, 16] {
                free(&heap, slot, at(block, offset), layout);
                let report = the_report();
                let kinds = [MisuseKind::NeverAllocated, MisuseKind::Header];
                assert!(
                    kinds.contains(&report.kind) && report.block == addr(block) + offset as usize,
                    "{report}"
                );
            }
        }
        [block, wall].into_iter().for_each(|block| free(&heap, 1, block, layout));
        bring_home(&heap);
        assert_is_whole(&heap);
        assert_all_is_free(heap);
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn an_overflow_is_reported_by_who_frees_the_block<P: CheckedVariant>() {
    for layout in layouts() {
        for slot in [1, NOWHERE] {
            let heap = heap::<P>();
            let (block, wall) = block(&heap, layout);
            let end = at(block, layout.size().max(WORD) as isize);
            // SAFETY: that is what the case is about.
            unsafe { end.write(7) };
            free(&heap, slot, block, layout);
            let report = the_report();
            assert_eq!(
                (report.kind, report.block),
                (MisuseKind::Overflow, addr(block)),
                "{layout:?}"
            );
            // What is behind the block is a gap, or the record.
            assert!((addr(end)..addr(end) + 2 * WORD).contains(&report.at), "{report}");
            // Nobody gets it again, and it counts as freed, if its record can be found again.
            free(&heap, slot, block, layout);
            assert_eq!(the_report().kind, MisuseKind::DoubleFree);
            free(&heap, slot, wall, layout);
            bring_home(&heap);
            assert_is_whole(&heap);
        }
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn what_is_written_to_the_record_of_a_block_on_its_way_is_reported<P: CheckedVariant>() {
    for layout in layouts() {
        let heap = heap::<P>();
        let (block, wall) = block(&heap, layout);
        let second = allocate(&heap, 0, layout);
        let end = at(block, layout.size().max(WORD) as isize);
        free(&heap, 1, block, layout);
        // SAFETY: that is what the case is about.
        unsafe { end.write(7) };
        bring_home(&heap);
        let report = the_report();
        assert_eq!(
            (report.kind, report.block),
            (MisuseKind::WriteAfterFree, addr(block)),
            "{layout:?}"
        );
        // The arena serves on, and takes up what comes.
        [wall, second].into_iter().for_each(|block| free(&heap, 2, block, layout));
        bring_home(&heap);
        assert_is_whole(&heap);
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn a_link_of_a_block_on_its_way_that_leads_out_of_the_arena_is_not_followed<P: CheckedVariant>() {
    for layout in layouts() {
        let heap = heap::<P>();
        let (block, wall) = block(&heap, layout);
        let other = allocate(&heap, 2, layout);
        for wild in [8, usize::MAX - 7, addr(other), addr(wall) + 1] {
            let block = allocate(&heap, 0, layout);
            // Who is on no slot has no outbox: the block goes to its owner's list.
            free(&heap, NOWHERE, block, layout);
            // SAFETY: that is what the case is about.
            unsafe { block.cast::<usize>().write(wild) };
            on_slot(0, || heap.flush());
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WriteAfterFree, block, addr(block), wild, 0)
            );
        }
        [block, wall].into_iter().for_each(|block| free(&heap, 0, block, layout));
        free(&heap, 2, other, layout);
        assert_is_whole(&heap);
        assert_all_is_free(heap);
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn a_misuse_of_a_large_block_is_reported_whoever_has_it<P: CheckedVariant>() {
    let heap = heap::<P>();
    let large = layout(200_000, 8);
    let block = allocate(&heap, 0, large);
    free(&heap, 1, block, layout(200_001, 8));
    assert_eq!(the_report(), misuse(MisuseKind::WrongSize, block, addr(block), 200_001, 200_000));
    assert_eq!(resize(&heap, 1, block, layout(200_001, 8), 300_000), None);
    assert_eq!(the_report().kind, MisuseKind::WrongSize);
    free(&heap, 1, block, large);
    for slot in [0, 1, NOWHERE] {
        free(&heap, slot, block, large);
        assert_eq!(the_report().kind, MisuseKind::DoubleFree);
        assert_eq!(resize(&heap, slot, block, large, 10), None);
        assert_eq!(the_report().kind, MisuseKind::DoubleFree);
    }
    assert_is_whole(&heap);
    assert_all_is_free(heap);
}

#[case(Checked<Usual>, Checked<Plain>)]
fn who_panics_leaves_neither_arena_nor_parent_locked<P: CheckedVariant>() {
    let heap = super::heap::<P>(2);
    for layout in [layout(41, 8), layout(200_000, 8)] {
        let block = allocate(&heap, 0, layout);
        free(&heap, 1, block, layout);
        for slot in [1, 0] {
            let panic =
                catch_unwind(AssertUnwindSafe(|| free(&heap, slot, block, layout))).unwrap_err();
            assert!(
                panic.downcast_ref::<String>().unwrap().starts_with("double free of the block at ")
            );
        }
        for slot in [0, 1] {
            for layout in [layout, super::layout(41, 8), super::layout(200_000, 8)] {
                free(&heap, slot, allocate(&heap, slot, layout), layout);
            }
        }
    }
    assert_all_is_free(heap);
}

#[case(Checked<Usual>, Checked<Plain>)]
fn what_unwinds_while_blocks_are_taken_up_is_told_once<P: CheckedVariant>() {
    let heap = super::heap::<P>(2);
    let layout = layout(41, 8);
    let (block, wall) = block(&heap, layout);
    free(&heap, 1, block, layout);
    // SAFETY: nobody is interrupted. The block is sent.
    on_slot(1, || unsafe { heap.abandon() });
    // SAFETY: that is what the case is about.
    unsafe { at(block, layout.size() as isize).write(7) };
    let take_up = || catch_unwind(AssertUnwindSafe(|| on_slot(0, || heap.flush())));
    let panic = take_up().unwrap_err();
    assert!(
        panic.downcast_ref::<String>().unwrap().starts_with("write after free: the free block at ")
    );
    assert!(take_up().is_ok());
    free(&heap, 1, wall, layout);
    assert_is_whole(&heap);
}
