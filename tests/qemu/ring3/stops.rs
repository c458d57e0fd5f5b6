//! How programs stop for the kernel.

use kernel_demo::address_space::Decision;
use kernel_demo::arch::timer::Ticking;
use kernel_demo::memory::layout::{LOWER_HALF_END, PHYSICAL_MEMORY};
use kernel_demo::memory::{Access, Registers, Stop};
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq, ensure_matches};

use super::{DATA, Program, RW, RX, TEXT, exception, page_fault, program};
use crate::PAGE;
use crate::common::case;

#[case]
fn a_system_call_stops_the_program_and_goes_on_behind_it() -> CaseResult {
    let mut program =
        Program::new(program!("mov eax, 39", "mov edi, 7", "syscall", "mov rbx, rax", "syscall"))?;
    ensure_eq!(program.run(), Stop::SystemCall);
    let Registers { rax, rdi, rcx, rip, .. } = program.registers;
    ensure_eq!((rax, rdi, rip), (39, 7, TEXT + 12));
    ensure_eq!(rcx, rip);
    program.registers.rax = 0x1234_5678_9ABC_DEF0;
    ensure_eq!(program.run(), Stop::SystemCall);
    ensure_eq!(program.registers.rbx, 0x1234_5678_9ABC_DEF0);
    Ok(())
}

#[case]
fn page_faults_say_what_was_done_and_the_instruction_runs_again() -> CaseResult {
    let text = program!("mov rax, [rdi]", "mov [rsi], rax", "jmp rdx");
    let (mut program, rip) = (Program::new(text)?, TEXT);
    (program.registers.rdi, program.registers.rsi, program.registers.rdx) =
        (0x60_0008, 0x61_0010, 0x62_0000);
    ensure_eq!(program.run(), page_fault(0x60_0008, Access::Read));
    ensure_eq!(program.registers.rip, rip);
    program.pages.apply(0x60_0000, Decision::MapZeroPage, RW).or_fail("the zero page")?;
    ensure_eq!(program.run(), page_fault(0x61_0010, Access::Write));
    ensure_eq!((program.registers.rip, program.registers.rax), (rip + 3, 0));
    program.pages.apply(0x61_0000, Decision::MapZeroPage, RW).or_fail("the zero page")?;
    ensure_eq!(program.run(), page_fault(0x61_0010, Access::Write));
    program.pages.apply(0x61_0000, Decision::MapZeroed, RW).or_fail("a frame")?;
    ensure_eq!(program.run(), page_fault(0x62_0000, Access::Execute));
    program.registers.rip = DATA;
    ensure_eq!(program.run(), page_fault(DATA, Access::Execute));
    program.registers = Registers { rip: TEXT, rdi: 0, ..program.registers };
    ensure_eq!(program.run(), page_fault(0, Access::Read));
    program.registers = Registers { rip: TEXT + 3, rsi: TEXT, ..program.registers };
    ensure_eq!(program.run(), page_fault(TEXT, Access::Write));
    Ok(())
}

#[case]
fn other_exceptions_come_with_vector_and_error_code() -> CaseResult {
    let stop =
        |text| Program::new(text).map(|mut program| (program.run(), program.registers.rip - TEXT));
    ensure_eq!(stop(program!("xor ecx, ecx", "div ecx"))?, (exception(0, 0), 2));
    ensure_eq!(stop(program!("nop", "int3"))?, (exception(3, 0), 2));
    ensure_eq!(stop(program!("ud2"))?, (exception(6, 0), 0));
    // Gates that are not there, or not for programs. QEMU's error code for them is not the
    // processor's.
    ensure_matches!(stop(program!("int 0x80"))?, (Stop::Exception { vector: 13, .. }, 0));
    ensure_matches!(stop(program!("int 32"))?, (Stop::Exception { vector: 13, .. }, 0));
    ensure_matches!(
        stop(program!("mov rsp, 0x800000000000", "pop rax"))?,
        (Stop::Exception { vector: 12 | 13, error: 0 }, 10)
    );
    Ok(())
}

#[case]
fn what_only_the_kernel_may_do_is_an_exception() -> CaseResult {
    for text in [
        program!("hlt"),
        program!("cli"),
        program!("in al, 0x40"),
        program!("out 0xF4, al"),
        program!("mov rax, cr3"),
        program!("mov cr3, rax"),
        program!("rdmsr"),
        program!("wrmsr"),
        program!("lgdt [rsp]"),
        program!("invlpg [rsp]"),
        program!("mov ax, 8", "mov ss, ax"),
    ] {
        let mut program = Program::new(text)?;
        let stop = program.run();
        ensure_matches!(stop, Stop::Exception { vector: 13, .. });
    }
    Ok(())
}

#[case]
fn floating_point_and_vectors_are_exceptions() -> CaseResult {
    for (text, vector) in [
        (program!("fld1"), 7),
        (program!("xorps xmm0, xmm0"), 6),
        (program!("movq mm0, rax"), 6),
        (program!("vzeroupper"), 6),
    ] {
        ensure_eq!(Program::new(text)?.run(), exception(vector, 0));
    }
    Ok(())
}

#[case]
fn the_timer_stops_an_endless_loop() -> CaseResult {
    let mut program = Program::new(program!("2:", "inc rax", "jmp 2b"))?;
    let ticking = Ticking::every(1000);
    let mut before = 0;
    for _ in 0..20 {
        ensure_eq!(program.run(), Stop::Timer);
        // A tick may have been waiting when the program was entered, but not two.
        if program.registers.rax == before {
            ensure_eq!(program.run(), Stop::Timer);
        }
        ensure!(program.registers.rax > before, "{} after {before}", program.registers.rax);
        before = program.registers.rax;
    }
    drop(ticking);
    Ok(())
}

#[case]
fn without_the_timer_no_tick_comes() -> CaseResult {
    // Long enough for many ticks, if there were any.
    let mut program =
        Program::new(program!("mov ecx, 20000000", "2:", "dec ecx", "jnz 2b", "syscall"))?;
    drop(Ticking::every(100));
    ensure_eq!(program.run(), Stop::SystemCall);
    Ok(())
}

#[case]
fn an_address_that_is_not_canonical_is_not_returned_to() -> CaseResult {
    const LAST: u64 = LOWER_HALF_END - PAGE;
    let mut program = Program::new(program!("jmp rax"))?;
    for rip in [LOWER_HALF_END, 0x1234_5678_9ABC_DEF0, PHYSICAL_MEMORY, u64::MAX] {
        program.registers.rip = rip;
        ensure_eq!(program.run(), exception(13, 0));
        ensure_eq!(program.registers.rip, rip);
    }
    (program.registers.rip, program.registers.rax) = (TEXT, LOWER_HALF_END);
    ensure_eq!(program.run(), exception(13, 0));
    // A system call by the very last instruction: the one behind it has no address.
    program.pages.apply(LAST, Decision::MapZeroed, RX).or_fail("frames")?;
    ensure_eq!(program.pages.load(LOWER_HALF_END - 2, &[0x0F, 0x05]), 2);
    program.registers.rip = LOWER_HALF_END - 2;
    ensure_eq!(program.run(), Stop::SystemCall);
    ensure_eq!(program.registers.rip, LOWER_HALF_END);
    ensure_eq!(program.run(), exception(13, 0));
    // A stack pointer may be anything, as long as nobody uses it.
    program.registers =
        Registers { rip: TEXT, rax: TEXT, rsp: LOWER_HALF_END, ..program.registers };
    let ticking = Ticking::every(1000);
    ensure_eq!(program.run(), Stop::Timer);
    drop(ticking);
    Ok(())
}
