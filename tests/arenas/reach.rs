//! No memory out of reach: a heap of arenas with nothing live is as good as a fresh one, whoever
//! freed the blocks and wherever they wait.

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::inner::Slots as SlotProvider;

use super::blocks::{Rng, layout};
use super::slots::{Deaf, Slots, TestArenas, arenas_over, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

const SLOTS: usize = 3;

/// Who frees the blocks that slot 0 has allocated, and what becomes of slot 0 then.
#[derive(Clone, Copy, Debug)]
enum Freed {
    /// Its owner, which then asks.
    BySelf,
    /// Its owner, which is idle when another asks.
    ByIdle,
    /// The one who asks.
    ByAsking,
    /// A third one, which is idle when the other asks.
    ByThird,
    /// The one who asks, after slot 0 was abandoned.
    AfterAbandoned,
}

const WAYS: [Freed; 5] =
    [Freed::BySelf, Freed::ByIdle, Freed::ByAsking, Freed::ByThird, Freed::AfterAbandoned];

/// Every slot has allocated and freed one byte: what a fresh heap is.
fn fresh<C: SlotProvider, P: Variant>(len: usize, cpu: C) -> TestArenas<P, C> {
    let heap = arenas_over::<P, C>(len, cpu);
    for slot in 0..SLOTS {
        on_slot(slot, || touch(&heap));
    }
    heap
}

fn touch<C: SlotProvider, P: Variant>(heap: &TestArenas<P, C>) {
    let layout = layout(1, 1);
    // SAFETY: the heap outlives the block, which is freed once.
    unsafe {
        let block = heap.allocate(layout).expect("a byte");
        heap.deallocate(block, layout);
    }
}

/// Blocks of these sizes, in turn, until the heap refuses one.
fn fill<C: SlotProvider, P: Variant>(
    heap: &TestArenas<P, C>,
    sizes: &[usize],
) -> Vec<(NonNull<u8>, Layout)> {
    let layouts = sizes.iter().cycle().map(|&size| layout(size, 8));
    // SAFETY: the heap outlives the blocks.
    layouts.map_while(|layout| unsafe { heap.allocate(layout) }.map(|at| (at, layout))).collect()
}

/// Slot 0 fills the memory twice, and all blocks are freed in an order of chance: by another the
/// first time, so that slot 0 collects. Returns the slot that asks next.
fn use_up<C: SlotProvider, P: Variant>(
    heap: &TestArenas<P, C>,
    sizes: &[usize],
    way: Freed,
) -> usize {
    let blocks = on_slot(0, || fill(heap, sizes));
    on_slot(2, || {
        // SAFETY: live until now.
        blocks.into_iter().for_each(|(at, layout)| unsafe { heap.deallocate(at, layout) });
    });
    let mut blocks = on_slot(0, || fill(heap, sizes));
    let mut rng = Rng(sizes.len() as u64 + 77);
    (1..blocks.len()).rev().for_each(|index| blocks.swap(index, rng.below(index + 1)));
    if matches!(way, Freed::AfterAbandoned) {
        // SAFETY: nobody is interrupted.
        on_slot(0, || unsafe { heap.abandon() });
    }
    let (by, asking) = match way {
        Freed::BySelf => (0, 0),
        Freed::ByIdle => (0, 1),
        Freed::ByAsking | Freed::AfterAbandoned => (1, 1),
        Freed::ByThird => (2, 1),
    };
    on_slot(by, || {
        // SAFETY: live until now.
        blocks.into_iter().for_each(|(at, layout)| unsafe { heap.deallocate(at, layout) });
    });
    asking
}

/// Whether one request is granted at the first attempt, by each of the ways to ask.
fn is_granted<C: SlotProvider, P: Variant>(
    heap: &TestArenas<P, C>,
    layout: Layout,
    zeroed: bool,
) -> bool {
    // SAFETY: the heap outlives the block, which is freed once.
    unsafe {
        let block = if zeroed { heap.allocate_zeroed(layout) } else { heap.allocate(layout) };
        block.map(|block| heap.deallocate(block, layout)).is_some()
    }
}

/// The largest request that a fresh heap of so many bytes grants to slot `asking`.
fn largest<P: Variant>(len: usize, asking: usize, align: usize) -> usize {
    let (mut least, mut most) = (0, len);
    while least < most {
        let size = (least + most).div_ceil(2);
        let heap = fresh::<_, P>(len, Slots(SLOTS));
        match on_slot(asking, || is_granted(&heap, layout(size, align), false)) {
            true => least = size,
            false => most = size - 1,
        }
    }
    least
}

#[case(Usual, Plain, Checked<Usual>)]
fn nothing_live_grants_what_a_fresh_heap_grants_at_the_first_request<P: Variant>() {
    for (len, align) in [(1 << 20, 8), ((1 << 20) + 212_345, 16 << 10)] {
        let largest = [0, 1].map(|asking| largest::<P>(len, asking, align));
        assert!(largest[1] > len / 4, "{largest:?} of {len} bytes");
        let mut others = [(1, true), (2, false), (40, false)].into_iter().cycle();
        for sizes in [&[64][..], &[1000], &[20_000], &[100_000], &[300_000], &[16, 5_000, 700]] {
            for way in WAYS {
                for (part, zeroed) in [Some((1, false)), others.next()].into_iter().flatten() {
                    let heap = fresh::<_, P>(len, Slots(SLOTS));
                    let asking = use_up(&heap, sizes, way);
                    let layout = layout(largest[asking] / part, align);
                    let granted = on_slot(asking, || is_granted(&heap, layout, zeroed));
                    assert!(granted, "{layout:?} of {len} after {sizes:?} {way:?}");
                }
            }
        }
    }
}

#[case(Usual, Plain, Checked<Usual>)]
fn without_a_barrier_idle_owners_give_their_memory_up_with_the_next_operation<P: Variant>() {
    let len = 4 << 20;
    let heap = fresh::<_, P>(len, Deaf(Slots(SLOTS)));
    let ask = || on_slot(1, || is_granted(&heap, layout(len / 2, 8), false));
    assert!(ask(), "a fresh heap grants it");
    use_up(&heap, &[1000], Freed::ByThird);
    assert!(!ask(), "the memory is an idle arena's");
    on_slot(2, || touch(&heap));
    on_slot(0, || touch(&heap));
    assert!(ask(), "it was asked for, and given up");
    // Those that nobody can be in are within reach at once, but for what waits to be sent.
    use_up(&heap, &[1000], Freed::BySelf);
    on_slot(2, || heap.flush());
    assert!(on_slot(0, || is_granted(&heap, layout(len / 2, 8), false)));
    use_up(&heap, &[1000], Freed::AfterAbandoned);
    on_slot(2, || heap.flush());
    assert!(ask());
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn what_is_free_between_live_blocks_of_idle_arenas_serves_others<P: Variant>() {
    let heap = fresh::<_, P>(2 << 20, Slots(SLOTS));
    let blocks = on_slot(0, || fill(&heap, &[2_000]));
    let (kept, freed): (Vec<_>, Vec<_>) =
        blocks.into_iter().enumerate().partition(|(index, _)| index % 20 == 0);
    let free = |blocks: Vec<(usize, (NonNull<u8>, Layout))>| {
        // SAFETY: live until now.
        blocks.into_iter().for_each(|(_, (at, layout))| unsafe { heap.deallocate(at, layout) });
    };
    let count = freed.len();
    on_slot(0, || free(freed));
    let others = on_slot(1, || fill(&heap, &[2_000]));
    assert!(others.len() * 20 > count * 19, "{} of {count} blocks", others.len());
    on_slot(0, || free(kept));
    on_slot(2, || {
        // SAFETY: live until now.
        others.into_iter().for_each(|(at, layout)| unsafe { heap.deallocate(at, layout) });
    });
    assert_all_is_free(heap);
}

/// The bound on the bytes of all segments, of which so many had a live block at a time, in bytes:
/// PORTING.md states it.
fn bound(live: usize) -> usize {
    const LONGEST_SEGMENT: usize = 8 << 20;
    live + (live / 4).max(4 << 20) + LONGEST_SEGMENT.min(live / 8)
}

/// Slots take turns: each builds what is live in blocks of `size` bytes, another frees that when
/// the next one is about to build its own. Somebody tidies up when most is live, which is the worst
/// moment: what is left alone is most then. Returns the most bytes of segments that had a live
/// block, and the most of all.
fn turns<P: Variant>(slots: usize, live: usize, size: usize) -> [usize; 2] {
    let heap = arenas_over::<P, _>(4 * live, Slots(slots + 1));
    // SAFETY: there is one thread.
    let segments = || unsafe { heap.exclusive() }.stats().segment_bytes;
    let layout = layout(size, 8);
    let (mut pinned, mut most) = (0, 0);
    for turn in 0..2 * slots {
        let mut blocks = Vec::new();
        on_slot(turn % slots, || {
            for count in 0..live / size {
                // SAFETY: the heap outlives the block.
                blocks.push(unsafe { heap.allocate(layout) }.unwrap());
                if count % (1 + (256 << 10) / size) == 0 {
                    most = most.max(segments());
                }
            }
        });
        on_slot(slots, || {
            heap.flush();
            pinned = pinned.max(segments());
            // SAFETY: live until now.
            blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
        });
    }
    assert_all_is_free(heap);
    [pinned, most]
}

#[case(Usual, Plain)]
fn what_idle_arenas_have_does_not_grow_with_their_number_and_comes_close_to_the_bound<
    P: Variant,
>() {
    for (live, size) in [(64 << 20, 20_000), (32 << 20, 100_000), (48 << 20, 700)] {
        for slots in [2, 7] {
            let [pinned, most] = turns::<P>(slots, live, size);
            let bound = bound(pinned);
            assert!(pinned < live + live / 5, "{pinned} bytes of segments for {live}");
            assert!(most <= bound, "{slots} slots, {size} bytes: {most} of {bound} ({pinned})");
            assert!(most * 10 >= bound * 9, "{slots} slots: {most} of {bound} ({pinned})");
        }
    }
}
