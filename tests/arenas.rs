//! Arenas: many share a heap, and nobody waits for another's arena (C26, C27). For the host alone:
//! the kernel has one thread.

#[path = "arenas/blocks.rs"]
mod blocks;
#[path = "arenas/cells.rs"]
mod cells;
#[path = "arenas/fork.rs"]
mod fork;
#[path = "arenas/interrupts.rs"]
mod interrupts;
#[path = "arenas/local.rs"]
mod local;
#[path = "arenas/mail.rs"]
mod mail;
#[path = "arenas/misuse.rs"]
mod misuse;
#[path = "arenas/reach.rs"]
mod reach;
#[path = "arenas/shrink.rs"]
mod shrink;
#[path = "arenas/slots.rs"]
mod slots;
#[path = "arenas/storm.rs"]
mod storm;
#[path = "arenas/threads.rs"]
mod threads;
#[path = "arenas/try_allocate.rs"]
mod try_allocate;

use crate::common::host_only;
use std::alloc::Layout;

use crate::common::case;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;
use blocks::{Blocks, Rng, layout};
use brkalloc::{ArenaHeap, NoMap};
use slots::{Slots, TestArenas, arenas, assert_all_is_free, on_slot};

host_only!("the slots are threads of the host, and its provider says which");

fn heap<P: Variant>(slots: usize) -> TestArenas<P> {
    arenas(64 << 20, slots)
}

#[case(Usual, Plain, Small, Checked<Usual>)]
fn c26_a_slot_has_an_arena_of_its_own<P: Variant>() {
    let heap = heap::<P>(2);
    on_slot(0, || {
        let mut blocks = Blocks::new(0);
        let mut rng = Rng(1);
        for _ in 0..20_000 {
            blocks.step(&heap, &mut rng);
        }
        heap.check().unwrap();
        let stats = heap.stats();
        assert!(stats.segments > 0 && stats.live_blocks > 0, "{stats}");
        blocks.free_all(&heap);
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn arenas_can_live_from_added_regions_alone<P: Variant>() {
    let heap = ArenaHeap::<_, _, _, P>::with_profile(None::<TestBreak>, Slots(2), NoMap);
    let layout = layout(100, 8);
    // SAFETY: the heap outlives the blocks.
    assert_eq!(on_slot(0, || unsafe { heap.allocate(layout) }), None);
    let memory = vec![0_u128; 1 << 16].leak();
    // SAFETY: leaked, and nobody else's.
    let gained =
        unsafe { heap.add_region(memory.as_mut_ptr().cast(), size_of_val(memory)) }.unwrap();
    assert!((size_of_val(memory) - 64..size_of_val(memory)).contains(&gained), "{gained} bytes");
    let blocks: Vec<_> = [0, 1]
        .map(|slot| {
            // SAFETY: the heap outlives the block.
            on_slot(slot, || unsafe { heap.allocate(layout) }).expect("there is memory now")
        })
        .into();
    let segments = [0, 1].map(|slot| on_slot(slot, || heap.stats()).segments);
    assert_eq!(segments, [1, 1], "each slot has an arena of its own");
    // SAFETY: live until now.
    on_slot(0, || blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) }));
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn c27_what_another_frees_goes_back_to_its_arena<P: Variant>() {
    let heap = heap::<P>(2);
    let layout = layout(100, 8);
    let all = || {
        on_slot(0, || {
            // SAFETY: the heap outlives the blocks.
            let blocks: Vec<_> =
                (0..5_000).map(|_| unsafe { heap.allocate(layout) }.unwrap()).collect();
            blocks
        })
    };
    let blocks = all();
    let before = on_slot(0, || heap.stats());
    on_slot(1, || {
        for block in &blocks {
            // SAFETY: live until now.
            unsafe { heap.deallocate(*block, layout) };
        }
        heap.flush();
        assert_eq!(heap.stats().segments, 0, "nothing of another's memory stays here");
    });
    // What was freed is used again: the arena does not grow.
    let mut again = all();
    let after = on_slot(0, || heap.stats());
    assert_eq!(after.segment_bytes, before.segment_bytes);
    let mut first = blocks;
    first.sort_unstable();
    again.sort_unstable();
    let back = again.iter().filter(|block| first.binary_search(block).is_ok()).count();
    assert!(back > 4_000, "{back} of 5000 blocks are old ones");
    // SAFETY: live until now.
    on_slot(0, || again.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) }));
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn c27_what_comes_back_is_used_again_be_it_one_block_or_more_than_there_are_packets_for<
    P: Variant,
