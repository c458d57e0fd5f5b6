//! Sampled blocks of a heap over the page-fault break: with one block in ten sampled, each kind of
//! misuse is caught within 100 runs of a program that makes it once. That none of them samples the
//! block has the probability (1 - 1/10)^100, 3 in 100,000; the seed makes each test the same.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use brkalloc::inner::SampledHooks;
use brkalloc::{Heap, Locked, NoMap, SampleReport, Sampled, SampledMisuse, Trace, Usual};
use kernel_demo::cpu::lock::HeapLock;
use kernel_demo::heap::guarded::{Calls, GuardedPages};
use kernel_demo::memory::Policy;
use kernel_demo::memory::kernel_break::KernelBreak;
use kernel_demo::testing::{CaseResult, Failed, OrFail, probe};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;
use crate::scratch;

const SLOTS: usize = 32;

type TestHeap =
    Sampled<Locked<Heap<KernelBreak, NoMap, Usual>, HeapLock>, GuardedPages, Calls, SLOTS>;

/// Blocks of a run, and the one that is misused.
const BLOCKS: usize = 20;
const VICTIM: usize = 7;

const SIZE: usize = 32;
const LAYOUT: Layout = Layout::new::<[u64; 4]>();

/// One block in so many is sampled.
const RATE: u32 = 10;

/// Runs within which a misuse is caught.
const RUNS: usize = 100;

fn heap(rate: u32) -> Result<TestHeap, Failed> {
    let (scratch, _) = scratch(Policy::Strict)?;
    let pages = GuardedPages::claim().or_fail("addresses for pages")?;
    let heap = Locked::from_heap(Heap::with_profile(scratch, NoMap));
    let heap = TestHeap::with_sites(heap, pages, Calls);
    heap.set_rate(rate, 16);
    Ok(heap)
}

/// Allocates a block: the call site of all reports.
#[inline(never)]
fn allocate(heap: &TestHeap) -> Result<NonNull<u8>, Failed> {
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { heap.alloc(LAYOUT) }).or_fail("32 bytes")
}

/// Whether a call site lies in [`allocate`].
fn names_allocate(trace: &Trace) -> bool {
    let begin = allocate as fn(&TestHeap) -> Result<NonNull<u8>, Failed> as usize;
    trace.addresses().any(|address| (begin..begin + 256).contains(&address))
}

/// Frees an address of the pool. Returns the report, if that is a misuse.
fn free(heap: &TestHeap, address: usize) -> Option<SampleReport> {
    // SAFETY: nobody uses the block; the pool finds a misuse before it touches anything.
    unsafe { heap.free_sampled(address, Trace::of([0x5678])) }
}

/// Writes to an address, and explains the fault in which that ends.
fn access(heap: &TestHeap, address: usize) -> Option<SampleReport> {
    // SAFETY: beside a sampled block nothing is in use.
    let fault = unsafe { probe::write(address as u64, 0) }.err()?;
    heap.explain(fault.address? as usize)
}

/// Misuses a sampled block, and frees it. What is written on the side that no guard page touches is
/// found by the free.
fn misuse(heap: &TestHeap, block: usize, kind: SampledMisuse) -> Option<SampleReport> {
    match kind {
        SampledMisuse::Overflow => access(heap, block + SIZE).or(free(heap, block)),
        SampledMisuse::Underflow => access(heap, block - 1).or(free(heap, block)),
        SampledMisuse::UseAfterFree => free(heap, block).or_else(|| access(heap, block + 5)),
        SampledMisuse::DoubleFree => free(heap, block).or_else(|| free(heap, block)),
        _ => free(heap, block + 8).or_else(|| free(heap, block)),
    }
}

/// A program with an error in it. In a block that is not sampled, it would not be noticed: there it
/// is left out.
fn run(heap: &TestHeap, kind: SampledMisuse) -> Result<Option<SampleReport>, Failed> {
    let mut blocks = [NonNull::dangling(); BLOCKS];
    for block in &mut blocks {
        *block = allocate(heap)?;
    }
    let mut found = None;
    for (number, block) in blocks.into_iter().enumerate() {
        let address = block.addr().get();
        if number == VICTIM && heap.has(address) {
            found = misuse(heap, address, kind);
            // What was found before the block was freed leaves it to the program.
            if heap.sampled_size(address).is_none() {
                continue;
            }
        }
        // SAFETY: allocated above, and freed once.
        unsafe { heap.dealloc(block.as_ptr(), LAYOUT) };
    }
    Ok(found)
}

/// Runs the program until its error is caught. Returns what was found.
fn caught(kind: SampledMisuse) -> Result<SampleReport, Failed> {
    let heap = heap(RATE)?;
    for _ in 0..RUNS {
        if let Some(report) = run(&heap, kind)? {
            ensure_eq!((report.kind, report.size), (kind, SIZE));
            ensure!(names_allocate(&report.allocated_by), "{report}");
            ensure_eq!(heap.live(), 0);
            heap.heap().check().or_fail("the heap is whole")?;
            return Ok(report);
        }
    }
    None.or_fail("a report within 100 runs")
}

#[case]
fn an_overflow_is_caught_within_100_runs() -> CaseResult {
    let report = caught(SampledMisuse::Overflow)?;
    ensure_eq!(report.at, report.block + SIZE);
    Ok(())
}

#[case]
fn an_underflow_is_caught_within_100_runs() -> CaseResult {
    let report = caught(SampledMisuse::Underflow)?;
    ensure_eq!(report.at, report.block - 1);
    Ok(())
}

#[case]
fn a_use_after_free_is_caught_within_100_runs() -> CaseResult {
    let report = caught(SampledMisuse::UseAfterFree)?;
    ensure_eq!((report.at, report.found_by_free), (report.block + 5, false));
    ensure_eq!(report.freed_by, Some(Trace::of([0x5678])));
    Ok(())
}

#[case]
fn a_double_free_is_caught_within_100_runs() -> CaseResult {
    let report = caught(SampledMisuse::DoubleFree)?;
    ensure_eq!((report.at, report.freed_by), (report.block, Some(Trace::of([0x5678]))));
    Ok(())
}

#[case]
fn a_free_inside_a_block_is_caught_within_100_runs() -> CaseResult {
    let report = caught(SampledMisuse::InvalidFree)?;
    ensure_eq!((report.at, report.freed_by), (report.block + 8, None));
    Ok(())
}

/// Each sampled block takes a frame, which comes back when its pages are closed; and one that is
/// not freed goes with the heap.
#[case]
fn a_program_without_an_error_is_not_accused() -> CaseResult {
    let heap = heap(2)?;
    let mut sampled = 0;
    for _ in 0..RUNS {
        let blocks = [(); BLOCKS].map(|()| allocate(&heap));
        for block in blocks {
            let block = block?;
            sampled += usize::from(heap.has(block.addr().get()));
            // SAFETY: the block has that many bytes, and is freed once.
            unsafe {
                block.write_bytes(1, SIZE);
                heap.dealloc(block.as_ptr(), LAYOUT);
            }
        }
    }
    ensure!(sampled >= RUNS && heap.live() == 0, "{sampled} blocks were sampled");
    for _ in 0..BLOCKS {
        allocate(&heap)?;
    }
    ensure!(heap.live() > 0, "blocks stay");
    Ok(())
}
