//! A small live block above a large free one pins the break; a large block on a mapping of its own
//! goes back at once (C15).

#![no_std]
#![no_main]

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{MapThreshold, PlainHeap, Trim};
use runtime::system::view::View;
use runtime::views::{self, ROOM};
use runtime::{Arguments, ProcessBreak, ProcessMap, Untrue, Verdict, claim, println, program};

program!(run);

type Mine = PlainHeap<ProcessBreak, ProcessMap>;

const LARGE: Layout = Layout::new::<[u8; 8 << 20]>();
const SMALL: Layout = Layout::new::<[u8; 4000]>();

/// From which size on blocks are mapped; it stays so.
const MAPPED: MapThreshold = MapThreshold::fixed(128 << 10);
const NEVER: MapThreshold = MapThreshold::fixed(usize::MAX);

fn run(_: Arguments) -> Verdict {
    // Nothing here uses the program's own heap, so the break is this one's alone.
    let mut heap = Mine::with_profile(ProcessBreak, ProcessMap);
    heap.set_trim(Trim::new(0, 0));
    at_the_break(&mut heap)?;
    on_a_mapping(&mut heap)
}

/// Large and small come from the break, one behind the other.
fn at_the_break(heap: &mut Mine) -> Verdict {
    println!("both at the break:");
    heap.set_map_threshold(NEVER);
    let start = brk()?;
    let (large, small) = (allocate(heap, LARGE)?, allocate(heap, SMALL)?);
    let grown = brk()?;
    println!("break moved up: {} bytes", grown - start);
    claim!(small > large, "the small block lies above the large one");

    // SAFETY: the block is not used any more.
    unsafe { heap.deallocate(large, LARGE) };
    println!("break after the large one is freed: {} bytes up", brk()? - start);
    claim!(brk()? == grown, "the small block pins it: not a byte goes back");
    // SAFETY: the block is not used any more.
    unsafe { heap.deallocate(small, SMALL) };
    println!("break after the small one is freed as well: {} bytes up", brk()? - start);
    claim!(brk()? < grown - LARGE.size(), "now all of it goes back");
    Ok(())
}

/// The same with the large one mapped.
fn on_a_mapping(heap: &mut Mine) -> Verdict {
    println!("the large one on a mapping:");
    heap.set_map_threshold(MAPPED);
    let start = brk()?;
    let (large, small) = (allocate(heap, LARGE)?, allocate(heap, SMALL)?);
    println!("break moved up: {} bytes", brk()? - start);
    claim!(brk()? - start < LARGE.size(), "the large block is not at the break");
    let mut room = ROOM;
    let maps = views::text(View::Maps, &mut room)?;
    claim!(
        views::region_at(maps, large.addr().get()).is_some_and(|region| region.name != "[heap]"),
        "it has a mapping of its own"
    );
    // SAFETY: the block is not used any more.
    unsafe { heap.deallocate(large, LARGE) };
    let maps = views::text(View::Maps, &mut room)?;
    claim!(
        views::region_at(maps, large.addr().get()).is_none(),
        "which is gone the moment it is freed"
    );
    claim!(views::region_at(maps, small.addr().get()).is_some(), "while the small block lives");
    // SAFETY: the block is not used any more.
    unsafe { heap.deallocate(small, SMALL) };
    claim!(heap.check().is_ok(), "the heap is whole");
    Ok(())
}

fn allocate(heap: &mut Mine, layout: Layout) -> Result<NonNull<u8>, Untrue> {
    // SAFETY: the heap outlives its blocks.
    unsafe { heap.allocate(layout) }.ok_or(Untrue::CLAIM)
}

/// Where the break stands.
fn brk() -> Result<usize, Untrue> {
    Ok(runtime::sbrk(0)?.addr().get())
}
