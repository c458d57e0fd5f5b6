//! What a story tells of the heaps of the tour: their calls, with the place of each in the source,
//! and their cells after it.

use core::fmt::Write;
use core::panic::Location;
use core::ptr::NonNull;

use brkalloc::Profile;

use super::cells::DemoHeap;
use crate::story::{self, Cells, Kind, Text};

/// A call of a heap.
#[derive(Clone, Copy)]
pub enum Call {
    /// `malloc`.
    Allocate(usize),
    /// `calloc`.
    AllocateZeroed(usize),
    /// `free`.
    Free(NonNull<u8>, usize),
    /// `realloc`: the block, its size, the new size.
    Reallocate(NonNull<u8>, usize, usize),
    /// The heap makes room for so many bytes.
    Reserve(usize),
    /// The heap gives back what it can.
    Trim,
}

/// Calls a heap, and tells it.
#[track_caller]
pub fn call<P: Profile, R>(
    heap: &mut DemoHeap<P>,
    call: Call,
    run: impl FnOnce(&mut DemoHeap<P>) -> R,
    result: impl FnOnce(&R) -> usize,
) -> R {
    if !story::is_on() {
        return run(heap);
    }
    let place = Location::caller();
    let id = id(heap);
    begin(id, call, place);
    let returned = run(heap);
    story::record(Kind::HeapDone, &[0, id, result(&returned) as u64], "");
    cells(id, heap);
    returned
}

/// The number by which a story names a heap.
fn id<P: Profile>(heap: &DemoHeap<P>) -> u64 {
    heap.provider().raw().info().base
}

/// Address of a block, or 0 if there is none.
pub fn address(block: &Option<NonNull<u8>>) -> usize {
    block.map_or(0, |block| block.addr().get())
}

#[cold]
fn begin(heap: u64, call: Call, place: &Location<'_>) {
    let at = |block: NonNull<u8>| block.addr().get() as u64;
    let numbers = match call {
        Call::Allocate(size) => [0, 0, size as u64, 0],
        Call::AllocateZeroed(size) => [1, 0, size as u64, 0],
        Call::Free(block, size) => [2, at(block), size as u64, 0],
        Call::Reallocate(block, size, new) => [3, at(block), size as u64, new as u64],
        Call::Reserve(size) => [4, 0, size as u64, 0],
        Call::Trim => [5, 0, 0, 0],
    };
    let [what, block, size, new] = numbers;
    let mut text = Text::new();
    // The text takes all that there is room for.
    let _ = write!(text, "{}:{}", place.file(), place.line());
    story::record(Kind::HeapCall, &[0, heap, what, block, size, new], text.as_str());
}

/// Tells all cells of a heap.
#[cold]
fn cells<P: Profile>(id: u64, heap: &DemoHeap<P>) {
    let mut cells = Cells::new(0, id);
    heap.cells().for_each(|found| cells.push(&found));
    cells.finish();
}
