//! A few steps of a heap, to be looked at: `malloc`, `free`, and what it leaves (C1 to C6).
//!
//! `cells` checks what it claims. `cells stay` then waits to be ended, so that `heap`, `maps` and
//! `pt` show what it left. `cells slow 3` goes round three times, step by step, for `live`.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::hint;

use runtime::system::process;
use runtime::{Arguments, Untrue, Verdict, claim, println, program};

program!(run);

/// Larger than what slabs serve, so that each block is a cell.
const SIZES: [usize; 6] = [8_000, 24_000, 8_000, 40_000, 8_000, 16_000];

/// Rounds of `cells slow`.
const ROUNDS: usize = 3;

/// Turns of a loop that take the eye's time.
const MOMENT: u64 = 2_000_000;

fn run(arguments: Arguments) -> Verdict {
    match arguments.first() {
        None => steps(),
        Some("stay") => {
            let blocks = every_other();
            println!("{} blocks are left; `heap` shows the cells", blocks.len());
            process::pause()
        }
        Some("slow") => {
            (0..arguments.number(1, ROUNDS)).for_each(|_| slowly());
            Ok(())
        }
        Some(_) => Err(Untrue::ARGUMENTS),
    }
}

fn steps() -> Verdict {
    let blocks = SIZES.map(filled);
    let ends = |at: usize| blocks[at].as_ptr().addr() + SIZES[at];
    claim!(
        blocks[1].as_ptr().addr().abs_diff(ends(0)) < 64,
        "one block follows the other, with a header between"
    );
    let address = blocks[1].as_ptr().addr();
    let [first, second, ..] = blocks;
    drop(second);
    let again = filled(SIZES[1]);
    claim!(again.as_ptr().addr() == address, "what was freed is what the next `malloc` gets");
    drop((first, again));
    claim!(HEAP.check().is_ok(), "the heap is whole");
    Ok(())
}

/// Allocates all blocks, and frees every other one.
fn every_other() -> Vec<Vec<u8>> {
    let blocks: Vec<_> = SIZES.map(filled).into_iter().collect();
    blocks.into_iter().step_by(2).collect()
}

fn slowly() {
    let mut blocks = Vec::new();
    for size in SIZES {
        blocks.push(filled(size));
        wait();
    }
    while !blocks.is_empty() {
        drop(blocks.swap_remove(blocks.len() / 2));
        wait();
    }
}

fn filled(size: usize) -> Vec<u8> {
    alloc::vec![1; size]
}

fn wait() {
    (0..MOMENT).for_each(|_| hint::spin_loop());
}
