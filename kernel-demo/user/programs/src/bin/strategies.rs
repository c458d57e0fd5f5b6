//! Which mechanism serves which size (C29): blocks of all sizes, and where each of them lies.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use brkalloc::CellState;
use runtime::system::view::View;
use runtime::views::{self, ROOM};
use runtime::{Arguments, Untrue, Verdict, claim, println, program};

program!(run);

/// Sizes of blocks.
const SIZES: [usize; 9] = [8, 24, 100, 1000, 3000, 20_000, 100_000, 1_000_000, 10_000_000];

/// Blocks of a size for which there are slabs: the first ones are cells, until a slab pays.
const BLOCKS: usize = 200;

/// What serves a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    /// A slab of equal blocks, without a header for each.
    Slab { block_size: usize },
    /// A cell of its own in the heap.
    Cell,
    /// A mapping of its own.
    Mapping,
}

fn run(_: Arguments) -> Verdict {
    let mut found = [const { None }; SIZES.len()];
    for (found, size) in found.iter_mut().zip(SIZES) {
        let count = if size <= 3000 { BLOCKS } else { 1 };
        let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(count);
        blocks.resize_with(count, || Vec::with_capacity(size));
        let address = blocks.last().map_or(0, |block| block.as_ptr().addr());
        let mechanism = mechanism(address)?;
        match mechanism {
            Mechanism::Slab { block_size } => {
                println!("malloc({size}): a slab of blocks of {block_size} bytes");
            }
            Mechanism::Cell => println!("malloc({size}): a cell of the heap"),
            Mechanism::Mapping => println!("malloc({size}): a mapping"),
        }
        *found = Some(mechanism);
    }
    let is_slab = |found: &Option<Mechanism>| matches!(found, Some(Mechanism::Slab { .. }));
    claim!(found[..5].iter().all(is_slab), "small blocks come from slabs of equal blocks");
    let fits = |(found, size): (&Option<Mechanism>, usize)| matches!(*found, Some(Mechanism::Slab { block_size }) if (size..size + size / 4 + 16).contains(&block_size));
    claim!(found[..5].iter().zip(SIZES).all(fits), "each of the next size, and wastes little");
    claim!(
        found[5..7] == [Some(Mechanism::Cell); 2],
        "larger ones are cells, split off a free one"
    );
    claim!(found[7..] == [Some(Mechanism::Mapping); 2], "the largest are mappings");
    claim!(HEAP.stats().mapped_blocks == 0, "which went back to the kernel at once");
    Ok(())
}

/// What has served the block at an address.
fn mechanism(address: usize) -> Result<Mechanism, Untrue> {
    let mut room = ROOM;
    let maps = views::text(View::Maps, &mut room)?;
    if !views::region(maps, "[heap]").is_some_and(|heap| heap.contains(address)) {
        return Ok(Mechanism::Mapping);
    }
    let mut found = Mechanism::Cell;
    // SAFETY: the heap is looked at, and stays where it is.
    unsafe {
        HEAP.with(|heap| {
            for cell in heap.cells() {
                if let CellState::Slab { block_size, .. } = cell.state
                    && (cell.address..cell.address + cell.size).contains(&address)
                {
                    found = Mechanism::Slab { block_size };
                }
            }
        });
    }
    Ok(found)
}