>() {
    let heap = heap::<P>(2);
    for count in [1, 57, 300, 500, 2_000] {
        for size in [8, 100, 1_000, 3_000] {
            let layout = layout(size, 8);
            let take = || -> Vec<_> {
                // SAFETY: the heap outlives the blocks.
                on_slot(0, || {
                    // SAFETY: the heap outlives the blocks.
                    (0..count).map(|_| unsafe { heap.allocate(layout) }.unwrap()).collect()
                })
            };
            let free = |slot: usize, blocks: Vec<std::ptr::NonNull<u8>>| {
                on_slot(slot, || {
                    // SAFETY: live until now.
                    blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
                    heap.flush();
                });
            };
            free(1, take());
            // Everything that is on its way is found.
            on_slot(0, || heap.flush());
            assert_eq!(
                on_slot(0, || heap.stats()).live_blocks,
                0,
                "{count} blocks of {size} bytes"
            );
            // And without that: what was freed is taken up before the arena grows, a part of it at
            // a time.
            let first = take();
            let most = on_slot(0, || heap.stats()).segment_bytes;
            free(1, first);
            let second = take();
            let now = on_slot(0, || heap.stats()).segment_bytes;
            // As many segments, cut otherwise at most, and two units for slabs that begin now.
            let limit = most + most / 8 + (128 << 10);
            assert!(now < limit, "{count} blocks of {size} bytes: {now} after {most}");
            free(0, second);
        }
    }
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn what_is_large_is_the_parents_and_moves_there_when_it_grows<P: Variant>() {
    let heap = heap::<P>(1);
    on_slot(0, || {
        let small = layout(40, 8);
        // SAFETY: the heap outlives the block, which is freed once, with the layout it has then.
        unsafe {
            let mut block = heap.allocate(small).unwrap();
            block.write_bytes(7, 40);
            let mut size = 40;
            for new_size in [1000, 5_000, 30_000, 40_000, 400_000, 50_000, 33_000, 8, 2_000] {
                block = heap.reallocate(block, layout(size, 8), new_size).unwrap();
                let kept = core::slice::from_raw_parts(block.as_ptr(), size.min(new_size).min(40));
                assert!(kept.iter().all(|&byte| byte == 7), "from {size} to {new_size}");
                assert!(heap.usable_size(block) >= new_size);
                block.write_bytes(7, new_size);
                size = new_size;
            }
            heap.deallocate(block, layout(size, 8));
        }
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn zeroed_blocks_are_zero_whoever_has_used_the_memory<P: Variant>() {
    let heap = heap::<P>(1);
    on_slot(0, || {
        for size in [1, 8, 100, 1024, 1025, 20_000, 33_000, 300_000] {
            for _ in 0..3 {
                // SAFETY: the heap outlives the block, which is freed once, with its own layout.
                unsafe {
                    let block = heap.allocate_zeroed(layout(size, 16)).unwrap();
                    assert!(
                        core::slice::from_raw_parts(block.as_ptr(), size)
                            .iter()
                            .all(|&byte| byte == 0),
                        "{size}"
                    );
                    block.write_bytes(0xAA, size);
                    heap.deallocate(block, layout(size, 16));
                }
            }
        }
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn blocks_are_freed_and_resized_by_address_alone_whoever_does_it<P: Variant>() {
    let heap = heap::<P>(3);
    let mut rng = Rng(5);
    let mut live: Vec<(core::ptr::NonNull<u8>, usize, u8)> = Vec::new();
    let holds = |&(block, size, byte): &(core::ptr::NonNull<u8>, usize, u8), len: usize| {
        // SAFETY: live, and that long.
        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), len.min(size)) };
        assert!(bytes.iter().all(|&found| found == byte), "a block of {size} bytes was written to");
    };
    for step in 0..30_000_usize {
        on_slot(rng.below(3), || match rng.below(4) {
            0 | 1 if live.len() < 500 => {
                let size = rng.size();
                // SAFETY: the heap outlives the block.
                let block = unsafe { heap.allocate(layout(size, 16)) }.unwrap();
                // SAFETY: that long.
                unsafe { block.write_bytes(step as u8, size) };
                live.push((block, size, step as u8));
            }
            2 if !live.is_empty() => {
                let index = rng.below(live.len());
                let (block, old, byte) = live[index];
                let new = rng.size();
                // SAFETY: live until now.
                let block = unsafe { heap.reallocate_by_ptr(block, layout(new, 16)) }.unwrap();
                live[index] = (block, new, byte);
                holds(&live[index], old);
                assert!(block.addr().get().is_multiple_of(16));
                // SAFETY: live.
                assert!(unsafe { heap.usable_size(block) } >= new);
                // SAFETY: that long.
                unsafe { block.write_bytes(byte, new) };
            }
            _ if !live.is_empty() => {
                let gone = live.swap_remove(rng.below(live.len()));
                holds(&gone, gone.1);
                // SAFETY: live until now.
                unsafe { heap.deallocate_by_ptr(gone.0) };
            }
            _ => {}
        });
    }
    for gone in live {
        holds(&gone, gone.1);
        // SAFETY: live until now.
        on_slot(0, || unsafe { heap.deallocate_by_ptr(gone.0) });
    }
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn who_has_no_slot_shares_the_parent<P: Variant>() {
    let heap = heap::<P>(1);
    let layout = layout(64, 8);
    // SAFETY: the heap outlives the blocks, which are freed once, with their own layouts.
    unsafe {
        let of_parent = heap.allocate(layout).unwrap();
        let of_arena = on_slot(0, || heap.allocate(layout).unwrap());
        assert_eq!((heap.stats().parent.live_cells > 0, heap.stats().arenas), (true, 0));
        on_slot(0, || heap.deallocate(of_parent, layout));
        heap.deallocate(of_arena, layout);
    }
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn out_of_memory_is_none_and_what_a_retired_slot_has_is_found<P: Variant>() {
    let heap = arenas::<P>(1 << 20, 2);
    let layout = layout(1000, 8);
    let fill = |slot: usize| -> Vec<_> {
        // SAFETY: the heap outlives the blocks.
        on_slot(slot, || core::iter::from_fn(|| unsafe { heap.allocate(layout) }).collect())
    };
    let blocks = fill(0);
    assert!(blocks.len() > 800, "{} blocks of 1000 bytes in 1 MiB", blocks.len());
    // SAFETY: nobody is interrupted.
    on_slot(0, || unsafe { heap.abandon() });
    let rest = fill(1);
    assert!(rest.len() < 130, "{} more: what two second arenas had", rest.len());
    // Nobody is on slot 0 any more, and the blocks are freed by another.
    on_slot(1, || {
        // SAFETY: live until now.
        blocks.iter().for_each(|block| unsafe { heap.deallocate(*block, layout) });
    });
    let again = fill(1);
    assert!(again.len() * 10 > blocks.len() * 9, "{} of {} blocks", again.len(), blocks.len());
    // SAFETY: live until now.
    on_slot(1, || {
        // SAFETY: live until now.
        again.into_iter().chain(rest).for_each(|block| unsafe { heap.deallocate(block, layout) })
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn a_retired_slot_is_attached_again_with_what_it_had<P: Variant>() {
    let heap = heap::<P>(1);
    let layout = layout(500, 8);
    for _ in 0..3 {
        on_slot(0, || {
            // SAFETY: the heap outlives the block, which is freed once, with its own layout.
            unsafe {
                let block = heap.allocate(layout).unwrap();
                assert_eq!(heap.stats().abandoned, 0);
                heap.deallocate(block, layout);
            }
            // SAFETY: nobody is interrupted.
            unsafe { heap.abandon() };
            assert_eq!((heap.stats().abandoned, heap.stats().segments), (1, 0));
        });
    }
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn an_empty_arena_gives_its_segments_back_but_for_one<P: Variant>() {
    let heap = heap::<P>(1);
    on_slot(0, || {
        let layout = layout(3_000, 8);
        for _ in 0..3 {
            // SAFETY: the heap outlives the blocks.
            let blocks: Vec<_> =
                (0..3_000).map(|_| unsafe { heap.allocate(layout) }.unwrap()).collect();
            assert!(heap.stats().segments > 10);
            // SAFETY: live until now.
            blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
            let stats = heap.stats();
            assert!(stats.segment_bytes < 3 << 20, "{stats}");
        }
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn the_parent_is_whole_when_the_arenas_are_dissolved<P: Variant>() {
    let heap = heap::<P>(4);
    let block = on_slot(3, || {
        // SAFETY: the heap outlives the block.
        unsafe { heap.allocate(Layout::new::<u64>()) }.unwrap()
    });
    // SAFETY: there is one thread.
    let exclusive = unsafe { heap.exclusive() };
    assert!(!exclusive.dissolve(), "a block is live");
    // SAFETY: live until now.
    on_slot(0, || unsafe { heap.deallocate(block, Layout::new::<u64>()) });
    // SAFETY: there is one thread.
    let exclusive = unsafe { heap.exclusive() };
    assert_eq!(exclusive.stats().parent.live_cells, exclusive.stats().internal_blocks);
    assert!(exclusive.dissolve() && exclusive.stats().arenas == 0);
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn no_cache_line_has_blocks_of_two_slots_whoever_frees_them<P: Variant>() {
    const SLOTS: usize = 3;
    let heap = heap::<P>(SLOTS);
    let mut rng = Rng(77);
    let mut live: Vec<(usize, core::ptr::NonNull<u8>, Layout)> = Vec::new();
    for _ in 0..20_000 {
        let slot = rng.below(SLOTS);
        on_slot(slot, || {
            if live.len() < 600 {
                let layout = layout(1 + rng.below(100), 8);
                // SAFETY: the heap outlives the block.
                live.push((slot, unsafe { heap.allocate(layout) }.unwrap(), layout));
            } else {
                for _ in 0..300 {
                    let (_, block, layout) = live.swap_remove(rng.below(live.len()));
                    // SAFETY: live until now. (Whose it is does not matter.)
                    unsafe { heap.deallocate(block, layout) };
                }
            }
        });
        if live.len() == 600 {
            let lines = |&(slot, block, layout): &(usize, core::ptr::NonNull<u8>, Layout)| {
                let at = block.addr().get();
                (at / 64..(at + layout.size()).div_ceil(64)).map(move |line| (line, slot))
            };
            let mut owners = std::collections::BTreeMap::new();
            for (line, slot) in live.iter().flat_map(lines) {
                assert_eq!(*owners.entry(line).or_insert(slot), slot, "a line of two slots");
            }
        }
    }
    // SAFETY: live until now.
    on_slot(0, || {
        // SAFETY: live until now.
        live.into_iter().for_each(|(_, block, layout)| unsafe { heap.deallocate(block, layout) })
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain)]
fn anothers_block_becomes_smaller_even_without_memory<P: Variant>() {
    let heap = arenas::<P>(1 << 20, 2);
    for align in [1, 8, 16] {
        let large = layout(1_000, align);
        // SAFETY: the heap outlives the block.
        let block = on_slot(0, || unsafe { heap.allocate(large) }).unwrap();
        on_slot(1, || {
            let mut all = Vec::new();
            for size in [100_000, 5_000, 1_000, 100, 8] {
                // SAFETY: the heap outlives the blocks.
                while let Some(block) = unsafe { heap.allocate(layout(size, 8)) } {
                    all.push((block, layout(size, 8)));
                }
            }
            // SAFETY: live, with this layout.
            let smaller = unsafe { heap.reallocate(block, large, 100) };
            assert_eq!(smaller, Some(block), "aligned to {align}");
            all.push((block, layout(100, align)));
            // SAFETY: live until now, with their layouts.
            all.into_iter().for_each(|(block, layout)| unsafe { heap.deallocate(block, layout) });
        });
    }
    assert_all_is_free(heap);
}
