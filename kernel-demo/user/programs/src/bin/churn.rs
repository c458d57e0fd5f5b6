//! A long random life of a heap: blocks of all sizes come, change and go, and the heap is checked
//! on the way (C5, C6, C7, C15).
//!
//! `churn [steps [seed]]`

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use fastrand::Rng;
use runtime::{Arguments, Untrue, Verdict, claim, ensure, println, program};

program!(run);

const SLOTS: usize = 128;

/// Blocks have up to two to this power bytes: the largest are mapped.
const LARGEST: u32 = 18;

/// The heap is checked each time after so many steps.
const CHECK_EVERY: usize = 128;

/// A block and what it is filled with.
#[derive(Default)]
struct Slot {
    bytes: Vec<u8>,
    fill: u8,
}

impl Slot {
    /// Looks at the ends only, so that each step takes about the same time.
    fn is_intact(&self) -> bool {
        [self.bytes.first(), self.bytes.last()].into_iter().flatten().all(|&byte| byte == self.fill)
    }
}

fn run(arguments: Arguments) -> Verdict {
    let (steps, seed) = (arguments.number(0, 4000), arguments.number(1, 1));
    println!("steps: {steps}");
    println!("seed: {seed}");
    let mut random = Rng::with_seed(seed as u64);
    let mut slots = [const { Slot { bytes: Vec::new(), fill: 0 } }; SLOTS];
    let mut checks = 0;
    for number in 1..=steps {
        let slot = &mut slots[random.usize(..SLOTS)];
        ensure!(slot.is_intact(), "step {number}: a block has what was written to it");
        step(slot, &mut random)?;
        if number % CHECK_EVERY == 0 {
            checks += 1;
            whole()?;
        }
    }
    ensure!(
        slots.iter().all(|slot| slot.bytes.iter().all(|&byte| byte == slot.fill)),
        "each block has what was written to it"
    );
    println!("checks: {checks}");
    println!("at the end: {}", HEAP.stats());

    drop(slots);
    let stats = HEAP.stats();
    claim!(stats.live_cells == 0 && stats.mapped_blocks == 0, "everything is freed");
    HEAP.flush();
    HEAP.trim(0);
    whole()?;
    let left = HEAP.stats().granted_bytes;
    println!("left: {left} bytes");
    claim!(left == 0, "and all memory given back");
    Ok(())
}

/// Frees the block, asks for another, or changes its size.
fn step(slot: &mut Slot, random: &mut Rng) -> Verdict {
    let bits = random.u32(1..=LARGEST);
    let size = random.usize(..1 << bits);
    match random.u8(..4) {
        0 => *slot = Slot::default(),
        1 => {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).map_err(refused)?;
            slot.fill = random.u8(..);
            bytes.resize(size, slot.fill);
            slot.bytes = bytes;
        }
        2 => {
            *slot = Slot { bytes: alloc::vec![0; size], fill: 0 };
            ensure!(slot.bytes.iter().all(|&byte| byte == 0), "calloc's {size} bytes are zero");
        }
        _ => {
            let old = slot.bytes.len();
            slot.bytes.try_reserve_exact(size.saturating_sub(old)).map_err(refused)?;
            ensure!(slot.bytes.iter().all(|&byte| byte == slot.fill), "realloc keeps {old} bytes");
            slot.bytes.resize(size, slot.fill);
            slot.bytes.shrink_to_fit();
        }
    }
    Ok(())
}

fn refused(_: alloc::collections::TryReserveError) -> Untrue {
    println!("UNTRUE: there is memory for a block");
    Untrue::CLAIM
}

fn whole() -> Verdict {
    if let Err(corruption) = HEAP.check() {
        println!("UNTRUE: the heap is whole: {corruption}");
        return Err(Untrue::CLAIM);
    }
    Ok(())
}
