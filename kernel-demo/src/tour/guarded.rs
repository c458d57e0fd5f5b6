//! A heap of which blocks lie between guard pages, over the page-fault break.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use brkalloc::{
    Heap, Locked, NoMap, Plain, PlainHeap, SampleReport, Sampled, SampledMisuse, Trace,
};

use super::cells::bytes;
use super::watch::Watch;
use crate::cpu::lock::HeapLock;
use crate::evidence::{Evidence, Missing, Shown};
use crate::heap::guarded::{Calls, GuardedPages};
use crate::memory::kernel_break::KernelBreak;
use crate::memory::layout::PAGE_SIZE;
use crate::memory::{Access, FaultReport, Policy};
use crate::testing::probe;

/// Blocks of which one is looked for that ends with its page.
const BLOCKS: usize = 8;

const SIZE: usize = 48;
const BLOCK: Layout = bytes(SIZE);

type SampledHeap =
    Sampled<Locked<Heap<KernelBreak, NoMap, Plain>, HeapLock>, GuardedPages, Calls, 32>;

/// Bytes of code that [`allocating_caller`] has at most.
const CODE: usize = 512;

/// The caller that a report names. It fills the block, so that the heap returns to it.
#[inline(never)]
fn allocating_caller(heap: &SampledHeap) -> Option<NonNull<u8>> {
    // SAFETY: the layout is not empty.
    let block = NonNull::new(unsafe { heap.alloc(BLOCK) })?;
    // SAFETY: the block has that many bytes.
    unsafe { block.write_bytes(0xAB, SIZE) };
    Some(block)
}

/// Whether a call site lies in [`allocating_caller`].
fn is_callers(trace: &Trace) -> bool {
    let begin = allocating_caller as fn(&SampledHeap) -> Option<NonNull<u8>> as usize;
    trace.addresses().any(|address| (begin..begin + CODE).contains(&address))
}

/// What the heap says of an access that faulted.
fn explain(
    evidence: &mut Evidence<'_>,
    heap: &SampledHeap,
    fault: &FaultReport,
) -> Result<SampleReport, Missing> {
    let explained = fault.address.and_then(|address| heap.explain(address as usize));
    let report = evidence.need("an explanation", explained.ok_or("it is no block's"))?;
    evidence.show(format_args!("{report}"));
    evidence.expect_that("the allocating caller is named", is_callers(&report.allocated_by));
    Ok(report)
}

pub fn overflow(evidence: &mut Evidence<'_>) -> Shown {
    let brk = evidence.need("a break", KernelBreak::claim(Policy::Strict).ok_or("no break"))?;
    let pages = evidence.need("addresses", GuardedPages::claim().ok_or("all are in use"))?;
    let heap = Locked::from_heap(PlainHeap::with_profile(brk, NoMap));
    let heap = SampledHeap::with_sites(heap, pages, Calls);
    heap.set_rate(1, 1);
    evidence
        .say(format_args!("A heap puts blocks between guard pages, and notes the caller of each."));
    let ends_page =
        |block: &NonNull<u8>| (block.addr().get() + SIZE).is_multiple_of(PAGE_SIZE as usize);
    let block = (0..BLOCKS).filter_map(|_| allocating_caller(&heap)).find(ends_page);
    let block = evidence.need("a block that ends its page", block.ok_or("none of them does"))?;
    let address = block.addr().get() as u64;
    evidence.show(format_args!("a caller gets {SIZE} bytes at {address:#x}"));
    let last = address + SIZE as u64 - 1;
    // SAFETY: the last byte of the block.
    let inside = unsafe { probe::write(last, 1) };
    evidence.expect_that("its last byte can be written to", inside.is_ok());

    evidence.say(format_args!("One byte behind it is written: the instruction faults."));
    // SAFETY: the guard page holds nothing.
    let beyond = unsafe { probe::write(last + 1, 1) };
    let fault = evidence.need("a fault", beyond.map_or_else(Ok, |()| Err("the write passed")))?;
    evidence.expect_that("a write was stopped", fault.access == Some(Access::Write));
    let report = explain(evidence, &heap, &fault)?;
    evidence.expect_that("it is an overflow", report.kind == SampledMisuse::Overflow);
    evidence.expect_hex("the block that was overrun", address, report.block as u64);

    let watch = Watch::start();
    // SAFETY: the block was allocated with this layout; it is freed once.
    unsafe { heap.dealloc(block.as_ptr(), BLOCK) };
    evidence.say(format_args!("The kernel goes on. The block is freed, and then read once more."));
    evidence.expect_at_least("frames returned", 1, -watch.frames());
    let fault = evidence.need("a fault", probe::read(address).map_or_else(Ok, |_| Err("none")))?;
    let report = explain(evidence, &heap, &fault)?;
    evidence.expect_that("it is a use after free", report.kind == SampledMisuse::UseAfterFree);
    Ok(())
}
