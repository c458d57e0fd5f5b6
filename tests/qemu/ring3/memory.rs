//! The memory of programs: apart from the kernel's and from each other's, and as the page tables
//! say at once.

use alloc::boxed::Box;
use core::arch::x86_64::__cpuid_count;

use kernel_demo::address_space::{Decision, PageState};
use kernel_demo::ensure_eq;
use kernel_demo::heap::HEAP;
use kernel_demo::memory::layout::{PHYSICAL_MEMORY, STACKS};
use kernel_demo::memory::{Access, BreakId, Permissions, Registers, Stop};
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, OrFail, fail_nth};
use x86_64::registers::control::{Cr4, Cr4Flags};

use super::{DATA, Program, RW, STACK_TOP, TEXT, page_fault, program};
use crate::PAGE;
use crate::common::case;

#[case]
fn the_kernels_memory_is_out_of_reach() -> CaseResult {
    let boxed = Box::new(7_u64);
    let on_stack = 7_u64;
    let text = probe::read as *const () as u64;
    let mut program = Program::new(program!("mov al, [rdi]", "mov [rdi], al", "jmp rdi"))?;
    for (address, mapped) in [
        (text, true),
        (&raw const HEAP as u64, true),
        (&raw const on_stack as u64, true),
        (STACKS, false),
        (&raw const *boxed as u64, false),
        (BreakId::KERNEL_HEAP.base(), false),
        (PHYSICAL_MEMORY, false),
    ] {
        ensure_eq!(program.pages.state(address) != PageState::Missing, mapped);
        for (rip, access) in
            [(TEXT, Access::Read), (TEXT + 2, Access::Write), (TEXT + 4, Access::Execute)]
        {
            program.registers = Registers { rip, rdi: address, ..program.registers };
            ensure_eq!(program.run(), page_fault(address, access));
        }
    }
    ensure_eq!(on_stack + *boxed, 14);
    Ok(())
}

/// A byte at the address, read and executed by the kernel on the page tables of the program: the
/// error codes of the faults.
fn tried_by_the_kernel(program: &Program, address: u64) -> (Option<u64>, Option<u64>) {
    let attempts = || {
        let read = probe::read(address).err().map(|report| report.error_code);
        // SAFETY: a mere `ret`, if it is executed at all.
        let execute = unsafe { probe::execute(address) }.err().map(|report| report.error_code);
        (read, execute)
    };
    // SAFETY: the closure touches the address and the stack; a fault that it catches, the kernel's
    // data.
    unsafe { probe::on_tables_of(program.pages.get(), attempts) }
}

#[case]
fn smap_and_smep_keep_the_kernel_from_a_programs_memory() -> CaseResult {
    /// The page is mapped; an instruction was fetched from it.
    const PRESENT: u64 = 1;
    const FETCH: u64 = 16;
    let on = Cr4::read();
    let execution = on.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION);
    let access = on.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION);
    let features = __cpuid_count(7, 0).ebx;
    ensure_eq!((execution, access), (features >> 7 & 1 == 1, features >> 20 & 1 == 1));
    let program = Program::new(program!("ret"))?;
    // Without them, the kernel reads what a program wrote, and executes it.
    let expected = (access.then_some(PRESENT), execution.then_some(PRESENT | FETCH));
    ensure_eq!(tried_by_the_kernel(&program, TEXT), expected);
    // What an instruction of the kernel may not touch, the kernel still reaches: as a frame, by
    // looking it up.
    let mut program = program;
    let mut byte = [0];
    ensure_eq!(program.pages.get_mut().read(TEXT, &mut byte), 1);
    ensure_eq!(byte, [0xC3]);
    ensure_eq!(program.run(), page_fault(STACK_TOP, Access::Read));
    // A page that ring 3 may not use, but ring 0 may, is not guarded: it is the user's bit that
    // these two look at.
    program.pages.protect(TEXT, TEXT + PAGE, Permissions::empty());
    ensure_eq!(tried_by_the_kernel(&program, TEXT).0, None);
    Ok(())
}

#[case]
fn equal_addresses_of_two_programs_are_different_memory() -> CaseResult {
    let text = program!("2:", "mov rbx, [rdi]", "mov [rdi], rax", "syscall", "jmp 2b");
    let mut programs = [Program::new(text)?, Program::new(text)?];
    for round in 0..5 {
        for (number, program) in (1..).zip(&mut programs) {
            (program.registers.rdi, program.registers.rax) = (DATA, 100 * number + round);
            ensure_eq!(program.run(), Stop::SystemCall);
            let before = if round == 0 { 0 } else { 100 * number + round - 1 };
            ensure_eq!(program.registers.rbx, before);
        }
        // The kernel's heap comes and goes meanwhile; processes need not be told.
        drop(alloc::vec![round; 100_000]);
        HEAP.trim(0);
    }
    Ok(())
}

