//! What programs keep across a stop, and what of theirs does not reach the kernel.

use kernel_demo::memory::{Registers, Stop};
use kernel_demo::testing::CaseResult;
use kernel_demo::{ensure, ensure_eq, ensure_matches};
use x86_64::registers::rflags::{self, RFlags};

use super::{Program, TEXT, exception, program};

use crate::common::case;

/// A different number in each register that is not special.
fn distinct() -> Registers {
    let number = |n: u64| n << 56 | n << 28 | n;
    Registers {
        rax: number(1),
        rbx: number(2),
        rcx: number(3),
        rdx: number(4),
        rsi: number(5),
        rdi: number(6),
        rbp: number(7),
        rsp: number(8),
        r8: number(9),
        r9: number(10),
        r10: number(11),
        r11: number(12),
        r12: number(13),
        r13: number(14),
        r14: number(15),
        r15: number(16),
        rip: TEXT,
        rflags: 0x202,
        fs_base: number(17) >> 17,
    }
}

#[case]
fn all_registers_are_kept_across_an_exception() -> CaseResult {
    let mut program = Program::new(program!("ud2"))?;
    program.registers = distinct();
    for _ in 0..3 {
        ensure_eq!(program.run(), exception(6, 0));
        ensure_eq!(program.registers, distinct());
    }
    Ok(())
}

#[case]
fn all_registers_are_kept_across_a_system_call_but_the_two_it_uses() -> CaseResult {
    let mut program = Program::new(program!("syscall", "syscall", "not rcx", "syscall"))?;
    program.registers = distinct();
    for behind in [2, 4, 9] {
        ensure_eq!(program.run(), Stop::SystemCall);
        let rip = TEXT + behind;
        ensure_eq!(
            program.registers,
            Registers { rcx: rip, r11: 0x202 | program.registers.r11 & 0x8D5, rip, ..distinct() }
        );
    }
    Ok(())
}

/// Each program finds its own thread-local storage, also behind a selector that it has loaded.
#[case]
fn fs_begins_where_each_program_says() -> CaseResult {
    let text = program!(
        "mov rax, fs:[0]",
        "xor ebx, ebx",
        "mov fs, ebx",
        "syscall",
        "mov rbx, fs:[0]",
        "syscall"
    );
    let (mut one, mut other) = (Program::new(text)?, Program::new(text)?);
    one.registers.fs_base = TEXT;
    other.registers.fs_base = TEXT + 8;
    for _ in 0..2 {
        ensure_eq!((one.run(), other.run()), (Stop::SystemCall, Stop::SystemCall));
    }
    for program in [&one, &other] {
        let Registers { rax, rbx, .. } = program.registers;
        ensure_eq!(rax, rbx);
    }
    ensure!(one.registers.rax != other.registers.rax);
    Ok(())
}

#[case]
fn flags_are_the_programs_as_far_as_they_are_its_business() -> CaseResult {
    let mut program = Program::new(program!("ud2"))?;
    let trap = RFlags::TRAP_FLAG.bits();
    program.registers.rflags = !trap;
    ensure_eq!(program.run(), exception(6, 0));
    let kept = RFlags::from_bits_truncate(program.registers.rflags);
    ensure!(kept.contains(
        RFlags::INTERRUPT_FLAG
            | RFlags::CARRY_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
    ));
    ensure!(!kept.intersects(
        RFlags::IOPL_LOW | RFlags::IOPL_HIGH | RFlags::NESTED_TASK | RFlags::VIRTUAL_8086_MODE
    ));
    program.registers.rflags = 0;
    ensure_eq!(program.run(), exception(6, 0));
    ensure_eq!(
        RFlags::from_bits_truncate(program.registers.rflags) - RFlags::RESUME_FLAG,
        RFlags::INTERRUPT_FLAG
    );
    Ok(())
}

#[case]
fn flags_of_the_program_do_not_reach_the_kernel() -> CaseResult {
    for text in [program!("push rax", "popfq", "syscall"), program!("push rax", "popfq", "ud2")] {
        let mut program = Program::new(text)?;
        program.registers.rax = (RFlags::all() - RFlags::TRAP_FLAG).bits();
        let stop = program.run();
        let kernels = rflags::read();
        ensure_matches!(stop, Stop::SystemCall | Stop::Exception { vector: 6, .. });
        ensure!(
            RFlags::from_bits_truncate(program.registers.rflags)
                .contains(RFlags::DIRECTION_FLAG | RFlags::ALIGNMENT_CHECK)
        );
        let bad = RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK
            | RFlags::INTERRUPT_FLAG;
        ensure!(!kernels.intersects(bad), "{kernels:?}");
        let again = program.run();
        ensure_matches!(again, Stop::Exception { vector: 3 | 6, .. });
    }
    Ok(())
}

#[case]
fn single_steps_come_one_by_one() -> CaseResult {
    let mut program = Program::new(program!("nop", "syscall", "nop", "nop"))?;
    let step = |program: &mut Program| {
        program.registers.rflags |= RFlags::TRAP_FLAG.bits();
        (program.run(), program.registers.rip - TEXT)
    };
    ensure_eq!(step(&mut program), (exception(1, 0), 1));
    ensure_eq!(step(&mut program), (Stop::SystemCall, 3));
    ensure_eq!(step(&mut program), (exception(1, 0), 4));
    ensure_eq!(step(&mut program), (exception(1, 0), 5));
    Ok(())
}

#[case]
fn selectors_of_one_program_do_not_reach_the_next() -> CaseResult {
    let set = program!(
        "mov eax, 0x1B",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "mov gs, eax",
        "syscall"
    );
    let read = program!("mov ax, ds", "mov bx, es", "mov dx, fs", "mov si, gs", "syscall");
    for stop in [true, false] {
        let mut first = Program::new(set)?;
        ensure_eq!(first.run(), Stop::SystemCall);
        let mut second = Program::new(read)?;
        // Both ways into ring 3: by `sysretq`, and by `iretq`.
        (second.registers.rcx, second.registers.r11) = if stop { (TEXT, 0x202) } else { (0, 0) };
        ensure_eq!(second.run(), Stop::SystemCall);
        let Registers { rax, rbx, rdx, rsi, .. } = second.registers;
        ensure_eq!([rax, rbx, rdx, rsi].map(|register| register & 0xFFFF), [0; 4]);
    }
    Ok(())
}
