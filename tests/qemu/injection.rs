//! Each frame request of a workload fails once; each time the kernel lives, and nothing leaks.

use alloc::vec::Vec;

use kernel_demo::arch::{on_stack, probe};
use kernel_demo::memory::{Cause, MoveError, OutOfFrames, Policy};
use kernel_demo::testing::{Case, CaseResult, OrFail, fail_nth};
use kernel_demo::{cases, ensure_eq, ensure_matches};

use crate::{GIB, MIB, PAGE, scratch};

pub const CASES: &[Case] = cases!("injection":
    overcommit_break_grown_touched_and_shrunk,
    strict_break_grown_touched_and_shrunk,
    stack_of_its_own,
    vector_on_the_kernel_heap,
);

/// Pages far enough from each other to need tables of each level.
const PLACES: [u64; 5] = [0, PAGE, 2 * MIB as u64, GIB as u64, GIB as u64 + 3 * PAGE];

fn overcommit_break_grown_touched_and_shrunk() -> CaseResult {
    let requests = fail_nth(|| {
        let (_scratch, raw) = scratch(Policy::Overcommit)?;
        // SAFETY: growing takes nothing away.
        let base = unsafe { raw.sbrk(2 * GIB) }.or_fail("addresses, which cost nothing")?;
        for place in PLACES {
            let before = raw.info();
            if let Err(report) = probe::read(base + place) {
                ensure_matches!(report.cause, Cause::OutOfFrames(OutOfFrames { injected: true, .. }));
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
                    ensure_matches!(error, MoveError::OutOfFrames(OutOfFrames { injected: true, .. }));
                    ensure_eq!(raw.info(), before);
                }
            }
        }
        Ok(())
    })?;
    ensure_eq!(requests, 12 + 3);
    Ok(())
}

fn stack_of_its_own() -> CaseResult {
    let requests = fail_nth(|| {
        if let Ok(sum) = on_stack(|_| 2 + 2) {
            ensure_eq!(sum, 4);
        }
        Ok(())
    })?;
    ensure_eq!(requests, 32 + 3);
    Ok(())
}

fn vector_on_the_kernel_heap() -> CaseResult {
    let requests = fail_nth(|| {
        let mut vector = Vec::new();
        for number in 0..20_000_u64 {
            if vector.try_reserve(1).is_err() {
                break;
            }
            vector.push(number);
        }
        ensure_eq!(vector.iter().sum::<u64>(), vector.len() as u64 * (vector.len() as u64).saturating_sub(1) / 2);
        Ok(())
    })?;
    ensure_matches!(requests, 40..);
    Ok(())
}