#[case]
fn what_is_protected_or_unmapped_is_so_at_once() -> CaseResult {
    let mut program =
        Program::new(program!("2:", "mov [rdi], rax", "mov rbx, [rdi]", "syscall", "jmp 2b"))?;
    (program.registers.rdi, program.registers.rax) = (DATA, 5);
    ensure_eq!(program.run(), Stop::SystemCall);
    program.pages.protect(DATA, DATA + PAGE, Permissions::READ);
    ensure_eq!(program.run(), page_fault(DATA, Access::Write));
    program.pages.protect(DATA, DATA + PAGE, RW);
    ensure_eq!(program.run(), Stop::SystemCall);
    program.pages.unmap(DATA, DATA + PAGE);
    ensure_eq!(program.run(), page_fault(DATA, Access::Write));
    Ok(())
}

#[case]
fn a_forked_program_writes_to_its_own_copy() -> CaseResult {
    let mut parent =
        Program::new(program!("mov [rdi], rax", "syscall", "mov [rdi], rax", "syscall"))?;
    (parent.registers.rdi, parent.registers.rax) = (DATA, 1);
    ensure_eq!(parent.run(), Stop::SystemCall);
    let pages = parent.pages.fork().or_fail("frames for the child's tables")?;
    let mut child = Program { pages, registers: parent.registers };
    child.registers.rax = 2;
    ensure_eq!(child.run(), page_fault(DATA, Access::Write));
    ensure_eq!(child.pages.state(DATA), PageState::Shared);
    child.pages.apply(DATA, Decision::Copy, RW).or_fail("a frame")?;
    ensure_eq!(child.run(), Stop::SystemCall);
    ensure_eq!((parent.word(DATA)?, child.word(DATA)?), (1, 2));
    parent.registers.rax = 3;
    ensure_eq!(parent.run(), page_fault(DATA, Access::Write));
    ensure_eq!(parent.pages.state(DATA), PageState::Own);
    parent.pages.apply(DATA, Decision::MakeWritable, RW).or_fail("no frame is needed")?;
    ensure_eq!(parent.run(), Stop::SystemCall);
    ensure_eq!((parent.word(DATA)?, child.word(DATA)?), (3, 2));
    Ok(())
}

#[case]
fn a_page_that_may_not_be_read_faults() -> CaseResult {
    let mut program = Program::new(program!("mov rbx, [rdi]", "syscall"))?;
    program.registers.rdi = DATA;
    program.pages.protect(DATA, DATA + PAGE, Permissions::empty());
    ensure_eq!(program.run(), page_fault(DATA, Access::Read));
    ensure_eq!(program.pages.get_mut().read(DATA, &mut [0; 8]), 0);
    program.pages.protect(DATA, DATA + PAGE, Permissions::READ);
    ensure_eq!(program.run(), Stop::SystemCall);
    Ok(())
}

#[case]
fn each_refused_frame_leaves_programs_whole() -> CaseResult {
    let requests = fail_nth(|| {
        let text = program!("mov [rdi], rax", "syscall");
        let Ok(mut parent) = Program::try_new(text) else { return Ok(()) };
        (parent.registers.rdi, parent.registers.rax) = (DATA, 1);
        let child = parent.pages.fork();
        let started = parent.registers;
        if parent.pages.state(DATA) == PageState::Shared {
            ensure_eq!(parent.run(), page_fault(DATA, Access::Write));
            if parent.pages.apply(DATA, Decision::Copy, RW).is_err() {
                parent
                    .pages
                    .apply(DATA, Decision::Copy, RW)
                    .or_fail("a second try that succeeds")?;
            }
        }
        ensure_eq!(parent.run(), Stop::SystemCall);
        if let Ok(pages) = child {
            let mut child = Program { pages, registers: started };
            ensure_eq!(child.word(DATA)?, 0);
            ensure_eq!(child.run(), page_fault(DATA, Access::Write));
        }
        Ok(())
    })?;
    // For the parent a level-4 table, three pages, and tables of levels 3, 2 and 1 for low and high
    // memory; for the child the same without the pages; and a copy.
    ensure_eq!(requests, (1 + 3 + 6) + (1 + 6) + 1);
    Ok(())
}
