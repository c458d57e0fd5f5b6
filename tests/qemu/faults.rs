//! Faults that nobody can serve: caught, and reported with their cause and what lies there.

use alloc::boxed::Box;
use core::arch::asm;
use core::hint::black_box;

use kernel_demo::address_space::Cause;
use kernel_demo::arch::catch_fault;
use kernel_demo::cpu;
use kernel_demo::memory::layout::BREAK_LIMIT;
use kernel_demo::memory::report::Exception;
use kernel_demo::memory::{Access, BreakId, FaultReport, Policy, with};
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, Failed, OrFail, on_stack};
use kernel_demo::{ensure, ensure_eq, ensure_matches};

use crate::common::case;
use crate::{PAGE, scratch};

fn report(address: u64) -> Result<FaultReport, Failed> {
    probe::read(address).err().or_fail("a fault")
}

#[case]
fn null_page() -> CaseResult {
    for address in [0, 8, PAGE - 1] {
        // SAFETY: nothing is mapped in the lower half.
        let report = unsafe { probe::write(address, 1) }.err().or_fail("a fault")?;
        ensure_eq!(report.cause, Cause::Null);
        ensure_eq!((report.address, report.access), (Some(address), Some(Access::Write)));
        ensure_matches!(report.place, Some([None, None, Some(_)]));
    }
    Ok(())
}

#[case]
fn below_the_heap() -> CaseResult {
    let base = BreakId::KERNEL_HEAP.base();
    // A break has an area while it has a page.
    let held = black_box(Box::new(1_u8));
    let report = report(base - 1)?;
    drop(held);
    ensure_eq!(report.cause, Cause::Unmapped);
    ensure_matches!(report.place, Some([_, None, Some(area)]) if area.start == base && area.name == "kernel heap");
    Ok(())
}

#[case]
fn above_the_break() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(100) }.or_fail("100 bytes")?;
    let report = report(base + PAGE)?;
    ensure_eq!(report.cause, Cause::AboveBreak);
    ensure_eq!(report.access, Some(Access::Read));
    ensure_matches!(report.place, Some([Some(area), None, _]) if area.end == base + PAGE && area.name == raw.name());
    Ok(())
}

#[case]
fn c13_touch_after_shrink() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(3 * PAGE as isize) }.or_fail("three pages")?;
    probe::read(base + 2 * PAGE).or_fail("memory that was granted")?;
    // SAFETY: nobody uses the memory.
    unsafe { raw.sbrk(-2 * PAGE as isize) }.or_fail("a break that moves down")?;
    ensure_eq!(report(base + 2 * PAGE)?.cause, Cause::GivenBack);
    ensure_eq!(report(base + PAGE)?.cause, Cause::GivenBack);
    ensure_eq!(report(base + 3 * PAGE)?.cause, Cause::AboveBreak);
    probe::read(base).or_fail("memory that was kept")?;
    Ok(())
}

#[case]
fn beyond_the_limit() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    let base = raw.info().base;
    // Above the break is what is near, whatever the limit.
    ensure_eq!(report(base)?.cause, Cause::AboveBreak);
    for address in [base + BREAK_LIMIT - 1, base + BREAK_LIMIT] {
        let report = report(address)?;
        ensure_eq!(report.cause, Cause::Unmapped);
        ensure_matches!(report.place, Some([Some(_), None, Some(_)]));
    }
    Ok(())
}

/// Recurses until the stack is used up.
#[inline(never)]
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + frame[(depth % 32) as usize]
}

#[case]
fn stack_overflow_is_the_guard_page_of_that_stack() -> CaseResult {
    let (bounds, overflow) = on_stack(|bounds| {
        // SAFETY: the recursion owns nothing.
        (bounds, unsafe { catch_fault(|| recurse(0)) })
    })
    .or_fail("a stack")?;
    let report = overflow.err().or_fail("a fault")?;
    ensure_eq!(report.exception, Exception::DOUBLE_FAULT);
    ensure_eq!(report.cause, Cause::GuardGap);
    let address = report.address.or_fail("an address")?;
    ensure!(
        (bounds.guard..bounds.bottom).contains(&address),
        "{address:#x} with a guard page at {:#x}",
        bounds.guard
    );
    ensure_matches!(report.place, Some([_, Some(area), _]) if area.name == "borrowed stack" && area.start == bounds.guard && area.end == bounds.bottom);
    Ok(())
}

