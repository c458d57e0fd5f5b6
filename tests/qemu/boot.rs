//! The kernel came up as it should.

use core::arch::asm;

use kernel_demo::address_space::AreaKind;
use kernel_demo::boot::bootloader::bootinfo::MemoryRegionType;
use kernel_demo::boot::registers::ControlRegisters;
use kernel_demo::boot::{boot_info, takeover};
use kernel_demo::memory;
use kernel_demo::memory::layout::PAGE_SIZE;
use kernel_demo::testing::interrupts::breakpoints;
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;
use crate::counts;

/// Every usable frame, and every frame that the bootloader used for itself, but those of the
/// frame table and of the boot sector.
#[case]
fn memory_of_the_bootloader_is_managed() -> CaseResult {
    use MemoryRegionType::{Bootloader, KernelStack, PageTable, Usable};
    let ours = |kind| matches!(kind, Usable | Bootloader | KernelStack | PageTable);
    let regions = boot_info().memory_map.iter().filter(|region| ours(region.region_type));
    let frames: u64 = regions
        .map(|region| (region.range.end_addr() - region.range.start_addr()) / PAGE_SIZE)
        .sum();
    let total = counts().total as u64;
    ensure!(total < frames, "{total} of {frames} frames managed: the table takes some");
    ensure!(
        total > frames - frames / 200,
        "{total} of {frames} frames managed: the table takes half a percent at most"
    );
    Ok(())
}

#[case]
fn protections_are_on() -> CaseResult {
    let now = ControlRegisters::read();
    let text = alloc::format!("{now}");
    ensure!(text.ends_with("paging on, write protection on, no-execute on"), "{text}");
    ensure!(now.cr3 != takeover().registers.cr3, "still on the bootloader's page tables");
    Ok(())
}

#[case]
fn runs_on_its_own_stack() -> CaseResult {
    let local = 0_u8;
    let [below, there, _] = memory::with(|memory| memory.around(&raw const local as u64));
    let there = there.or_fail("an area")?;
    ensure_eq!((there.kind, there.name), (AreaKind::Mapping, "main stack"));
    ensure_eq!(below.map(|guard| (guard.kind, guard.end)), Some((AreaKind::Guard, there.start)));
    Ok(())
}

#[case]
fn breakpoint_returns() -> CaseResult {
    let before = breakpoints();
    // SAFETY: the handler counts and returns.
    unsafe { asm!("int3") };
    ensure_eq!(breakpoints(), before + 1);
    Ok(())
}
