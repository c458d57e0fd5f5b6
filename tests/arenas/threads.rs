//! Threads that allocate, hand blocks to each other, and free what is not theirs.
//!
//! Mutexes are spin's, and threads are joined one by one: ThreadSanitizer sees that, and not what
//! the standard library does, which comes compiled without it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use brkalloc::inner::Slots as SlotProvider;
use spin::Mutex;

use super::blocks::{Block, Blocks, Rng, layout};
use super::slots::{TestArenas, Undisturbed, arenas, arenas_over, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

/// How long the cases are: `make soak` sets it higher.
fn times(n: usize) -> usize {
    n * std::env::var("BRKALLOC_STRESS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Joins threads one by one, and passes on their panics.
pub(super) fn join(threads: Vec<thread::ScopedJoinHandle<'_, ()>>) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
}

fn heap<P: Variant>(slots: usize) -> TestArenas<P> {
    arenas(256 << 20, slots)
}

/// `threads` threads work on a heap's slots, and give every other block to whoever comes by.
fn churn<C: SlotProvider + Sync, P: Variant>(threads: usize, heap: TestArenas<P, C>) {
    let exchange = Mutex::new(VecDeque::new());
    thread::scope(|scope| {
        let spawn = |number: usize| {
            let (heap, exchange) = (&heap, &exchange);
            scope.spawn(move || {
                on_slot(number, || {
                    let (mut blocks, mut rng) =
                        (Blocks::new(number as u8), Rng(number as u64 * 77 + 3));
                    for step in 0..times(6_000) {
                        blocks.step(heap, &mut rng);
                        if step % 3 == 0
                            && let Some(block) = blocks.live.pop()
                        {
                            let other = {
                                let mut exchange = exchange.lock();
                                exchange.push_back(block);
                                if exchange.len() > 50 { exchange.pop_front() } else { None }
                            };
                            if let Some(other) = other {
                                other.free(heap);
                            }
                        }
                    }
                    blocks.free_all(heap);
                    heap.check().unwrap_or_else(|corruption| panic!("{corruption}"));
                    if number.is_multiple_of(2) {
                        // SAFETY: nobody is interrupted.
                        unsafe { heap.abandon() };
                    }
                });
            })
        };
        join((0..threads).map(spawn).collect());
    });
    exchange.into_inner().into_iter().for_each(|block: Block| block.free(&heap));
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn c26_as_many_arenas_as_threads<P: Variant>() {
    churn(4, heap::<P>(4));
}

#[case(Usual, Plain, Checked<Usual>)]
fn more_threads_than_slots<P: Variant>() {
    churn(5, heap::<P>(2));
}

#[case(Usual, Plain, Checked<Usual>)]
fn more_slots_than_threads<P: Variant>() {
    churn(2, heap::<P>(100));
}

#[case(Usual, Checked<Usual>)]
fn threads_that_nobody_interrupts_need_no_busy_flag<P: Variant>() {
    churn(4, arenas_over::<P, _>(256 << 20, Undisturbed(3)));
}

#[case(Usual, Plain, Checked<Usual>)]
fn c27_one_allocates_and_another_frees<P: Variant>() {
    let heap = heap::<P>(2);
    let (send, receive) = mpsc::sync_channel::<Vec<Block>>(64);
    thread::scope(|scope| {
        let heap = &heap;
        let producer = scope.spawn(move || {
            on_slot(0, || {
                let mut rng = Rng(9);
                for step in 0..times(2_000) {
                    let batch = (0..20)
                        .map(|_| Block::new(heap, layout(rng.below(600), 8), step as u8).unwrap())
                        .collect();
                    send.send(batch).unwrap();
                }
                // What came back was used again: what there is is not what was allocated.
                let stats = heap.stats();
                assert!(stats.segment_bytes < 16 << 20, "{stats}");
            });
        });
        let consumer = scope.spawn(move || {
            on_slot(1, || receive.into_iter().flatten().for_each(|block| block.free(heap)));
        });
        join(vec![producer, consumer]);
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn c27_a_ring_in_which_each_frees_what_the_one_before_has_allocated<P: Variant>() {
    const RING: usize = 3;
    let heap = heap::<P>(RING);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..RING).map(|_| mpsc::sync_channel::<Block>(100)).unzip();
    thread::scope(|scope| {
        let spawn = |(number, receiver): (usize, mpsc::Receiver<Block>)| {
            let (heap, next) = (&heap, senders[(number + 1) % RING].clone());
            scope.spawn(move || {
                on_slot(number, || {
                    let mut rng = Rng(number as u64 + 40);
                    for step in 0..times(10_000) {
                        let block =
                            Block::new(heap, layout(rng.size() % 3_000, 16), step as u8).unwrap();
                        if let Err(mpsc::TrySendError::Full(block)) = next.try_send(block) {
                            block.free(heap);
                        }
                        receiver.try_iter().for_each(|block| block.free(heap));
                    }
                    drop(next);
                    receiver.into_iter().for_each(|block| block.free(heap));
                });
            })
        };
        let threads = receivers.into_iter().enumerate().map(spawn).collect();
        drop(senders);
        join(threads);
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn tasks_that_migrate_between_slots_in_the_middle_of_their_work<P: Variant>() {
    const SLOTS: usize = 3;
    let heap = heap::<P>(SLOTS);
    // Who has the mutex of a slot is on it: what one does there happens before what the next one
    // does.
    let places: Vec<_> = (0..SLOTS).map(|_| Mutex::new(())).collect();
    thread::scope(|scope| {
        let spawn = |number: usize| {
            let (heap, places) = (&heap, &places);
            scope.spawn(move || {
                let (mut blocks, mut rng) = (Blocks::new(number as u8), Rng(number as u64 + 11));
                for _ in 0..times(2_000) {
                    let slot = rng.below(SLOTS);
                    let _there = places[slot].lock();
                    on_slot(slot, || (0..rng.below(8)).for_each(|_| blocks.step(heap, &mut rng)));
                }
                let _there = places[0].lock();
                on_slot(0, || blocks.free_all(heap));
            })
        };
        join((0..4).map(spawn).collect());
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn threads_that_come_and_go_leave_nothing_behind<P: Variant>() {
    const SLOTS: usize = 4;
    let heap = heap::<P>(SLOTS);
    let left = Mutex::new(Vec::new());
    let most = AtomicUsize::new(0);
    for round in 0..times(60) {
        thread::scope(|scope| {
            let spawn = |number: usize| {
                let (heap, left, most) = (&heap, &left, &most);
                scope.spawn(move || {
                    on_slot(number, || {
                        let (mut blocks, mut rng) =
                            (Blocks::new(number as u8), Rng((round * SLOTS + number) as u64 + 1));
                        (0..200).for_each(|_| blocks.step(heap, &mut rng));
                        // Some blocks outlive the thread that allocated them.
                        let others: Vec<Block> = std::mem::replace(
                            &mut *left.lock(),
                            blocks.live.split_off(blocks.live.len() / 2),
                        );
                        others.into_iter().for_each(|block| block.free(heap));
                        blocks.free_all(heap);
                        most.fetch_max(heap.stats().parent.granted_bytes, Ordering::Relaxed);
                        // SAFETY: nobody is interrupted.
                        unsafe { heap.abandon() };
                    });
                })
            };
            join((0..SLOTS).map(spawn).collect());
        });
    }
    assert!(
        most.into_inner() < 64 << 20,
        "memory grows with the number of threads that were there"
    );
    left.into_inner().into_iter().for_each(|block| block.free(&heap));
    assert_all_is_free(heap);
}
