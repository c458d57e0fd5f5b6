//! `try_allocate` never calls the provider: its callers may hold locks that the provider needs.

use brkalloc::inner::Slots as SlotProvider;

use super::blocks::layout;
use super::slots::{Deaf, Slots, TestArenas, arenas, arenas_over, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

#[case(Usual, Plain, Checked<Usual>)]
fn the_break_stays_where_it_is<P: Variant>() {
    let heap = arenas::<P>(64 << 20, 1);
    on_slot(0, || {
        assert!(heap.prepare());
        let asked = || heap.with_parent(|parent| parent.provider().asked).unwrap();
        let first = asked();
        let layout = layout(256, 8);
        // SAFETY: the heap outlives the blocks.
        let mut blocks: Vec<_> =
            std::iter::from_fn(|| unsafe { heap.try_allocate(layout) }).collect();
        assert_eq!(asked(), first);
        // SAFETY: as above.
        blocks.push(unsafe { heap.allocate(layout) }.unwrap());
        let more = asked();
        // SAFETY: as above.
        blocks.extend(std::iter::from_fn(|| unsafe { heap.try_allocate(layout) }));
        assert_eq!(asked(), more);
        // SAFETY: live until now.
        blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
    });
    assert_all_is_free(heap);
}

/// Runs `try_allocate` on slot 0, and asserts that the break stays where it is, although `free` has
/// freed enough for it to move down: it does with the next operation.
fn assert_that_it_does_not_trim<C: SlotProvider, P: Variant>(
    heap: TestArenas<P, C>,
    free: impl FnOnce(&TestArenas<P, C>),
) {
    // SAFETY: there is one thread.
    let granted = || unsafe { heap.exclusive() }.stats().parent.granted_bytes;
    free(&heap);
    let (before, layout) = (granted(), layout(100, 8));
    on_slot(0, || {
        // SAFETY: the heap outlives the block.
        let block = unsafe { heap.try_allocate(layout) };
        assert_eq!(granted(), before);
        // SAFETY: live until now.
        block.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
        heap.check().unwrap();
        assert!(granted() < before - (1 << 20), "{} of {before}", granted());
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn what_a_handler_has_freed_waits_on<P: Variant>() {
    assert_that_it_does_not_trim(arenas::<P>(64 << 20, 1), |heap| {
        let layout = layout(2 << 20, 8);
        on_slot(0, || {
            // SAFETY: the heap outlives the block, which is freed once: by a handler that has
            // interrupted code with the parent's lock.
            unsafe {
                let block = heap.allocate(layout).unwrap();
                heap.with_parent(|_| heap.deallocate(block, layout)).unwrap();
            }
        });
    });
}

#[case(Usual, Plain, Checked<Usual>)]
fn no_arena_is_tidied_up<P: Variant>() {
    assert_that_it_does_not_trim(arenas_over::<P, _>(64 << 20, Deaf(Slots(2))), |heap| {
        let (short, long) = (layout(1, 1), layout(100_000, 8));
        let take = |layout| {
            // SAFETY: the heap outlives the block.
            unsafe { heap.allocate(layout) }.unwrap()
        };
        let first = on_slot(1, || take(short));
        let blocks: Vec<_> = on_slot(0, || (0..100).map(|_| take(long)).collect());
        on_slot(1, || {
            // SAFETY: live until now.
            blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, long) });
            // SAFETY: live until now.
            unsafe { heap.deallocate(first, short) };
            // Without a barrier, the owner of slot 0 should do the same.
            heap.flush();
        });
    });
}
