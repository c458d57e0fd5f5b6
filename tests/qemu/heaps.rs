//! What hobby kernels test of a heap, written once and run on each profile of `LockedHeap` and on
//! `SimpleHeap`, over a break, and on `linked_list_allocator` with its usual 100 KiB.

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::mem::{MaybeUninit, swap};
use core::ops::Deref;
use core::ptr::NonNull;

use brkalloc::{Break, Heap, Locked, LockedHeap, NoMap, Profile, SimpleHeap};
use kernel_demo::heap::HEAP;
use kernel_demo::memory::{self, BreakId, Policy};
use kernel_demo::testing::{Balance, CaseResult, Failed, OrFail};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;
use crate::{GIB, scratch};

/// The cases of a workload: one for each heap.
macro_rules! on_each_heap {
    ($($workload:ident),+ $(,)?) => {
        $(mod $workload {
            use super::*;

            #[case(Usual, Plain, Small, Checked<Usual>)]
            fn locked_heap<P: Profile>() -> CaseResult {
                super::locked_heap::<P>(super::$workload)
            }

            #[case]
            fn simple_heap() -> CaseResult {
                super::simple_heap(super::$workload)
            }

            #[case]
            fn linked_list() -> CaseResult {
                super::linked_list(super::$workload)
            }
        })+
    };
}

on_each_heap!(a_box, large_vector, many_boxes, many_boxes_and_a_long_lived_one);

type Workload = fn(&dyn GlobalAlloc) -> CaseResult;

/// What the documents' heaps have: 100 KiB.
const SIZE: usize = 100 * 1024;

fn locked_heap<P: Profile>(workload: Workload) -> CaseResult {
    let heap = Heap::<_, _, P>::with_profile(scratch(Policy::Strict)?.0, NoMap);
    let heap = LockedHeap::from_heap(heap);
    workload(&heap)?;
    heap.check().or_fail("a sound heap")?;
    ensure_eq!(heap.stats().live_bytes, 0);
    Ok(())
}

fn simple_heap(workload: Workload) -> CaseResult {
    workload(&Locked::<_>::from_heap(SimpleHeap::new(scratch(Policy::Strict)?.0)))
}

fn linked_list(workload: Workload) -> CaseResult {
    let (mut memory, _) = scratch(Policy::Strict)?;
    let start = memory.grow(SIZE).or_fail("100 KiB")?.cast::<u8>().as_ptr();
    // SAFETY: the memory was granted to this case, and outlives the heap.
    let heap = unsafe { linked_list_allocator::LockedHeap::new(start, SIZE) };
    workload(&heap)
}

/// A value in a heap. (`Box` takes other heaps than the global one only with an unstable feature.)
struct Boxed<'h, T> {
    heap: &'h dyn GlobalAlloc,
    value: NonNull<T>,
}

impl<'h, T> Boxed<'h, T> {
    fn new(heap: &'h dyn GlobalAlloc, value: T) -> Result<Self, Failed> {
        // SAFETY: the layout is not empty, for none of the types here is.
        let block = unsafe { heap.alloc(Layout::new::<T>()) };
        let place = NonNull::new(block.cast::<T>()).or_fail("a block")?;
        // SAFETY: the block has the layout of the value.
        unsafe { place.write(value) };
        Ok(Self { heap, value: place })
    }
}

impl<T> Deref for Boxed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value was written when the box was made.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Boxed<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the value is there, and is not used again.
        unsafe { self.value.drop_in_place() };
        // SAFETY: the block came from this heap with this layout.
        unsafe { self.heap.dealloc(self.value.as_ptr().cast(), Layout::new::<T>()) };
    }
}

fn a_box(heap: &dyn GlobalAlloc) -> CaseResult {
    let (mut first, mut second) = (Boxed::new(heap, 41_u64)?, Boxed::new(heap, 13_u64)?);
    ensure_eq!((*first, *second), (41, 13));
    swap(&mut first, &mut second);
    ensure_eq!((*first, *second), (13, 41));
    Ok(())
}

/// A vector that doubles, as `Vec` does.
fn large_vector(heap: &dyn GlobalAlloc) -> CaseResult {
    const NUMBERS: u64 = 1000;
    let layout = |capacity| Layout::array::<u64>(capacity).or_fail("a layout");
    let mut capacity = 4;
    // SAFETY: the layout is not empty.
    let mut block = unsafe { heap.alloc(layout(capacity)?) }.cast::<u64>();
    ensure!(!block.is_null());
    for number in 0..NUMBERS {
        if number as usize == capacity {
            let size = layout(capacity * 2)?.size();
            // SAFETY: the block came from this heap with this layout, and the size is not zero.
            block = unsafe { heap.realloc(block.cast(), layout(capacity)?, size) }.cast();
            ensure!(!block.is_null(), "null for {size} bytes");
            capacity *= 2;
        }
        // SAFETY: the element lies in the block.
        let element = unsafe { block.add(number as usize) };
        // SAFETY: as above.
        unsafe { element.write(number) };
    }
    // SAFETY: so many elements were written.
    let sum: u64 = unsafe { core::slice::from_raw_parts(block, NUMBERS as usize) }.iter().sum();
    // SAFETY: the block came from this heap with this layout.
    unsafe { heap.dealloc(block.cast(), layout(capacity)?) };
    ensure_eq!(sum, NUMBERS * (NUMBERS - 1) / 2);
    Ok(())
}

