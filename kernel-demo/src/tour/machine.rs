//! What the kernel stands on: physical addresses, and pages.

use crate::address_space::Cause;
use crate::boot::paging::{BOOT_MARK, LOW_ADDRESS};
use crate::boot::takeover;
use crate::evidence::{Evidence, Shown};
use crate::memory::PhysicalMap;
use crate::memory::layout::PAGE_SIZE;
use crate::memory::with;
use crate::testing::probe;

use super::watch::{Bytes, Watch};

/// The end of the boot sector, where the PC's firmware put it: mapped one to one by the bootloader,
/// and by nobody afterwards.
pub fn physical_addresses(evidence: &mut Evidence<'_>) -> Shown {
    let before = takeover();
    let mapped = before.low_translation.ok_or("the bootloader maps nothing there");
    let mapped = evidence.need("translation of the address by the bootloader's tables", mapped)?;
    let value = evidence.need("value found there at boot", before.low_value.ok_or("not read"))?;
    evidence.say(format_args!(
        "The firmware put the boot sector at 0x7c00; its last word, at {LOW_ADDRESS:#x}, is its mark."
    ));
    evidence.expect_hex("before: what the address translates to", LOW_ADDRESS, mapped);
    evidence.expect_hex(
        "before: the word read there, through the address itself",
        BOOT_MARK.into(),
        value.into(),
    );

    let root = with(|memory| memory.tables().root().start_address().as_u64());
    evidence.say(format_args!("Now the processor uses the kernel's page tables, at {root:#x}."));
    let lower_half = with(|memory| {
        memory.tables().root_table().iter().take(256).filter(|entry| !entry.is_unused()).count()
    });
    evidence.expect_at_least(
        "before: entries of the top page table for the lower half",
        1,
        before.lower_half_entries,
    );
    evidence.expect("after: entries of the top page table for the lower half", 0, lower_half);
    let touched = probe::read(LOW_ADDRESS);
    let report =
        evidence.need("a fault when the address is touched", touched.map_or_else(Ok, Err))?;
    evidence.say(format_args!("The same address is touched again, and faults."));
    evidence.show(format_args!("{report}"));
    evidence.expect("after: what lies at the address", Cause::Unmapped, report.cause);
    let by_map = PhysicalMap::address(LOW_ADDRESS);
    evidence
        .say(format_args!("The memory is still there; the kernel has it mapped at {by_map:#x}."));
    let [low, high] = [probe::read(by_map), probe::read(by_map + 1)].map(|byte| byte.unwrap_or(0));
    evidence.expect_hex(
        "the word read there now",
        value.into(),
        u16::from_le_bytes([low, high]).into(),
    );
    Ok(())
}

pub fn pages(evidence: &mut Evidence<'_>) -> Shown {
    let counts = with(|memory| memory.counts());
    let watch = Watch::start();
    let frame = evidence.need("a frame", with(|memory| memory.frames().allocate(0)))?;
    let address = frame.start_address().as_u64();
    evidence.say(format_args!(
        "All memory is cut into frames of one page, and the kernel takes one of the free ones."
    ));
    evidence.show(format_args!(
        "{} frames of {}, {} of them free",
        counts.total,
        Bytes(PAGE_SIZE),
        counts.free
    ));
    evidence.show(format_args!("the page allocator hands out the frame at {address:#x}"));
    evidence.expect("its address, modulo the page size", 0, address % PAGE_SIZE);
    evidence.expect("frames fewer that are free", 1, watch.frames());
    let returned = with(|memory| memory.frames().free(frame, 0));
    let again = with(|memory| memory.frames().free(frame, 0));
    evidence.say(format_args!(
        "The kernel returns the frame, and then once more, by mistake: the page allocator refuses that."
    ));
    evidence.expect_that("the first return is accepted", returned.is_ok());
    if let Err(error) = &again {
        evidence.show(format_args!("the answer to the second one: {error:x?}"));
    }
    evidence.expect_that("the second return is refused", again.is_err());
    evidence.ensure("frames fewer that are free", 0, watch.frames());
    Ok(())
}
