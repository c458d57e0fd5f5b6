//! Each frame request of a workload fails once; each time the kernel lives, and nothing leaks.

use alloc::vec::Vec;
use core::alloc::Layout;

use brkalloc::{Checked, Heap, NoMap, Plain, Profile, Small, Usual};
use kernel_demo::address_space::{Cause, MoveError};
use kernel_demo::arch::catch_fault;
use kernel_demo::memory::kernel_break::KernelBreak;
use kernel_demo::memory::{OutOfFrames, Policy};
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, Failed, OrFail, fail_nth, on_stack};
use kernel_demo::{ensure, ensure_eq, ensure_matches};

use crate::common::case;
use crate::{GIB, MIB, PAGE, scratch};

/// Pages far enough from each other to need tables of each level.
const PLACES: [u64; 5] = [0, PAGE, 2 * MIB as u64, GIB as u64, GIB as u64 + 3 * PAGE];

#[case]
fn overcommit_break_grown_touched_and_shrunk() -> CaseResult {
    let requests = fail_nth(|| {
        let (_scratch, raw) = scratch(Policy::Overcommit)?;
        // SAFETY: growing takes nothing away.
        let base = unsafe { raw.sbrk(2 * GIB) }.or_fail("addresses, which cost nothing")?;
        for place in PLACES {
            let before = raw.info();
            if let Err(report) = probe::read(base + place) {
                ensure_matches!(
                    report.cause,
                    Cause::OutOfFrames(OutOfFrames { injected: true, .. })
                );
                ensure_eq!(raw.info(), before);
                probe::read(base + place).or_fail("a second touch that succeeds")?;
            }
        }
        // SAFETY: nobody uses the memory.
        unsafe { raw.sbrk(-GIB) }.or_fail("a break that moves down")?;
        Ok(())
    })?;
    ensure_eq!(requests, 4 + 1 + 2 + 3 + 1);
    Ok(())
}

#[case]
fn strict_break_grown_touched_and_shrunk() -> CaseResult {
    let requests = fail_nth(|| {
        let (_scratch, raw) = scratch(Policy::Strict)?;
        for _ in 0..3 {
            let before = raw.info();
            // SAFETY: growing takes nothing away.
            match unsafe { raw.sbrk(4 * PAGE as isize) } {
                Ok(start) => {
                    for page in 0..4 {
                        probe::read(start + page * PAGE).or_fail("a touch that cannot fail")?;
                    }
                }
                Err(error) => {
                    ensure_matches!(
                        error,
                        MoveError::OutOfFrames(OutOfFrames { injected: true, .. })
                    );
                    ensure_eq!(raw.info(), before);
                }
            }
        }
        Ok(())
    })?;
    ensure_eq!(requests, 12 + 3);
    Ok(())
}

#[case]
fn stack_of_its_own() -> CaseResult {
    let requests = fail_nth(|| {
        if let Ok(sum) = on_stack(|_| 2 + 2) {
            ensure_eq!(sum, 4);
        }
        Ok(())
    })?;
    // Where the CPUs' own stacks fill their page table, there is another one.
    ensure!((32..=33).contains(&requests), "{requests} requests");
    Ok(())
}

#[case]
fn vector_on_the_kernel_heap() -> CaseResult {
    let requests = fail_nth(|| {
        let mut vector = Vec::new();
        for number in 0..20_000_u64 {
            if vector.try_reserve(1).is_err() {
                break;
            }
            vector.push(number);
        }
        ensure_eq!(
            vector.iter().sum::<u64>(),
            vector.len() as u64 * (vector.len() as u64).saturating_sub(1) / 2
        );
        Ok(())
    })?;
    ensure_matches!(requests, 40..);
    Ok(())
}

/// Allocates and fills blocks up to 40 KiB, frees half of them, and allocates again. Returns how
/// many allocations were refused.
fn churn<P: Profile>(heap: &mut Heap<KernelBreak, NoMap, P>) -> usize {
    let mut blocks = [None; 24];
    let mut refused = 0;
    for round in 0..2 {
        for (slot, block) in
            blocks.iter_mut().enumerate().filter(|(slot, _)| slot % 2 == round || round == 0)
        {
            let layout = Layout::array::<u8>((slot + 1) * 1700).expect("a small layout");
            if let Some(block) = block.take() {
                // SAFETY: allocated below with this layout, and freed once.
                unsafe { heap.deallocate(block, layout) };
            }
            // SAFETY: the heap outlives the blocks.
            *block = unsafe { heap.allocate(layout) };
            match block {
                // SAFETY: the block is that long.
                Some(block) => unsafe { block.write_bytes(0x5A, layout.size()) },
                None => refused += 1,
            }
        }
    }
    refused
}

/// A heap of any profile, over a break of its own.
fn heap<P: Profile>(policy: Policy) -> Result<Heap<KernelBreak, NoMap, P>, Failed> {
    Ok(Heap::with_profile(scratch(policy)?.0, NoMap))
}

/// Memory runs out where it is asked for: the heap returns `None`, and is sound.
fn strict<P: Profile>() -> CaseResult {
    let requests = fail_nth(|| {
        let mut heap = heap::<P>(Policy::Strict)?;
        let refused = churn(&mut heap);
        heap.check().or_fail("a sound heap")?;
        ensure_matches!(refused, 0 | 1);
        Ok(())
    })?;
    ensure_matches!(requests, 100..);
    Ok(())
}

/// Memory runs out where it is touched, perhaps in the middle of the heap's own work: the heap is
/// given up, and the kernel goes on.
fn overcommit<P: Profile>() -> CaseResult {
    let requests = fail_nth(|| {
        let mut heap = heap::<P>(Policy::Overcommit)?;
        // SAFETY: what the closure abandons are blocks of the heap, which is not used again but
        // given up as a whole.
        match unsafe { catch_fault(|| churn(&mut heap)) } {
            Ok(refused) => ensure_eq!(refused, 0),
            Err(report) => ensure_matches!(
                report.cause,
                Cause::OutOfFrames(OutOfFrames { injected: true, .. })
            ),
        }
        Ok(())
    })?;
    ensure_matches!(requests, 100..);
    Ok(())
}

#[case]
fn heap_over_a_strict_break() -> CaseResult {
    strict::<Usual>()
}

#[case]
fn plain_heap_over_a_strict_break() -> CaseResult {
    strict::<Plain>()
}

#[case]
fn small_heap_over_a_strict_break() -> CaseResult {
    strict::<Small>()
}

#[case]
fn checked_heap_over_a_strict_break() -> CaseResult {
    strict::<Checked>()
}

#[case]
fn heap_over_an_overcommit_break() -> CaseResult {
    overcommit::<Usual>()
}

#[case]
fn plain_heap_over_an_overcommit_break() -> CaseResult {
    overcommit::<Plain>()
}

#[case]
fn small_heap_over_an_overcommit_break() -> CaseResult {
    overcommit::<Small>()
}

#[case]
fn checked_heap_over_an_overcommit_break() -> CaseResult {
    overcommit::<Checked>()
}