/// Three times as many as fit a heap of 100 KiB at 16 bytes each, so the heap must reuse what was
/// freed.
fn many_boxes(heap: &dyn GlobalAlloc) -> CaseResult {
    for number in 0..3 * SIZE / 16 {
        ensure_eq!(*Boxed::new(heap, number)?, number);
    }
    Ok(())
}

fn many_boxes_and_a_long_lived_one(heap: &dyn GlobalAlloc) -> CaseResult {
    let long_lived = Boxed::new(heap, 1_u64)?;
    many_boxes(heap)?;
    ensure_eq!(*long_lived, 1);
    Ok(())
}

#[case]
fn locked_heap_returns_null_and_goes_on() -> CaseResult {
    let heap = LockedHeap::new(scratch(Policy::Strict)?.0);
    let before = Boxed::new(&heap, 7_u64)?;
    let huge = Layout::from_size_align(32 * GIB as usize, 16).or_fail("a layout")?;
    // SAFETY: the layout is not empty.
    let block = unsafe { heap.alloc(huge) };
    ensure!(block.is_null(), "32 GiB at {block:?}");
    heap.check().or_fail("a sound heap")?;
    let after = Boxed::new(&heap, 8_u64)?;
    ensure_eq!((*before, *after), (7, 8));
    Ok(())
}

/// The block is longer than what is free between blocks, whose pages may be there since a case
/// before.
#[case]
fn kernel_heap_maps_nothing_until_touched() -> CaseResult {
    const PAGE: usize = memory::layout::PAGE_SIZE as usize;
    const TOUCHED: usize = 8;
    let all_given_back = Balance::now();
    let heap = || memory::with(|memory| memory.break_info(BreakId::KERNEL_HEAP));
    let pages = || heap().map_or(0, |heap| heap.pages);
    let before = pages();
    let free = HEAP.with_parent(|heap| heap.stats().largest_free).or_fail("a parent")?;
    let mut block = Vec::<u8>::with_capacity(free + (1 << 20));
    // Few for what the arena and its parent note.
    let notes = pages() - before;
    ensure!(notes <= 4, "{notes} pages are touched by the heap");
    let spare = block.spare_capacity_mut();
    let start = spare.len() / 2 / PAGE * PAGE;
    spare[start..start + (TOUCHED - 1) * PAGE + 1].fill(MaybeUninit::new(7));
    black_box(&mut block);
    let touched = pages() - before - notes;
    ensure!((TOUCHED..=TOUCHED + 1).contains(&touched), "{touched} pages are touched");
    drop(block);
    ensure_eq!(Balance::now(), all_given_back);
    ensure_eq!(pages(), before);
    Ok(())
}

/// `calloc` of fresh memory touches what the heap itself needs, a page at either end; of memory
/// that was used, all of it.
#[case]
fn zeroed_memory_that_is_fresh_is_not_touched() -> CaseResult {
    const SIZE: usize = 1 << 20;
    let (brk, raw) = scratch(Policy::Strict)?;
    let heap = LockedHeap::new(brk);
    let layout = Layout::from_size_align(SIZE, 16).or_fail("a layout")?;
    // SAFETY: the layout is not empty.
    let block = NonNull::new(unsafe { heap.alloc_zeroed(layout) }).or_fail("1 MiB")?;
    ensure_eq!(raw.info().pages, 2);
    // SAFETY: the block is that long.
    let bytes = unsafe { NonNull::slice_from_raw_parts(block, SIZE).as_mut() };
    ensure_eq!(bytes.iter().position(|byte| *byte != 0), None);
    bytes.fill(7);
    ensure_eq!(raw.info().pages, 257);
    // SAFETY: allocated above with this layout.
    unsafe { heap.dealloc(block.as_ptr(), layout) };
    // SAFETY: the layout is not empty.
    let again = NonNull::new(unsafe { heap.alloc_zeroed(layout) }).or_fail("1 MiB again")?;
    // SAFETY: the block is that long.
    let bytes = unsafe { NonNull::slice_from_raw_parts(again, SIZE).as_ref() };
    ensure_eq!(bytes.iter().position(|byte| *byte != 0), None);
    Ok(())
}
