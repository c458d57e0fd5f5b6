//! A few steps of a heap, to be looked at: `malloc`, `free`, and what it leaves (C1 to C6).
//!
//! ```text
//!   cells               checks what it claims
//!   cells stay          frees every other block of six
//!   cells fit stay      and then allocates one that fits one of the free cells
//!   cells joined stay   frees three neighbours
//!   cells grow          lets a block grow where it is, and where it cannot
//!   cells slow 3        goes round three times, step by step, for `live`
//! ```
//!
//! With `stay` it waits to be ended, so that `heap`, `maps` and `pt` show what it left.

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

/// Fits the free cell that the second block leaves, and not that of the first.
const FITS: usize = 20_000;

/// Rounds of `cells slow`.
const ROUNDS: usize = 3;

/// Turns of a loop that take the eye's time.
const MOMENT: u64 = 2_000_000;

fn run(arguments: Arguments) -> Verdict {
    let mut words = arguments.iter();
    match (words.next(), words.next()) {
        (None, _) => steps(),
        (Some("stay"), None) => stay(every_other()),
        (Some("fit"), Some("stay")) => {
            let mut blocks = every_other();
            blocks.push(filled(FITS));
            stay(blocks)
        }
        (Some("joined"), Some("stay")) => {
            let mut blocks: Vec<_> = SIZES.map(filled).into();
            blocks.drain(1..4);
            stay(blocks)
        }
        (Some("grow"), None) => grow(),
        (Some("slow"), _) => {
            (0..arguments.number(1, ROUNDS)).for_each(|_| slowly());
            Ok(())
        }
        _ => Err(Untrue::ARGUMENTS),
    }
}

/// Waits to be ended, with these blocks.
fn stay(blocks: Vec<Vec<u8>>) -> Verdict {
    println!("{} blocks are left; `heap` shows the cells", blocks.len());
    process::pause()
}

/// Lets a block grow: first the memory behind it is free, then another block's.
fn grow() -> Verdict {
    let mut block = filled(SIZES[0]);
    let place = |block: &Vec<u8>| block.as_ptr().addr();
    let first = place(&block);
    println!("{} bytes at {first:#x}", block.capacity());
    block.resize(FITS, 1);
    let second = place(&block);
    println!("{} bytes at {second:#x}", block.capacity());
    claim!(second == first, "a block with free memory behind it grows where it is");
    let behind = filled(SIZES[0]);
    block.resize(4 * FITS, 1);
    let third = place(&block);
    println!("{} bytes at {third:#x}", block.capacity());
    claim!(third != first, "a block with another one behind it moves");
    claim!(block.iter().chain(&behind).all(|&byte| byte == 1), "and its bytes with it");
    Ok(())
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
