//! The documents' simple allocator as the heap of a process: `malloc` moves the break (C4), `free`
//! keeps what is in between (C5), and gives back what ends at the break (C8).

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use runtime::{Arguments, Untrue, Verdict, claim, println, program};

program!(run, simple);

const BLOCK: usize = 10_000;

fn run(_: Arguments) -> Verdict {
    let start = brk()?;
    let low = Vec::<u8>::with_capacity(BLOCK);
    let first = brk()?;
    show("one block");
    claim!(first > start + BLOCK, "malloc moves the break up: {} bytes", first - start);

    let high = Vec::<u8>::with_capacity(BLOCK);
    let second = brk()?;
    claim!(second > first, "and again: {} bytes", second - first);

    let address = low.as_ptr().addr();
    drop(low);
    show("the lower block freed");
    let third = brk()?;
    claim!(
        third > high.as_ptr().addr(),
        "free of the lower block cannot move it below the upper one"
    );
    let again = Vec::<u8>::with_capacity(BLOCK);
    claim!(again.as_ptr().addr() == address, "the next malloc gets that block back");
    claim!(brk()? == third, "without moving the break");

    drop((again, high));
    show("all freed");
    let left = brk()? - start;
    claim!(
        left < BLOCK,
        "once the block at the break is free, the break comes down: {left} bytes are left"
    );
    Ok(())
}

/// The free cells, in the order of addresses.
fn show(when: &str) {
    println!("free cells, {when}:");
    HEAP.inspect(|heap| {
        heap.free_cells().for_each(|(address, size)| println!("  {address:#x}: {size} bytes"))
    });
}

/// Where the break stands.
fn brk() -> Result<usize, Untrue> {
    Ok(runtime::sbrk(0)?.addr().get())
}