#[case]
fn stack_overflow_can_happen_again() -> CaseResult {
    for _ in 0..20 {
        stack_overflow_is_the_guard_page_of_that_stack()?;
    }
    Ok(())
}

#[case]
fn overflow_of_a_stack_inside_another() -> CaseResult {
    let names = on_stack(|_| {
        on_stack(|_| {
            // SAFETY: the recursion owns nothing.
            unsafe { catch_fault(|| recurse(0)) }
        })
    });
    let report = names.or_fail("a stack")?.or_fail("a second stack")?.err().or_fail("a fault")?;
    ensure_eq!(report.cause, Cause::GuardGap);
    ensure_matches!(report.place, Some([_, Some(area), _]) if area.name == "borrowed stack");
    Ok(())
}

#[case]
fn not_canonical_is_general_protection() -> CaseResult {
    let report = report(0x8000_0000_0000_0000)?;
    ensure_eq!((report.exception, report.cause), (Exception::GENERAL_PROTECTION, Cause::Exception));
    ensure_eq!((report.address, report.place), (None, None));
    Ok(())
}

fn undefined_instruction() {
    // SAFETY: the instruction does nothing but fault.
    unsafe { asm!("ud2") };
}

#[case]
fn invalid_opcode() -> CaseResult {
    // SAFETY: the function owns nothing.
    let result = unsafe { catch_fault(undefined_instruction) };
    ensure_eq!(result.err().map(|report| report.exception), Some(Exception::INVALID_OPCODE));
    Ok(())
}

/// An exception that does not wait for interrupts to be enabled can come between `swapgs` and the
/// way into or out of ring 3.
#[case]
fn fatal_exceptions_find_their_cpu_whosever_gs_is() -> CaseResult {
    let kernels = || {
        // SAFETY: the handler lets the catcher go on.
        unsafe { asm!("int 2") };
    };
    let programs = || {
        // SAFETY: likewise, with the kernel's GS.
        unsafe { asm!("swapgs", "int 2") };
    };
    for number in [cpu::number(), cpu::number()] {
        // SAFETY: the closures own nothing.
        let reports = unsafe { [catch_fault(kernels), catch_fault(programs)] };
        for report in reports {
            ensure_eq!(report.err().map(|report| report.exception), Some(Exception(2)));
            ensure_eq!(cpu::number(), number);
        }
    }
    Ok(())
}

/// The lock is taken, so the handler must not wait for it.
#[case]
fn fault_in_the_memory_manager_is_not_put_to_it() -> CaseResult {
    let address = BreakId::KERNEL_HEAP.base() - 1;
    let report = with(|_| probe::read(address)).err().or_fail("a fault")?;
    ensure_eq!((report.cause, report.place), (Cause::InsideMemoryManager, None));
    Ok(())
}

#[case]
fn nested_catchers_return_to_the_innermost() -> CaseResult {
    // SAFETY: the closures own nothing.
    let outer = unsafe {
        catch_fault(|| {
            let inner = probe::read(0).is_err();
            (inner, probe::read(8).is_err(), 7)
        })
    };
    ensure_eq!(outer, Ok((true, true, 7)));
    // SAFETY: as above.
    let outer = unsafe {
        catch_fault(|| {
            let inner = probe::read(0).is_err();
            undefined_instruction();
            inner
        })
    };
    ensure_eq!(outer.map_err(|report| report.exception), Err(Exception::INVALID_OPCODE));
    Ok(())
}

#[case]
fn no_fault_returns_the_value() -> CaseResult {
    // SAFETY: nothing faults.
    let value = unsafe { catch_fault(|| alloc::vec![1, 2, 3]) };
    ensure_eq!(value, Ok(alloc::vec![1, 2, 3]));
    Ok(())
}

#[case]
fn report_is_readable() -> CaseResult {
    let text = alloc::format!("{:#}", report(16)?);
    let first = text.lines().next();
    ensure!(
        first.is_some_and(
            |line| line.starts_with("page fault: null pointer, read of 0x0000000000000010 by ")
        ),
        "{text}"
    );
    ensure!(text.lines().skip(1).all(|line| line.starts_with("  ")), "{text}");
    ensure!(text.contains("(the lower half is for processes)"), "{text}");
    Ok(())
}

#[case]
fn a_spurious_interrupt_returns() -> CaseResult {
    // SAFETY: the handler of this interrupt returns to what was interrupted.
    unsafe { asm!("int 255") };
    Ok(())
}
