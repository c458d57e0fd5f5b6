//! Each misuse of a sampled block faults at the instruction, or is found by `free`.

use std::alloc::GlobalAlloc;
use std::ptr::NonNull;

use brkalloc::inner::SampledHooks;
use brkalloc::{SampleReport, SampledMisuse, Trace};

use super::world::*;

/// Returns a heap, and a sampled block that lies at the end of its pages, or at their start.
fn sampled_block(size: usize, at_end: bool) -> (&'static TestHeap<Arenas>, NonNull<u8>) {
    for seed in 0.. {
        let heap = sampled(arenas(), ProcessPages::default(), 1, seed);
        let block = at(0x1234, || allocate(heap, size));
        assert_eq!(heap.live(), 1);
        // The pages of a short block begin with it, or end with it.
        if block.addr().get().is_multiple_of(PAGE) != at_end {
            return (heap, block);
        }
    }
    unreachable!()
}

#[test]
fn an_overflow_faults_at_the_first_byte() {
    let (heap, block) = sampled_block(48, true);
    let report = caught(heap, || write(block, 48, 1));
    assert_eq!(report.kind, SampledMisuse::Overflow);
    let address = block.addr().get();
    assert_eq!((report.at, report.block, report.size), (address + 48, address, 48));
    assert_eq!((report.allocated_by, report.freed_by), (Trace::of([0x1234]), None));
    assert!(!report.found_by_free);
}

#[test]
fn an_underflow_faults_at_the_first_byte() {
    let (heap, block) = sampled_block(48, false);
    let report = caught(heap, || write(block, -1, 1));
    assert_eq!(report.kind, SampledMisuse::Underflow);
    assert_eq!((report.at, report.block), (block.addr().get() - 1, block.addr().get()));
}

#[test]
fn what_is_overwritten_on_the_other_side_is_found_by_free() {
    for (size, at_end, offset) in
        [(48, true, -1), (48, false, 48), (41, true, 41), (48, false, 4047)]
    {
        for seed in 0..8 {
            let heap = sampled(arenas(), ProcessPages::default(), 1, seed);
            let block = allocate(heap, size);
            let is_at_end = !block.addr().get().is_multiple_of(PAGE);
            if is_at_end != at_end {
                continue;
            }
            assert!(try_access(heap, || write(block, offset, 1)).is_none(), "{size} {offset}");
            // SAFETY: as in a library that knows no layouts. The block is live.
            let report = unsafe { heap.free_sampled(block.addr().get(), Trace::of([7])) };
            let report = report.expect("a report");
            assert_eq!(
                report.kind,
                if offset < 0 { SampledMisuse::Underflow } else { SampledMisuse::Overflow }
            );
            assert_eq!(report.at, block.addr().get().wrapping_add_signed(offset));
            assert_eq!((report.found_by_free, report.freed_by), (true, Some(Trace::of([7]))));
        }
    }
}

#[test]
fn a_use_after_free_faults_for_a_while() {
    let (heap, block) = sampled_block(1000, true);
    at(0x5678, || free(heap, block, 1000));
    // A quarter of all slots rests at least as long.
    for _ in 0..SLOTS / 4 {
        let other = allocate(heap, 1000);
        assert_ne!(other, block);
        free(heap, other, 1000);
    }
    let report = caught(heap, || write(block, 500, 1));
    assert_eq!(report.kind, SampledMisuse::UseAfterFree);
    assert_eq!(report.at, block.addr().get() + 500);
    assert_eq!(report.allocated_by, Trace::of([0x1234]));
    assert_eq!(report.freed_by, Some(Trace::of([0x5678])));
}

#[test]
fn a_wrong_free_is_reported() {
    fn report_of(heap: &TestHeap<Arenas>, address: usize) -> SampleReport {
        // SAFETY: a misuse on purpose, which the pool finds before it touches the block.
        unsafe { heap.free_sampled(address, Trace::UNKNOWN) }.expect("a misuse")
    }
    let (heap, block) = sampled_block(64, true);
    let address = block.addr().get();
    let inside = report_of(heap, address + 16);
    assert_eq!((inside.kind, inside.block), (SampledMisuse::InvalidFree, address));
    assert_eq!(report_of(heap, address - 16).kind, SampledMisuse::InvalidFree);
    free(heap, block, 64);
    let twice = report_of(heap, address);
    assert_eq!((twice.kind, twice.block), (SampledMisuse::DoubleFree, address));
    assert!(twice.freed_by.is_some());
}

