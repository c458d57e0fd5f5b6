//! Threads that share one heap behind one lock: nothing goes wrong, and each waits for it (C25).

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use runtime::lock::counts;
use runtime::system::process;
use runtime::{Arguments, Verdict, claim, println, program, thread};

program!(run, one_lock);

const THREADS: usize = 4;

/// Blocks that a thread has at once; it takes the lock for each, twice.
const BLOCKS: usize = 100;

/// A thread goes on until another had to wait, but not for longer than so many rounds.
const MOST_ROUNDS: usize = 100_000;

/// No thread begins before all are there.
static GO: AtomicBool = AtomicBool::new(false);

fn run(_: Arguments) -> Verdict {
    let (_, waited) = counts();
    claim!(waited == 0, "one thread never waits");
    let mut threads = Vec::new();
    for number in 0..THREADS {
        threads.push(thread::spawn(move || work(number as u8))?);
    }
    let before = counts();
    GO.store(true, Ordering::Release);
    let (mut rounds, mut intact) = (0, true);
    for thread in threads {
        let (its_rounds, its_intact) = thread.join();
        rounds += its_rounds;
        intact &= its_intact;
    }
    let after = counts();
    let (taken, waited) = (after.0 - before.0, after.1 - before.1);
    println!("threads: {THREADS}");
    println!("calls of malloc and free: {}", 2 * BLOCKS * rounds);
    println!("times that the lock was taken: {taken}");
    println!("times that a thread waited for it: {waited}");
    claim!(intact, "each block has what its thread wrote to it");
    claim!(HEAP.check().is_ok(), "the heap is whole");
    claim!(taken >= 2 * BLOCKS * rounds, "each call takes the lock");
    claim!(waited > 0, "threads have waited for it");
    Ok(())
}

/// Allocates and frees. Returns how many rounds it were, and whether each block was as it should
/// be.
fn work(number: u8) -> (usize, bool) {
    while !GO.load(Ordering::Acquire) {
        process::sched_yield();
    }
    let mut intact = true;
    let mut blocks = [const { Vec::<u8>::new() }; BLOCKS];
    for round in 1..=MOST_ROUNDS {
        for (size, block) in blocks.iter_mut().enumerate() {
            block.resize(1 + size, number);
        }
        intact &= blocks.iter().flatten().all(|byte| *byte == number);
        blocks.fill_with(Vec::new);
        if counts().1 > 0 {
            return (round, intact);
        }
    }
    (MOST_ROUNDS, intact)
}
