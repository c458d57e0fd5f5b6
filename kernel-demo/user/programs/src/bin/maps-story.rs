//! A process looks at its own map: before `malloc`, after it, and after `free` (C24).

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use runtime::system::view::View;
use runtime::views::{self, ROOM, Region};
use runtime::{Arguments, Verdict, claim, println, program};

program!(run);

/// Small enough not to be mapped, and in sum not to be given back at once.
const BLOCK: usize = 20_000;

fn run(_: Arguments) -> Verdict {
    let mut room = ROOM;

    let before = show("before malloc", &mut room)?;
    claim!(
        views::region(before, "[heap]").is_none(),
        "before the first malloc there is no heap region"
    );
    claim!(
        views::region(before, "[stack]").is_some_and(|stack| stack.permissions == "rw-p"),
        "there is a stack, rw-"
    );
    claim!(
        views::region_at(before, run as *const () as usize)
            .is_some_and(|text| text.permissions == "r-xp"),
        "text is mapped r-x"
    );
    claim!(
        !views::regions(before).any(is_writable_and_executable),
        "nothing is both writable and executable"
    );

    let block = Vec::<u8>::with_capacity(BLOCK);
    let one = show("after malloc", &mut room)?;
    let heap = views::region(one, "[heap]");
    claim!(
        heap.is_some_and(|heap| heap.contains(block.as_ptr().addr())),
        "the heap region has appeared, and holds the block"
    );
    claim!(heap.is_some_and(|heap| heap.permissions == "rw-p"), "it is rw-");
    let (start, first) = heap.map_or((0, 0), |heap| (heap.start, heap.len()));

    let blocks =
        [Vec::<u8>::with_capacity(BLOCK), Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK)];
    let more = show("after more malloc", &mut room)?;
    let second = views::region(more, "[heap]").map_or(0, |heap| heap.len());
    claim!(second > first, "it has grown: {first} bytes before, {second} now");

    drop((block, blocks));
    let after = show("after free", &mut room)?;
    let kept = views::region(after, "[heap]");
    claim!(
        kept.is_some_and(|heap| heap.start == start && heap.len() == second),
        "free does not make it vanish, nor smaller"
    );
    claim!(HEAP.check().is_ok(), "the heap is whole");

    HEAP.flush();
    let given_back = HEAP.trim(0);
    println!("given back: {given_back} bytes");
    let trimmed = show("after trim", &mut room)?;
    let left = views::region(trimmed, "[heap]").map_or(0, |heap| heap.len());
    claim!(
        left < second,
        "only when it is told to does the heap give memory back: {left} bytes left"
    );
    Ok(())
}

fn show<'room>(title: &str, room: &'room mut views::Room) -> Result<&'room str, runtime::Untrue> {
    let maps = views::text(View::Maps, room)?;
    println!("map {title}:");
    maps.lines().for_each(|line| println!("  {line}"));
    Ok(maps)
}

fn is_writable_and_executable(region: Region<'_>) -> bool {
    region.permissions.contains('w') && region.permissions.contains('x')
}