/// A program with an error that happens once to one of its 100 blocks.
fn run_with_error(heap: &TestHeap<Arenas>, error: SampledMisuse) -> Option<SampleReport> {
    let mut blocks: Vec<_> = (0..100).map(|_| Some(allocate(heap, 32))).collect();
    let victim = blocks[50].unwrap();
    let report = try_access(heap, || match error {
        SampledMisuse::Overflow => write(victim, 32, 0),
        SampledMisuse::Underflow => write(victim, -1, 0),
        SampledMisuse::UseAfterFree => {
            free(heap, blocks[50].take().unwrap(), 32);
            // SAFETY: memory of the process, or a page that the handler opens.
            unsafe { victim.as_ptr().add(16).read_volatile() };
        }
        _ => unreachable!(),
    });
    let found = blocks.into_iter().flatten().filter_map(|block| free_or_report(heap, block, 32));
    found.fold(report, |report, found| report.or(Some(found)))
}

/// Frees a block. Returns the report, if that is a misuse of a sampled block.
fn free_or_report(
    heap: &TestHeap<Arenas>,
    block: NonNull<u8>,
    size: usize,
) -> Option<SampleReport> {
    let address = block.addr().get();
    if heap.has(address) {
        // SAFETY: the block is live.
        return unsafe { heap.free_sampled(address, Trace::UNKNOWN) };
    }
    free(heap, block, size);
    None
}

/// Of a hundred blocks one is sampled, and an access on its other side is found when it is freed.
/// That none of 1000 runs finds an error has the probability (1 - 1/100)^1000: 4 in 100,000.
#[test]
fn an_error_that_happens_once_in_a_run_is_caught_within_1000_runs() {
    for error in [SampledMisuse::Overflow, SampledMisuse::Underflow, SampledMisuse::UseAfterFree] {
        let heap = sampled(arenas(), ProcessPages::default(), 100, 5);
        // The neighbours' bytes that the error overwrites in the heap are not in use.
        let found = (0..1000).find_map(|run| Some((run, run_with_error(heap, error)?)));
        let (run, report) = found.unwrap_or_else(|| panic!("{error:?} was never caught"));
        assert_eq!(report.kind, error, "{run}: {report}");
    }
}

#[test]
fn a_program_without_an_error_is_not_accused() {
    let heap = sampled(arenas(), ProcessPages::default(), 3, 9);
    let mut blocks: Vec<(NonNull<u8>, usize)> = Vec::new();
    for step in 0..20_000_usize {
        let size = 1 + step * 7919 % 9000;
        let zeroed = step % 3 == 0;
        // SAFETY: the heap is leaked.
        let block = unsafe {
            if zeroed { heap.alloc_zeroed(layout(size)) } else { heap.alloc(layout(size)) }
        };
        let mut block = NonNull::new(block).expect("memory");
        // SAFETY: the block has that many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
        assert!(!zeroed || bytes.iter().all(|&byte| byte == 0));
        // SAFETY: as before.
        unsafe { block.write_bytes(step as u8, size) };
        let mut len = size;
        if step % 5 == 0 {
            len = 1 + step * 31 % 12_000;
            // SAFETY: a live block of that layout.
            let moved = unsafe { heap.realloc(block.as_ptr(), layout(size), len) };
            block = NonNull::new(moved).expect("memory");
            // SAFETY: the block has that many bytes.
            let kept = unsafe { std::slice::from_raw_parts(block.as_ptr(), len.min(size)) };
            assert!(kept.iter().all(|&byte| byte == step as u8));
        }
        blocks.push((block, len));
        if blocks.len() > 60 {
            let (block, size) = blocks.swap_remove(step * 17 % 60);
            free(heap, block, size);
        }
    }
    assert!(heap.sampled() > 1000, "{}", heap.sampled());
    blocks.into_iter().for_each(|(block, size)| free(heap, block, size));
    assert_eq!(heap.live(), 0);
    heap.heap().check().unwrap();
}
