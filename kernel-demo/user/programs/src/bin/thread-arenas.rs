//! An arena for each thread: the map of memory before `malloc` in the main thread, after it, in a
//! second thread, and after `free` (C26). And no lock on the way to a local block.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

use runtime::lock::counts;
use runtime::system::view::View;
use runtime::views::{self, ROOM};
use runtime::{Arguments, Verdict, claim, println, program, thread};

program!(run, threads);

/// Bytes of a block.
const BLOCK: usize = 1000;

/// Bytes that an arena takes of the break at once, and aligned to.
const SEGMENT: usize = 64 << 10;

const THREADS: usize = 4;

/// Blocks that each thread allocates and frees without a lock.
const BLOCKS: usize = 1000;

fn run(_: Arguments) -> Verdict {
    let none = heap("before malloc in the main thread")?;
    claim!(none == 0, "before the first malloc there is no heap region");
    let block = Box::new([1_u8; BLOCK]);
    let first = heap("after malloc in the main thread")?;
    claim!(first > 0, "malloc makes it: {first} bytes");
    let of_main = segment(&*block);
    drop(block);
    let freed = heap("after free in the main thread")?;
    claim!(freed == first, "free does not make it smaller");

    let [before, after, freed, of_thread] = thread::spawn(|| -> [usize; 4] {
        let before = heap("before malloc in the second thread").unwrap_or(0);
        let block = Box::new([2_u8; BLOCK]);
        let after = heap("after malloc in the second thread").unwrap_or(0);
        let of_thread = segment(&*block);
        drop(block);
        let freed = heap("after free in the second thread").unwrap_or(0);
        [before, after, freed, of_thread]
    })?
    .join();
    claim!(before == first, "a thread that has not called malloc has no part of the heap");
    claim!(after > before, "malloc in it makes the heap longer by its arena: {after} bytes");
    claim!(of_thread != of_main, "its block lies in another segment than the main thread's");
    claim!(freed == after, "free in it gives its arena nothing back to the kernel");

    // Each slot gets an arena. In a small heap, one that begins makes the others give back what is
    // free: they come twice.
    together(0)?;
    together(0)?;
    let before = counts();
    let blocks = together(BLOCKS)?;
    let after = counts();
    println!("blocks that {THREADS} threads have allocated and freed meanwhile: {blocks}");
    claim!(blocks == THREADS * BLOCKS, "all threads have allocated at the same time");
    claim!(after == before, "and taken no lock: {} before, {} now", before.0, after.0);
    Ok(())
}

/// Lets threads allocate and free so many blocks each, all at the same time, and a few that make
/// sure of an arena. Returns how many it were.
fn together(blocks: usize) -> Result<usize, runtime::Untrue> {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    ARRIVED.store(0, Ordering::Relaxed);
    let mut threads = [const { None }; THREADS];
    for thread in &mut threads {
        *thread = Some(thread::spawn(move || {
            (0..8).for_each(|_| drop(black_box(Box::new([0_u8; BLOCK]))));
            // Nobody goes on before the last one is here.
            ARRIVED.fetch_add(1, Ordering::AcqRel);
            while ARRIVED.load(Ordering::Acquire) < THREADS {
                runtime::system::process::sched_yield();
            }
            (0..blocks).filter(|_| black_box(Box::new([0_u8; BLOCK]))[0] == 0).count()
        })?);
    }
    Ok(threads.into_iter().flatten().map(|thread| thread.join()).sum())
}

/// The segment that something lies in.
fn segment<T>(block: &T) -> usize {
    (&raw const *block).addr() / SEGMENT
}

/// Prints the map, and returns the bytes of the heap's region.
fn heap(title: &str) -> Result<usize, runtime::Untrue> {
    let mut room = ROOM;
    let maps = views::text(View::Maps, &mut room)?;
    println!("map {title}:");
    maps.lines().for_each(|line| println!("  {line}"));
    Ok(views::region(maps, "[heap]").map_or(0, |heap| heap.len()))
}
