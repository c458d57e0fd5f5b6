//! The kernel's own page tables.

use kernel_demo::address_space::{AreaKind, Cause, Vma};
use kernel_demo::boot::paging::{BOOT_MARK, LOW_ADDRESS};
use kernel_demo::boot::takeover;
use kernel_demo::memory::layout::{HIGHER_HALF, PAGE_SIZE, PHYSICAL_MEMORY};
use kernel_demo::memory::{Permissions, Policy, with};
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq, ensure_matches};
use x86_64::structures::paging::PageTableFlags;

use crate::common::case;
use crate::scratch;

#[case]
fn lower_half_is_empty() -> CaseResult {
    let used = with(|memory| {
        memory.tables().root_table().iter().take(256).filter(|entry| !entry.is_unused()).count()
    });
    ensure_eq!(used, 0);
    ensure!(takeover().lower_half_entries > 0, "the bootloader's lower half was empty, too");
    Ok(())
}

#[case]
fn c18_low_address_worked_before_and_faults_now() -> CaseResult {
    ensure_eq!(takeover().low_translation, Some(LOW_ADDRESS));
    ensure_eq!(takeover().low_value, Some(BOOT_MARK));
    ensure_eq!(with(|memory| memory.tables().translate(LOW_ADDRESS)), None);
    let report = probe::read(LOW_ADDRESS).err().or_fail("a fault")?;
    ensure_eq!(report.cause, Cause::Unmapped);
    ensure_eq!(report.address, Some(LOW_ADDRESS));
    ensure!(report.address < Some(HIGHER_HALF));
    Ok(())
}

/// Every page of every area that is always mapped.
#[case]
fn fixed_regions_are_mapped_with_their_permissions() -> CaseResult {
    for index in 0.. {
        let Some(region) = with(|memory| memory.areas().get(index).copied()) else {
            break;
        };
        if !matches!(region.kind, AreaKind::Fixed | AreaKind::Mapping) {
            continue;
        }
        for page in (region.start..region.end).step_by(PAGE_SIZE as usize) {
            let there = with(|memory| memory.tables().translate(page)).or_fail("a mapped page")?;
            let write = there.flags.contains(PageTableFlags::WRITABLE);
            let execute = !there.flags.contains(PageTableFlags::NO_EXECUTE);
            ensure_eq!(write, region.permissions.contains(Permissions::WRITE));
            ensure_eq!(execute, region.permissions.contains(Permissions::EXECUTE));
            ensure!(!(write && execute), "{page:#x} in {region}");
        }
    }
    Ok(())
}

/// The area of that name.
fn region(name: &str) -> Option<Vma> {
    with(|memory| memory.areas().iter().find(|region| region.name == name).copied())
}

#[case]
fn write_to_rodata_is_reported() -> CaseResult {
    static CONSTANT: u8 = 42;
    let address = &raw const CONSTANT as u64;
    // SAFETY: the byte is constant, so it is in read-only memory; the same value would do no harm.
    let report = unsafe { probe::write(address, 42) }.err().or_fail("a fault")?;
    ensure_eq!(report.cause, Cause::WriteToReadOnly);
    ensure_eq!(report.address, Some(address));
    Ok(())
}

#[case]
fn write_to_text_is_reported() -> CaseResult {
    let text = region("kernel text").or_fail("a text region")?;
    let found = probe::read(text.start).or_fail("text can be read")?;
    // SAFETY: the byte would stay what it is.
    let report = unsafe { probe::write(text.start, found) }.err().or_fail("a fault")?;
    ensure_eq!(report.cause, Cause::WriteToReadOnly);
    Ok(())
}

const RETURN: u8 = 0xC3;

#[case]
fn execution_of_heap_memory_is_reported() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    // SAFETY: growing takes nothing away.
    let page = unsafe { raw.sbrk(PAGE_SIZE as isize) }.or_fail("a page of addresses")?;
    // SAFETY: a mere `ret`, if it is executed at all.
    let untouched =
        unsafe { probe::execute(page) }.err().or_fail("a fault before the first touch")?;
    ensure_eq!(untouched.cause, Cause::ExecuteNoExecute);
    ensure_eq!(raw.info().pages, 0);
    // SAFETY: the break is this case's.
    unsafe { probe::write(page, RETURN) }.or_fail("the page can be written")?;
    // SAFETY: as above.
    let touched = unsafe { probe::execute(page) }.err().or_fail("a fault after the first touch")?;
    ensure_eq!(touched.cause, Cause::ExecuteNoExecute);
    ensure_eq!(touched.registers.rip, page);
    Ok(())
}

#[case]
fn execution_of_physical_memory_is_reported() -> CaseResult {
    ensure!(takeover().physical_memory_executable, "the bootloader's map was not executable");
    let frame = with(|memory| memory.frames().allocate(0)).or_fail("a frame")?;
    let address = PHYSICAL_MEMORY + frame.start_address().as_u64();
    // SAFETY: the frame is this case's.
    let written = unsafe { probe::write(address, RETURN) };
    // SAFETY: a mere `ret`, if it is executed at all.
    let executed = unsafe { probe::execute(address) };
    with(|memory| memory.frames().free(frame, 0)).or_fail("a frame that can be freed")?;
    written.or_fail("physical memory can be written")?;
    ensure_matches!(executed.map_err(|report| report.cause), Err(Cause::ExecuteNoExecute));
    Ok(())
}
