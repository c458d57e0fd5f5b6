//! A heap in memory that two processes share: what one allocates the other can read and free (C16).
//!
//! ```text
//!   parent ─┐             ┌─► arena: lock │ heap │ mailboxes │ the heap's memory, to the end of the mapping
//!           ├─ mapping ───┤
//!   child ──┘ (MAP_SHARED)└─► at the same address in both, so addresses may be kept in it
//! ```
//!
//! First the heap as it is, fast; then with a ledger that knows who allocated what, and where
//! (ledger.rs).

#![no_std]
#![no_main]

mod arena;
mod ledger;

use core::alloc::Layout;
use core::ptr::NonNull;

use fastrand::Rng;
use runtime::system::process::{self, Ending};
use runtime::{
    Arguments, Untrue, Verdict, claim, ensure, in_child, in_child_watched, println, program,
};

use arena::Arena;
use ledger::{Ledger, Refusal};

program!(run);

const LETTER: Layout = Layout::new::<[u8; 200]>();

fn run(_: Arguments) -> Verdict {
    let arena = Arena::new()?;
    letters(&arena)?;
    both_at_once(&arena)?;
    who_allocated_what(&arena)
}

/// The child writes a letter to a block of the heap; the parent reads it, and frees the block.
fn letters(arena: &Arena) -> Verdict {
    println!("a letter:");
    let ending = in_child(|| {
        let letter = allocate(arena, LETTER)?;
        fill(letter, LETTER.size(), b'L');
        println!("process {} wrote to {letter:p}", process::getpid());
        arena.send(letter.addr().get());
        Ok(())
    })?;
    claim!(ending == Ending::WELL, "the child has written, and is gone");
    let letter = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(arena.receive()))
        .ok_or(Untrue::CLAIM)?;
    println!("process {} reads at {letter:p}", process::getpid());
    claim!(is_filled(letter, LETTER.size(), b'L'), "what it wrote is here, at the same address");
    // SAFETY: the child allocated it with this layout and is gone.
    unsafe { arena.heap().deallocate(letter, LETTER) };
    claim!(arena.heap().stats().live_cells == 0, "and who reads it frees it");
    Ok(())
}

/// Both allocate and free at the same time, and each block is one process's alone.
fn both_at_once(arena: &Arena) -> Verdict {
    println!("both at once:");
    let mut here = Ok(());
    let ending = in_child_watched(|| work(arena, 1), |_| here = work(arena, 2))?;
    here?;
    claim!(ending == Ending::WELL, "no block of one process was ever the other's as well");
    claim!(
        arena.heap().stats().live_cells == 0 && arena.heap().check().is_ok(),
        "all is freed, and the heap is whole"
    );
    Ok(())
}

fn work(arena: &Arena, seed: u64) -> Verdict {
    let mut random = Rng::with_seed(seed);
    let mut blocks = [None; 16];
    for round in 0..2000 {
        let slot: &mut Option<(NonNull<u8>, Layout)> = &mut blocks[random.usize(..16)];
        let fill_with = seed as u8;
        if let Some((block, layout)) = slot.take() {
            ensure!(is_filled(block, layout.size(), fill_with), "round {round}: the block is mine");
            // SAFETY: allocated below, with this layout.
            unsafe { arena.heap().deallocate(block, layout) };
        } else {
            let layout =
                Layout::from_size_align(random.usize(1..3000), 8).map_err(|_| Untrue::CLAIM)?;
            let block = allocate(arena, layout)?;
            fill(block, layout.size(), fill_with);
            *slot = Some((block, layout));
        }
    }
    for (block, layout) in blocks.into_iter().flatten() {
        // SAFETY: as above.
        unsafe { arena.heap().deallocate(block, layout) };
    }
    println!("process {}: 2000 rounds", process::getpid());
    Ok(())
}

/// With the ledger, blocks that a process left behind can be told from those that others still
/// need.
fn who_allocated_what(arena: &Arena) -> Verdict {
    println!("who allocated what:");
    let ledger = Ledger::new(arena);
    let own = ledger.allocate(64).ok_or(Untrue::CLAIM)?;
    let mut child = 0;
    let ending = in_child_watched(
        || {
            for size in [100, 2000, 30] {
                let block = ledger.allocate(size).ok_or(Untrue::CLAIM)?;
                fill(block, size, 1);
            }
            // It ends without freeing them, as a process that is killed would.
            Ok(())
        },
        |number| child = number,
    )?;
    claim!(
        ending == Ending::WELL,
        "the child allocates three blocks, and ends without freeing them"
    );

    let (mut of_child, mut of_parent) = (0, 0);
    ledger.for_each(|entry| {
        println!("  {entry}");
        of_child += usize::from(entry.owner == child && entry.at.file().ends_with("main.rs"));
        of_parent += usize::from(entry.owner == process::getpid());
    });
    claim!(
        (of_child, of_parent) == (3, 1),
        "the ledger knows whose each block is, and the line that asked for it"
    );

    let freed = ledger.free_all_of(child);
    claim!(freed == 3, "so what a dead process left is freed, and only that");
    claim!(ledger.free(own) == Ok(()), "a block is freed");
    claim!(ledger.free(own) == Err(Refusal::NotLive), "but not twice");
    let inside = own.map_addr(|address| address.saturating_add(16));
    claim!(ledger.free(inside) == Err(Refusal::NotLive), "nor what is no block");
    claim!(
        arena.heap().stats().live_cells == 0 && arena.heap().check().is_ok(),
        "all is freed, and the heap is whole"
    );
    Ok(())
}

fn allocate(arena: &Arena, layout: Layout) -> Result<NonNull<u8>, Untrue> {
    // SAFETY: the mapping stays to the end of both processes.
    unsafe { arena.heap().allocate(layout) }.ok_or(Untrue::CLAIM)
}

/// Writes to a block that the caller has just allocated.
fn fill(block: NonNull<u8>, len: usize, byte: u8) {
    // SAFETY: the caller's block, of that length.
    unsafe { block.write_bytes(byte, len) };
}

/// Whether a block that the caller has is filled with this.
fn is_filled(block: NonNull<u8>, len: usize, byte: u8) -> bool {
    // SAFETY: a block of that length, and all of it was written.
    unsafe { core::slice::from_raw_parts(block.as_ptr(), len) }.iter().all(|&found| found == byte)
}
