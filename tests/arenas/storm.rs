//! Threads that come and go, with blocks that survive them: how much memory is held for what is
//! live.
//!
//! ```text
//!   a thread:  takes a slot ─► allocates ─► frees a half, at random ─► abandons; the other half is freed much later, by others
//!   held:      what the break has granted
//! ```

use std::alloc::Layout;
use std::ptr::NonNull;

use super::blocks::{Rng, layout};
use super::slots::{TestArenas, arenas, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

/// What a program has, as its allocator sees it.
struct Storm<P: Variant> {
    heap: TestArenas<P>,
    rng: Rng,
    /// Blocks that have survived their threads, the oldest first, and in which slot's arena they
    /// are.
    survivors: Vec<(usize, NonNull<u8>, Layout)>,
    /// Bytes that are live in each slot's arena, and the most that ever were.
    live: Vec<usize>,
    peaks: Vec<usize>,
}

impl<P: Variant> Storm<P> {
    fn new(slots: usize, memory: usize) -> Self {
        let heap = arenas(memory, slots);
        Self {
            heap,
            rng: Rng(21),
            survivors: Vec::new(),
            live: vec![0; slots],
            peaks: vec![0; slots],
        }
    }

    /// A thread that is on this slot, and survived by every other block, as chance has it.
    fn thread(&mut self, slot: usize, blocks: usize) {
        on_slot(slot, || {
            for _ in 0..blocks {
                let most = if self.rng.below(20) == 0 { 8_000 } else { 600 };
                let size = 1 + self.rng.below(most);
                let layout = layout(size, 8);
                // SAFETY: the heap outlives the block.
                self.survivors.push((slot, unsafe { self.heap.allocate(layout) }.unwrap(), layout));
                self.live[slot] += size;
            }
            self.peaks[slot] = self.peaks[slot].max(self.live[slot]);
            let first = self.survivors.len() - blocks;
            for index in (first..self.survivors.len()).rev() {
                if self.rng.below(2) == 0 {
                    let gone = self.survivors.swap_remove(index);
                    self.free(gone);
                }
            }
            // SAFETY: nobody is interrupted.
            unsafe { self.heap.abandon() };
        });
    }

    fn free(&mut self, (slot, block, layout): (usize, NonNull<u8>, Layout)) {
        self.live[slot] -= layout.size();
        // SAFETY: live until now.
        unsafe { self.heap.deallocate(block, layout) };
    }

    /// Somebody on another slot frees the oldest survivors, but for so many.
    fn keep(&mut self, most: usize, slot: usize) {
        let gone: Vec<_> =
            self.survivors.drain(..self.survivors.len().saturating_sub(most)).collect();
        on_slot(slot, || {
            gone.into_iter().for_each(|gone| self.free(gone));
            self.heap.flush();
        });
    }

    fn live(&self) -> usize {
        self.live.iter().sum()
    }

    fn held(&self) -> usize {
        // SAFETY: there is one thread.
        unsafe { self.heap.exclusive() }.stats().segment_bytes
    }

    fn end(mut self) {
        self.keep(0, 0);
        assert_all_is_free(self.heap);
    }
}

/// A slot on which no thread of the storm is.
const ELSEWHERE: usize = 400;

#[case(Usual, Plain, Checked<Usual>)]
fn an_arena_holds_a_third_more_than_was_live_in_it_at_most_whoever_has_the_blocks<P: Variant>() {
    // Threads take the lowest slots, as those who give slots up do; or each has one that nobody had
    // before, so that no arena is used again.
    for slots in [8, ELSEWHERE] {
        let mut storm = Storm::<P>::new(ELSEWHERE + 1, 256 << 20);
        let mut number = 0;
        for round in 0..50_usize.div_ceil(P::RARER as usize) {
            for thread in 0..1 + round % 8 {
                storm.thread(if slots < ELSEWHERE { thread } else { number }, 2_000);
                number += 1;
            }
            storm.keep(8_000, ELSEWHERE);
            let bound: usize = storm
                .live
                .iter()
                .zip(&storm.peaks)
                .map(|(&live, &peak)| if live > 0 { most::<P>(peak) } else { 0 })
                .sum();
            let held = storm.held();
            assert!(
                held <= bound,
                "round {round}: {held} bytes are held, {} are live, {bound} is the bound",
                storm.live()
            );
        }
        storm.end();
    }
}

/// What an arena holds at most in which so many bytes were live at a time. (Blocks of a checked
/// heap have a record.)
fn most<P: Variant>(peak: usize) -> usize {
    let longer = if P::GUARDED { peak / 10 } else { 0 };
    peak + peak / 3 + longer + 2 * (64 << 10)
}

#[case(Usual, Plain, Checked<Usual>)]
fn what_is_free_in_the_arenas_of_retired_slots_serves_others_before_there_is_no_memory<
    P: Variant,
>() {
    let memory = 4 << 20;
    let mut storm = Storm::<P>::new(6, memory);
    for slot in 0..4 {
        storm.thread(slot, 1_500);
    }
    let live = storm.live();
    let layout = layout(100, 8);
    let rest: Vec<_> = on_slot(4, || {
        // SAFETY: the heap outlives the blocks.
        core::iter::from_fn(|| unsafe { storm.heap.allocate(layout) }).collect()
    });
    let all = live + rest.len() * layout.size();
    assert!(all > memory / 10 * 7, "{live} bytes were live, and {all} are in the end, of {memory}");
    on_slot(4, || {
        // SAFETY: live until now.
        rest.into_iter().for_each(|block| unsafe { storm.heap.deallocate(block, layout) });
        storm.heap.flush();
    });
    storm.end();
}
