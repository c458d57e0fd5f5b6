//! A block that another thread frees goes back to the arena that it came from (C27).

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use runtime::lock::counts;
use runtime::{Arguments, Verdict, claim, println, program, thread};

program!(run, threads);

/// A block. Its size has a slab of its own in each arena.
type Block = [u8; 200];

/// Blocks that are passed on. Between two of them lies one that stays, so that no slab becomes
/// empty.
const BLOCKS: usize = 100;

/// Blocks before them. The first ones are cells: a slab does not pay yet.
const BEFORE: usize = 50;

/// Blocks that are looked for them among.
const SEARCHED: usize = 600;

fn run(_: Arguments) -> Verdict {
    let before: Vec<Box<Block>> = (0..BEFORE).map(|_| Box::new([0; 200])).collect();
    let all = (0..2 * BLOCKS).map(|_| Box::new([1; 200]));
    let (mut blocks, mut stay) = (Vec::new(), before);
    for (index, block) in all.enumerate() {
        if index % 2 == 0 { blocks.push(block) } else { stay.push(block) }
    }
    let addresses = addresses(&blocks);
    println!("{BLOCKS} blocks of the main thread begin at {:#x}", addresses[0]);

    let of_main = addresses.clone();
    let (found, mine) = thread::spawn(move || {
        let mine = Box::new([2; 200]);
        drop(blocks);
        // What is freed for others goes back in batches; a last one does not wait to be full.
        HEAP.flush();
        let more: Vec<Box<Block>> = (0..SEARCHED).map(|_| Box::new([3; 200])).collect();
        let found = more.iter().filter(|block| of_main.contains(&address(block))).count();
        (found, address(&mine))
    })?
    .join();
    println!("a block of the second thread is at {mine:#x}");
    claim!(found == 0, "the thread that freed them gets none of them");

    let locked = counts().0;
    let again: Vec<Box<Block>> = (0..SEARCHED).map(|_| Box::new([4; 200])).collect();
    let found = again.iter().filter(|block| addresses.contains(&address(block))).count();
    println!("blocks that the main thread gets again: {found}");
    println!("locks that it takes for {SEARCHED} blocks: {}", counts().0 - locked);
    // A full slab is looked at again when a sixteenth of it is free: single blocks may wait.
    claim!(found >= BLOCKS - BLOCKS / 16, "the thread that they came from gets them again");
    claim!(stay.iter().all(|block| block[0] < 2), "the blocks between them are as they were");
    claim!(HEAP.check().is_ok(), "the heap is whole");
    Ok(())
}

/// Where a block lies.
fn address(block: &Block) -> usize {
    (&raw const *block).addr()
}

fn addresses(blocks: &[Box<Block>]) -> Vec<usize> {
    blocks.iter().map(|block| address(block)).collect()
}
