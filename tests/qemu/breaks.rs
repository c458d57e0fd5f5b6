//! Moving a break, and touching what it grants.

use brkalloc::Break;
use kernel_demo::address_space::{Cause, MoveError};
use kernel_demo::memory::Policy;
use kernel_demo::memory::kernel_break::KernelBreak;
use kernel_demo::memory::layout::BREAK_LIMIT;
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq, ensure_matches};

use crate::common::case;
use crate::{GIB, MIB, PAGE, cost, counts, scratch};

#[case]
fn c11_sbrk_reports_and_moves_by_bytes() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    let base = raw.position();
    for (step, from) in [
        (1, 0),
        (4095, 1),
        (1, 4096),
        (100_000, 4097),
        (-50_000, 104_097),
        (-54_097, 54_097),
        (0, 0),
    ] {
        // SAFETY: nobody uses the memory.
        let old = unsafe { raw.sbrk(step) };
        ensure_eq!(old, Ok(base + from));
        ensure_eq!(raw.position(), base.wrapping_add(from).wrapping_add_signed(step as i64));
    }
    Ok(())
}

#[case]
fn c11_sbrk_error_changes_nothing() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Overcommit)?;
    // SAFETY: growing takes nothing away.
    unsafe { raw.sbrk(3 * PAGE as isize + 5) }.or_fail("three pages and a bit")?;
    probe::read(raw.position() - 1).or_fail("a first touch")?;
    let (info, before) = (raw.info(), counts());
    let below = -(3 * PAGE as isize + 6);
    for (step, error) in [
        (below, MoveError::BelowBase),
        (isize::MIN, MoveError::BelowBase),
        (BREAK_LIMIT as isize, MoveError::BeyondLimit),
        (isize::MAX, MoveError::BeyondLimit),
    ] {
        // SAFETY: the step is refused.
        ensure_eq!(unsafe { raw.sbrk(step) }, Err(error));
        ensure_eq!(raw.info(), info);
        ensure_eq!(counts(), before);
    }
    Ok(())
}

#[case]
fn c12_growing_takes_no_frame() -> CaseResult {
    for policy in [Policy::Strict, Policy::Overcommit] {
        let (_scratch, raw) = scratch(policy)?;
        let before = counts();
        // SAFETY: growing takes nothing away.
        unsafe { raw.sbrk(8 * MIB) }.or_fail("8 MiB of addresses")?;
        ensure_eq!(counts().used(), before.used());
        ensure_eq!(raw.info().pages, 0);
    }
    Ok(())
}

#[case]
fn c12_first_touch_takes_a_page_and_its_tables() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Overcommit)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(2 * GIB) }.or_fail("2 GiB of addresses")?;
    // A page, and as many tables as are not there yet: of levels 3, 2 and 1; none; none; of level
    // 1; of levels 2 and 1.
    for (at, frames) in [(0, 4), (1, 0), (PAGE, 1), (2 * MIB as u64, 2), (GIB as u64, 3)] {
        let before = counts().used();
        ensure_eq!(probe::read(base + at).or_fail("memory that was granted")?, 0);
        ensure_eq!(counts().used() - before, frames);
    }
    let info = raw.info();
    ensure_eq!((info.pages, info.tables, info.faults), (4, 6, 4));
    Ok(())
}

#[case]
fn c12_first_touch_reads_zero_even_in_used_frames() -> CaseResult {
    const PAGES: u64 = 64;
    for value in [0xFF, 0xAA] {
        let (_scratch, raw) = scratch(Policy::Strict)?;
        // SAFETY: growing takes nothing away.
        let base = unsafe { raw.sbrk((PAGES * PAGE) as isize) }.or_fail("64 pages of addresses")?;
        for address in base..base + PAGES * PAGE {
            let pointer = address as *mut u8;
            // SAFETY: the byte was granted to this case.
            let found = unsafe { pointer.read() };
            ensure!(found == 0, "{found:#x} at {address:#x}");
            // SAFETY: as above.
            unsafe { pointer.write(value) };
        }
    }
    Ok(())
}

