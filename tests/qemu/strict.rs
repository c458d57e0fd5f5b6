//! When frames run out: refused at the move under the strict policy, reported at the touch under
//! overcommit.

use alloc::vec::Vec;

use kernel_demo::address_space::{Cause, MoveError};
use kernel_demo::memory::{FaultReport, OutOfFrames, Policy};
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, Failed, OrFail};
use kernel_demo::{ensure, ensure_eq, ensure_matches};

use crate::common::case;
use crate::{GIB, MIB, PAGE, cost, counts, scratch};

/// More than any machine has that runs this suite, and as much as a break may grant.
const TOO_MUCH: isize = 64 * GIB;

#[case]
fn reserves_what_a_full_region_can_need() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    let before = counts();
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(5 * MIB) }.or_fail("5 MiB")?;
    let whole = cost(base, base + 5 * MIB as u64);
    ensure_eq!(counts().reserved - before.reserved, whole);
    probe::read(base).or_fail("memory that was granted")?;
    ensure_eq!(raw.info().reserved, whole - 4);
    // SAFETY: nobody uses the memory.
    unsafe { raw.sbrk(-5 * MIB) }.or_fail("a break that moves down")?;
    ensure_eq!(counts(), before);
    Ok(())
}

#[case]
fn refuses_what_cannot_be_backed() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    let (info, before) = (raw.info(), counts());
    let asked = cost(info.base, info.base + TOO_MUCH as u64);
    let available = before.available();
    // SAFETY: growing takes nothing away.
    let refused = unsafe { raw.sbrk(TOO_MUCH) };
    ensure_eq!(
        refused,
        Err(MoveError::OutOfFrames(OutOfFrames { asked, available, injected: false }))
    );
    ensure_eq!(raw.info(), info);
    ensure_eq!(counts(), before);
    Ok(())
}

/// Touches one page after the other of a break that granted too much, until no frame is left.
/// Returns the report.
fn use_up_all_frames(base: u64) -> Result<FaultReport, Failed> {
    (base..base + TOO_MUCH as u64)
        .step_by(PAGE as usize)
        .find_map(|page| probe::read(page).err())
        .or_fail("out of frames at last")
}

#[case]
fn touch_cannot_fail_even_when_all_else_is_taken() -> CaseResult {
    let (_strict, strict) = scratch(Policy::Strict)?;
    let (_greedy, greedy) = scratch(Policy::Overcommit)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { strict.sbrk(MIB) }.or_fail("1 MiB")?;
    // SAFETY: as above.
    let elsewhere = unsafe { greedy.sbrk(TOO_MUCH) }.or_fail("64 GiB of addresses")?;
    use_up_all_frames(elsewhere)?;
    ensure_eq!(counts().available(), 0);
    for page in (base..base + MIB as u64).step_by(PAGE as usize) {
        // SAFETY: the byte was granted to this case.
        unsafe { probe::write(page, 1) }.or_fail("a touch that cannot fail")?;
    }
    ensure_eq!(strict.info().reserved, 0);
    Ok(())
}

#[case]
fn overcommit_grants_more_than_there_is_and_reports_the_touch() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Overcommit)?;
    let before = counts();
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(TOO_MUCH) }.or_fail("64 GiB of addresses")?;
    let report = use_up_all_frames(base)?;
    let info = raw.info();
    ensure_eq!(
        report.cause,
        Cause::OutOfFrames(OutOfFrames { asked: 1, available: 0, injected: false })
    );
    ensure_eq!(report.address, Some(base + info.pages as u64 * PAGE));
    ensure_matches!(report.place, Some([_, Some(area), _]) if area.name == raw.name());
    ensure_eq!(info.pages + info.tables, before.available());
    // SAFETY: nobody uses the memory.
    unsafe { raw.sbrk(-TOO_MUCH) }.or_fail("a break that moves down")?;
    ensure_eq!(counts(), before);
    Ok(())
}

#[case]
fn kernel_heap_refuses_and_the_kernel_goes_on() -> CaseResult {
    let before = counts();
    let mut vector = Vec::<u8>::new();
    ensure!(
        vector.try_reserve_exact(TOO_MUCH as usize).is_err(),
        "64 GiB on a machine of {before}"
    );
    ensure_eq!(counts().reserved, before.reserved);
    vector.try_reserve_exact(PAGE as usize).or_fail("a page")?;
    vector.resize(PAGE as usize, 7);
    ensure_eq!(vector.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 7 * PAGE);
    Ok(())
}
