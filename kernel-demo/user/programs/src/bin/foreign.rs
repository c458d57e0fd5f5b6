//! A library that moves the break behind the heap's back (C14). The heap goes on beside its memory;
//! and if memory is taken away, it says so and stops.

#![no_std]
#![no_main]

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{BreakError, Heap};
use programs::Span;
use runtime::system::memory;
use runtime::system::process::Ending;
use runtime::{Arguments, PAGE, ProcessBreak, Untrue, Verdict, claim, in_child, println, program};

program!(run);

type Mine = Heap<ProcessBreak>;

const BLOCK: Layout = Layout::new::<[u8; 100_000]>();

/// What the library takes: not a multiple of anything.
const ITS: usize = 5001;

fn run(_: Arguments) -> Verdict {
    // Nothing here uses the program's own heap.
    let mut heap = Heap::new(ProcessBreak);
    let first = allocate(&mut heap, 1)?;

    println!("the library calls sbrk:");
    let library = Span::from_break(ITS)?;
    library.fill(3);
    let second = allocate(&mut heap, 2)?;
    show(&heap);
    claim!(
        first.address() < library.address() && library.address() < second.address(),
        "its memory lies between two of our blocks"
    );
    claim!(
        heap.stats().holes == 1 && heap.check().is_ok(),
        "to the heap that is a hole, and it is whole"
    );

    println!("it moves the break by a system call of its own:");
    let end = runtime::sbrk(0)?.addr().get();
    // SAFETY: the break moves up.
    let moved = unsafe { memory::brk(end + PAGE) };
    claim!(moved == end + PAGE, "the break has moved, and our sbrk was not asked");
    let third = allocate(&mut heap, 4)?;
    show(&heap);
    claim!(third.address() >= moved, "the heap has noticed, and goes on above");
    claim!(heap.stats().holes == 2 && heap.check().is_ok(), "there is one hole more");
    let intact = first.is_filled(1) && second.is_filled(2) && third.is_filled(4);
    claim!(
        library.is_filled(3) && intact,
        "each block, and what is the library's, has what was written to it"
    );

    println!("the library takes away what is not its own:");
    let ending = in_child(|| taken_away(&mut heap, first.address()))?;
    claim!(
        ending == Ending::WELL,
        "the heap says so and serves nobody any more; the process goes on"
    );

    println!("the library hands its memory over:");
    // SAFETY: nobody uses it any more.
    let gained = unsafe {
        heap.add_region(core::ptr::with_exposed_provenance_mut(library.address()), library.len())
    };
    claim!(gained.is_ok() && heap.stats().holes == 1, "the hole is filled");
    for block in [first, second, third] {
        // SAFETY: each is a block of this heap, and is not used any more.
        unsafe { heap.deallocate(start(block.address())?, BLOCK) };
    }
    heap.flush();
    show(&heap);
    claim!(
        heap.check().is_ok() && heap.stats().live_cells == 0,
        "all is freed, and the heap is whole"
    );
    Ok(())
}

/// Somebody moves the break down over the heap's memory. (In a child: the heap of the parent is not
/// harmed.)
fn taken_away(heap: &mut Mine, to: usize) -> Verdict {
    // SAFETY: what is above is not used any more, but by the heap, and that is the point.
    let moved = unsafe { memory::brk(to) };
    println!("break: {moved:#x}");
    let answer = heap.reserve(1 << 20);
    println!("the heap: {answer:?}");
    claim!(answer == Err(BreakError::MemoryTaken), "memory was taken, and the heap knows");
    // SAFETY: the heap outlives what it does not give.
    let block = unsafe { heap.allocate(BLOCK) };
    claim!(block.is_none(), "it gives out none of what may be somebody else's");
    Ok(())
}

/// Allocates a block and fills it.
fn allocate(heap: &mut Mine, fill: u8) -> Result<Span, Untrue> {
    // SAFETY: the heap lives as long as its blocks are used.
    let block = unsafe { heap.allocate(BLOCK) }.ok_or(Untrue::CLAIM)?;
    // SAFETY: the block is this program's, and nothing else is in it.
    let span = unsafe { Span::new(NonNull::slice_from_raw_parts(block, BLOCK.size())) };
    span.fill(fill);
    Ok(span)
}

fn start(address: usize) -> Result<NonNull<u8>, Untrue> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(address)).ok_or(Untrue::CLAIM)
}

fn show(heap: &Mine) {
    heap.cells().for_each(|cell| {
        println!("  {:#x}: {:6} bytes: {:?}", cell.address, cell.size, cell.state)
    });
}