#[case]
fn c13_shrinking_gives_pages_and_tables_back() -> CaseResult {
    for policy in [Policy::Strict, Policy::Overcommit] {
        let (_scratch, raw) = scratch(policy)?;
        let before = counts();
        // SAFETY: growing takes nothing away.
        let base = unsafe { raw.sbrk(6 * MIB) }.or_fail("6 MiB of addresses")?;
        for page in (base..base + 6 * MIB as u64).step_by(PAGE as usize) {
            probe::read(page).or_fail("memory that was granted")?;
        }
        ensure_eq!(counts().used() - before.used(), cost(base, base + 6 * MIB as u64));
        // SAFETY: nobody uses the memory.
        unsafe { raw.sbrk(-4 * MIB) }.or_fail("a break that moves down")?;
        ensure_eq!(counts().used() - before.used(), cost(base, base + 2 * MIB as u64));
        // SAFETY: as above.
        unsafe { raw.sbrk(-2 * MIB) }.or_fail("a break that moves down")?;
        ensure_eq!(counts(), before);
    }
    Ok(())
}

#[case]
fn c13_bytes_above_the_break_come_back_as_zero() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(300) }.or_fail("300 bytes")?;
    for address in base..base + 300 {
        // SAFETY: the byte was granted to this case.
        unsafe { probe::write(address, 9) }.or_fail("memory that was granted")?;
    }
    // SAFETY: nobody uses the memory.
    unsafe { raw.sbrk(-200) }.or_fail("a break that moves down")?;
    // SAFETY: growing takes nothing away.
    unsafe { raw.sbrk(200) }.or_fail("a break that moves up")?;
    for (offset, expected) in [(0, 9), (99, 9), (100, 0), (299, 0)] {
        ensure_eq!(
            (offset, probe::read(base + offset).or_fail("memory that was granted")?),
            (offset, expected)
        );
    }
    Ok(())
}

#[case]
fn c14_somebody_else_may_move_the_break() -> CaseResult {
    let (mut scratch, other) = scratch(Policy::Strict)?;
    let ours = scratch.grow(4096).or_fail("a page")?.cast::<u8>().as_ptr() as u64;
    // SAFETY: growing takes nothing away.
    let theirs = unsafe { other.sbrk(100) }.or_fail("100 bytes for somebody else")?;
    let next = scratch.grow(4096).or_fail("another page")?.cast::<u8>().as_ptr() as u64;
    ensure_eq!([theirs, next], [ours + 4096, ours + 4196]);
    ensure_eq!(scratch.end() as u64, ours + 8292);
    Ok(())
}

#[case]
fn limit_is_64_gib() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Overcommit)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(64 * GIB) }.or_fail("64 GiB of addresses")?;
    // SAFETY: as above.
    ensure_eq!(unsafe { raw.sbrk(1) }, Err(MoveError::BeyondLimit));
    let last = base + 64 * GIB as u64 - 1;
    // SAFETY: the byte was granted to this case.
    unsafe { probe::write(last, 7) }.or_fail("the last byte is there")?;
    ensure_eq!(probe::read(last).or_fail("the last byte is there")?, 7);
    ensure_matches!(probe::read(last + 1).map_err(|report| report.cause), Err(Cause::AboveBreak));
    ensure_eq!((raw.info().pages, raw.info().tables), (1, 3));
    Ok(())
}

#[case]
fn one_gib_touched_sparsely() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Overcommit)?;
    let before = counts();
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(GIB) }.or_fail("1 GiB of addresses")?;
    let places = || (base..base + GIB as u64).step_by(MIB as usize).zip(1_u64..);
    for (address, number) in places() {
        // SAFETY: the word was granted to this case.
        unsafe { (address as *mut u64).write(number) };
    }
    for (address, number) in places() {
        // SAFETY: as above.
        ensure_eq!(unsafe { (address as *const u64).read() }, number);
    }
    // 1024 pages, two in each of 512 level-1 tables, one table each of levels 2 and 3.
    ensure_eq!(counts().used() - before.used(), 1024 + 512 + 1 + 1);
    Ok(())
}

#[case]
fn all_breaks_at_once() -> CaseResult {
    let breaks: [_; 15] = core::array::from_fn(|_| scratch(Policy::Strict));
    for (number, brk) in (1_u8..).zip(&breaks) {
        let (_, raw) = brk.as_ref().or_fail("a break that nobody uses")?;
        // SAFETY: growing takes nothing away.
        let start = unsafe { raw.sbrk(10) }.or_fail("10 bytes")?;
        // SAFETY: the byte was granted to this case.
        unsafe { probe::write(start, number) }.or_fail("memory that was granted")?;
    }
    ensure!(KernelBreak::claim(Policy::Strict).is_none(), "a sixteenth break");
    for (number, brk) in (1_u8..).zip(breaks) {
        let (_scratch, raw) = brk?;
        ensure_eq!(probe::read(raw.position() - 10).or_fail("memory that was granted")?, number);
    }
    Ok(())
}
