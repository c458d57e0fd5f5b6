//! Fails on purpose, one case for each way to fail: the harness must tell them apart. Runs only
//! when asked for by name.

use kernel_demo::ensure_eq;
use kernel_demo::memory::with;
use kernel_demo::testing::{CaseResult, OrFail};
use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

use crate::common::case;

#[case]
fn passes() -> CaseResult {
    Ok(())
}

/// The last one: it is reached only if the suite goes on after all the others.
#[case]
fn unharmed_by_the_others() -> CaseResult {
    Ok(())
}

#[case]
fn assertion() -> CaseResult {
    ensure_eq!(2 + 2, 5);
    Ok(())
}

/// As the suites do it that also run on the host.
#[case]
fn assertion_of_the_host() -> CaseResult {
    assert_eq!(2 + 2, 5, "a sum");
    Ok(())
}

#[case]
fn panic() -> CaseResult {
    panic!("on purpose")
}

#[case]
fn fault() -> CaseResult {
    let pointer = 0x10 as *const u8;
    // SAFETY: it is not, and that is the point: the null page is not mapped.
    let value = unsafe { pointer.read_volatile() };
    ensure_eq!(value, 0);
    Ok(())
}

#[case]
fn leak() -> CaseResult {
    for _ in 0..3 {
        with(|memory| memory.frames().allocate(0)).or_fail("a frame")?;
    }
    Ok(())
}

/// With no exception handlers, the first exception takes the machine down.
#[case]
fn triple_fault() -> CaseResult {
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::new(0) };
    // SAFETY: it is not, and that is the point.
    unsafe { lidt(&nothing) };
    x86_64::instructions::interrupts::int3();
    Ok(())
}

/// Waits for an interrupt that never comes: the processor of the host is for others meanwhile.
#[case]
fn hang() -> CaseResult {
    x86_64::instructions::interrupts::disable();
    loop {
        x86_64::instructions::hlt();
    }
}
