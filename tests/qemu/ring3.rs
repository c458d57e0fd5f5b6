//! Programs of a few instructions in ring 3: how they stop for the kernel, what they keep, what they cannot do.

use alloc::boxed::Box;
use core::arch::naked_asm;
use core::arch::x86_64::__cpuid_count;

use kernel_demo::address_space::{PageState, PageTables};
use kernel_demo::arch::registers::Guards;
use kernel_demo::arch::timer::Ticking;
use kernel_demo::arch::{probe, user};
use kernel_demo::heap::HEAP;
use kernel_demo::memory::layout::{LOWER_HALF_END, PHYSICAL_MEMORY, STACKS};
use kernel_demo::memory::{Access, BreakId, OutOfFrames, PageFault, Permissions, ProcessPages, Registers, Stop, TheMemory};
use kernel_demo::testing::{Case, CaseResult, Failed, OrFail, fail_nth};
use kernel_demo::{cases, ensure, ensure_eq, ensure_matches};
use x86_64::registers::rflags::{self, RFlags};

use crate::PAGE;

pub const CASES: &[Case] = cases!("ring3":
    a_system_call_stops_the_program_and_goes_on_behind_it,
    page_faults_say_what_was_done_and_the_instruction_runs_again,
    other_exceptions_come_with_vector_and_error_code,
    what_only_the_kernel_may_do_is_an_exception,
    floating_point_and_vectors_are_exceptions,
    all_registers_are_kept_across_an_exception,
    all_registers_are_kept_across_a_system_call_but_the_two_it_uses,
    flags_are_the_programs_as_far_as_they_are_its_business,
    flags_of_the_program_do_not_reach_the_kernel,
    single_steps_come_one_by_one,
    the_timer_stops_an_endless_loop,
    without_the_timer_no_tick_comes,
    an_address_that_is_not_canonical_is_not_returned_to,
    the_kernels_memory_is_out_of_reach,
    smap_and_smep_keep_the_kernel_from_a_programs_memory,
    equal_addresses_of_two_programs_are_different_memory,
    what_is_protected_or_moved_is_so_at_once,
    a_forked_program_writes_to_its_own_copy,
    a_page_that_may_not_be_read_faults,
    each_refused_frame_leaves_programs_whole,
);

const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;
const STACK_TOP: u64 = 0x7FFF_FFFF_F000;
const RX: Permissions = Permissions::READ.union(Permissions::EXECUTE);
const RW: Permissions = Permissions::READ.union(Permissions::WRITE);

/// Bytes of every program.
const LEN: usize = 64;

/// The bytes of a program, filled up with breakpoints. It may be loaded anywhere.
macro_rules! program {
    ($($line:literal),+ $(,)?) => {{
        #[unsafe(naked)]
        extern "C" fn code() {
            naked_asm!("20:", $($line),+, ".fill {len} - (. - 20b), 1, 0xCC", len = const LEN)
        }
        // SAFETY: the function is that long, and text is readable.
        unsafe { &*(code as *const ()).cast::<[u8; LEN]>() }
    }};
}

/// A program with a page of text, one of data, and one of stack.
struct Program {
    pages: ProcessPages,
    registers: Registers,
}

impl Program {
    fn try_new(text: &[u8; LEN]) -> Result<Self, OutOfFrames> {
        let mut pages = ProcessPages::new(TheMemory)?;
        pages.map_zeroed(TEXT, RX)?;
        pages.map_zeroed(DATA, RW)?;
        pages.map_zeroed(STACK_TOP - PAGE, RW)?;
        assert_eq!(pages.load(TEXT, text), LEN, "the page of text is this program's own");
        Ok(Self { pages, registers: Registers { rip: TEXT, rsp: STACK_TOP, ..Registers::default() } })
    }

    fn new(text: &[u8; LEN]) -> Result<Self, Failed> {
        Self::try_new(text).or_fail("frames for a program")
    }

    fn run(&mut self) -> Stop {
        user::run(&mut self.registers, &self.pages)
    }

    /// The word of the program's memory at the address.
    fn word(&mut self, address: u64) -> Result<u64, Failed> {
        let mut bytes = [0; 8];
        ensure_eq!(self.pages.read(address, &mut bytes), 8);
        Ok(u64::from_le_bytes(bytes))
    }
}

fn page_fault(address: u64, access: Access, present: bool) -> Stop {
    Stop::PageFault(PageFault { address, access, present })
}

fn exception(vector: u8, error: u64) -> Stop {
    Stop::Exception { vector, error }
}

fn a_system_call_stops_the_program_and_goes_on_behind_it() -> CaseResult {
    let mut program = Program::new(program!("mov eax, 39", "mov edi, 7", "syscall", "mov rbx, rax", "syscall"))?;
    ensure_eq!(program.run(), Stop::SystemCall);
    let Registers { rax, rdi, rcx, rip, .. } = program.registers;
    ensure_eq!((rax, rdi, rip), (39, 7, TEXT + 12));
    ensure_eq!(rcx, rip);
    program.registers.rax = 0x1234_5678_9ABC_DEF0;
    ensure_eq!(program.run(), Stop::SystemCall);
    ensure_eq!(program.registers.rbx, 0x1234_5678_9ABC_DEF0);
    Ok(())
}

fn page_faults_say_what_was_done_and_the_instruction_runs_again() -> CaseResult {
    let text = program!("mov rax, [rdi]", "mov [rsi], rax", "jmp rdx");
    let (mut program, rip) = (Program::new(text)?, TEXT);
    (program.registers.rdi, program.registers.rsi, program.registers.rdx) = (0x60_0008, 0x61_0010, 0x62_0000);
    ensure_eq!(program.run(), page_fault(0x60_0008, Access::Read, false));
    ensure_eq!(program.registers.rip, rip);
    program.pages.map_zero_page(0x60_0000, RW).or_fail("the zero page")?;
    ensure_eq!(program.run(), page_fault(0x61_0010, Access::Write, false));
    ensure_eq!((program.registers.rip, program.registers.rax), (rip + 3, 0));
    program.pages.map_zero_page(0x61_0000, RW).or_fail("the zero page")?;
    ensure_eq!(program.run(), page_fault(0x61_0010, Access::Write, true));
    program.pages.map_zeroed(0x61_0000, RW).or_fail("a frame")?;
    ensure_eq!(program.run(), page_fault(0x62_0000, Access::Execute, false));
    program.registers.rip = DATA;
    ensure_eq!(program.run(), page_fault(DATA, Access::Execute, true));
    program.registers = Registers { rip: TEXT, rdi: 0, ..program.registers };
    ensure_eq!(program.run(), page_fault(0, Access::Read, false));
    program.registers = Registers { rip: TEXT + 3, rsi: TEXT, ..program.registers };
    ensure_eq!(program.run(), page_fault(TEXT, Access::Write, true));
    Ok(())
}

fn other_exceptions_come_with_vector_and_error_code() -> CaseResult {
    let stop = |text| Program::new(text).map(|mut program| (program.run(), program.registers.rip - TEXT));
    ensure_eq!(stop(program!("xor ecx, ecx", "div ecx"))?, (exception(0, 0), 2));
    ensure_eq!(stop(program!("nop", "int3"))?, (exception(3, 0), 2));
    ensure_eq!(stop(program!("ud2"))?, (exception(6, 0), 0));
    // Gates that are not there, or not for programs. QEMU's error code for them is not the processor's.
    ensure_matches!(stop(program!("int 0x80"))?, (Stop::Exception { vector: 13, .. }, 0));
    ensure_matches!(stop(program!("int 32"))?, (Stop::Exception { vector: 13, .. }, 0));
    ensure_matches!(stop(program!("mov rsp, 0x800000000000", "pop rax"))?, (Stop::Exception { vector: 12 | 13, error: 0 }, 10));
    Ok(())
}

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

fn floating_point_and_vectors_are_exceptions() -> CaseResult {
    for (text, vector) in
        [(program!("fld1"), 7), (program!("xorps xmm0, xmm0"), 6), (program!("movq mm0, rax"), 6), (program!("vzeroupper"), 6)]
    {
        ensure_eq!(Program::new(text)?.run(), exception(vector, 0));
    }
    Ok(())
}

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
    }
}

fn all_registers_are_kept_across_an_exception() -> CaseResult {
    let mut program = Program::new(program!("ud2"))?;
    program.registers = distinct();
    for _ in 0..3 {
        ensure_eq!(program.run(), exception(6, 0));
        ensure_eq!(program.registers, distinct());
    }
    Ok(())
}

fn all_registers_are_kept_across_a_system_call_but_the_two_it_uses() -> CaseResult {
    let mut program = Program::new(program!("syscall", "syscall", "not rcx", "syscall"))?;
    program.registers = distinct();
    for behind in [2, 4, 9] {
        ensure_eq!(program.run(), Stop::SystemCall);
        let rip = TEXT + behind;
        ensure_eq!(program.registers, Registers { rcx: rip, r11: 0x202 | program.registers.r11 & 0x8D5, rip, ..distinct() });
    }
    Ok(())
}

fn flags_are_the_programs_as_far_as_they_are_its_business() -> CaseResult {
    let mut program = Program::new(program!("ud2"))?;
    let trap = RFlags::TRAP_FLAG.bits();
    program.registers.rflags = !trap;
    ensure_eq!(program.run(), exception(6, 0));
    let kept = RFlags::from_bits_truncate(program.registers.rflags);
    ensure!(kept.contains(RFlags::INTERRUPT_FLAG | RFlags::CARRY_FLAG | RFlags::DIRECTION_FLAG | RFlags::ALIGNMENT_CHECK));
    ensure!(!kept.intersects(RFlags::IOPL_LOW | RFlags::IOPL_HIGH | RFlags::NESTED_TASK | RFlags::VIRTUAL_8086_MODE));
    program.registers.rflags = 0;
    ensure_eq!(program.run(), exception(6, 0));
    ensure_eq!(RFlags::from_bits_truncate(program.registers.rflags) - RFlags::RESUME_FLAG, RFlags::INTERRUPT_FLAG);
    Ok(())
}

fn flags_of_the_program_do_not_reach_the_kernel() -> CaseResult {
    for text in [program!("push rax", "popfq", "syscall"), program!("push rax", "popfq", "ud2")] {
        let mut program = Program::new(text)?;
        program.registers.rax = (RFlags::all() - RFlags::TRAP_FLAG).bits();
        let stop = program.run();
        let kernels = rflags::read();
        ensure_matches!(stop, Stop::SystemCall | Stop::Exception { vector: 6, .. });
        ensure!(RFlags::from_bits_truncate(program.registers.rflags).contains(RFlags::DIRECTION_FLAG | RFlags::ALIGNMENT_CHECK));
        let bad = RFlags::DIRECTION_FLAG | RFlags::ALIGNMENT_CHECK | RFlags::NESTED_TASK | RFlags::INTERRUPT_FLAG;
        ensure!(!kernels.intersects(bad), "{kernels:?}");
        let again = program.run();
        ensure_matches!(again, Stop::Exception { vector: 3 | 6, .. });
    }
    Ok(())
}

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

fn without_the_timer_no_tick_comes() -> CaseResult {
    // Long enough for many ticks, if there were any.
    let mut program = Program::new(program!("mov ecx, 20000000", "2:", "dec ecx", "jnz 2b", "syscall"))?;
    drop(Ticking::every(100));
    ensure_eq!(program.run(), Stop::SystemCall);
    Ok(())
}

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
    program.pages.map_zeroed(LAST, RX).or_fail("frames")?;
    ensure_eq!(program.pages.load(LOWER_HALF_END - 2, &[0x0F, 0x05]), 2);
    program.registers.rip = LOWER_HALF_END - 2;
    ensure_eq!(program.run(), Stop::SystemCall);
    ensure_eq!(program.registers.rip, LOWER_HALF_END);
    ensure_eq!(program.run(), exception(13, 0));
    // A stack pointer may be anything, as long as nobody uses it.
    program.registers = Registers { rip: TEXT, rax: TEXT, rsp: LOWER_HALF_END, ..program.registers };
    let ticking = Ticking::every(1000);
    ensure_eq!(program.run(), Stop::Timer);
    drop(ticking);
    Ok(())
}

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
        for (rip, access) in [(TEXT, Access::Read), (TEXT + 2, Access::Write), (TEXT + 4, Access::Execute)] {
            program.registers = Registers { rip, rdi: address, ..program.registers };
            ensure_eq!(program.run(), page_fault(address, access, mapped));
        }
    }
    ensure_eq!(on_stack + *boxed, 14);
    Ok(())
}

/// A byte at the address, read and executed by the kernel on the page tables of the program: the error codes of the faults.
fn tried_by_the_kernel(program: &Program, address: u64) -> (Option<u64>, Option<u64>) {
    let attempts = || {
        let read = probe::read(address).err().map(|report| report.error_code);
        // SAFETY: a mere `ret`, if it is executed at all.
        let execute = unsafe { probe::execute(address) }.err().map(|report| report.error_code);
        (read, execute)
    };
    // SAFETY: the closure touches the address and the stack; a fault that it catches, the kernel's data.
    unsafe { user::on_tables_of(&program.pages, attempts) }
}

fn smap_and_smep_keep_the_kernel_from_a_programs_memory() -> CaseResult {
    /// The page is mapped; an instruction was fetched from it.
    const PRESENT: u64 = 1;
    const FETCH: u64 = 16;
    let guards = Guards::read();
    let features = __cpuid_count(7, 0).ebx;
    ensure_eq!(guards, Guards { execution: features >> 7 & 1 == 1, access: features >> 20 & 1 == 1 });
    let program = Program::new(program!("ret"))?;
    // Without them, the kernel reads what a program wrote, and executes it.
    let expected = (guards.access.then_some(PRESENT), guards.execution.then_some(PRESENT | FETCH));
    ensure_eq!(tried_by_the_kernel(&program, TEXT), expected);
    // What an instruction of the kernel may not touch, the kernel still reaches: as a frame, by looking it up.
    let mut program = program;
    let mut byte = [0];
    ensure_eq!(program.pages.read(TEXT, &mut byte), 1);
    ensure_eq!(byte, [0xC3]);
    ensure_eq!(program.run(), page_fault(STACK_TOP, Access::Read, false));
    // A page that ring 3 may not use, but ring 0 may, is not guarded: it is the user's bit that these two look at.
    program.pages.protect(TEXT, TEXT + PAGE, Permissions::empty());
    ensure_eq!(tried_by_the_kernel(&program, TEXT).0, None);
    Ok(())
}

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

fn what_is_protected_or_moved_is_so_at_once() -> CaseResult {
    let mut program = Program::new(program!("2:", "mov [rdi], rax", "mov rbx, [rdi]", "syscall", "jmp 2b"))?;
    (program.registers.rdi, program.registers.rax) = (DATA, 5);
    ensure_eq!(program.run(), Stop::SystemCall);
    program.pages.protect(DATA, DATA + PAGE, Permissions::READ);
    ensure_eq!(program.run(), page_fault(DATA, Access::Write, true));
    program.pages.protect(DATA, DATA + PAGE, RW);
    ensure_eq!(program.run(), Stop::SystemCall);
    const MOVED: u64 = 0x70_0000_0000;
    program.pages.shift(DATA, MOVED, PAGE).or_fail("frames for tables")?;
    ensure_eq!(program.run(), page_fault(DATA, Access::Write, false));
    ensure_eq!(program.word(MOVED)?, 5);
    (program.registers.rdi, program.registers.rax) = (MOVED, 6);
    ensure_eq!(program.run(), Stop::SystemCall);
    program.pages.unmap(MOVED, MOVED + PAGE);
    ensure_eq!(program.run(), page_fault(MOVED, Access::Write, false));
    Ok(())
}

fn a_forked_program_writes_to_its_own_copy() -> CaseResult {
    let mut parent = Program::new(program!("mov [rdi], rax", "syscall", "mov [rdi], rax", "syscall"))?;
    (parent.registers.rdi, parent.registers.rax) = (DATA, 1);
    ensure_eq!(parent.run(), Stop::SystemCall);
    let pages = parent.pages.fork().or_fail("frames for the child's tables")?;
    let mut child = Program { pages, registers: parent.registers };
    child.registers.rax = 2;
    ensure_eq!(child.run(), page_fault(DATA, Access::Write, true));
    ensure_eq!(child.pages.state(DATA), PageState::Shared);
    child.pages.copy(DATA).or_fail("a frame")?;
    ensure_eq!(child.run(), Stop::SystemCall);
    ensure_eq!((parent.word(DATA)?, child.word(DATA)?), (1, 2));
    parent.registers.rax = 3;
    ensure_eq!(parent.run(), page_fault(DATA, Access::Write, true));
    ensure_eq!(parent.pages.state(DATA), PageState::Own);
    parent.pages.make_writable(DATA);
    ensure_eq!(parent.run(), Stop::SystemCall);
    ensure_eq!((parent.word(DATA)?, child.word(DATA)?), (3, 2));
    Ok(())
}

fn a_page_that_may_not_be_read_faults() -> CaseResult {
    let mut program = Program::new(program!("mov rbx, [rdi]", "syscall"))?;
    program.registers.rdi = DATA;
    program.pages.protect(DATA, DATA + PAGE, Permissions::empty());
    ensure_eq!(program.run(), page_fault(DATA, Access::Read, true));
    ensure_eq!(program.pages.read(DATA, &mut [0; 8]), 0);
    program.pages.protect(DATA, DATA + PAGE, Permissions::READ);
    ensure_eq!(program.run(), Stop::SystemCall);
    Ok(())
}

fn each_refused_frame_leaves_programs_whole() -> CaseResult {
    let requests = fail_nth(|| {
        let text = program!("mov [rdi], rax", "syscall");
        let Ok(mut parent) = Program::try_new(text) else { return Ok(()) };
        (parent.registers.rdi, parent.registers.rax) = (DATA, 1);
        let child = parent.pages.fork();
        let started = parent.registers;
        if parent.pages.state(DATA) == PageState::Shared {
            ensure_eq!(parent.run(), page_fault(DATA, Access::Write, true));
            if parent.pages.copy(DATA).is_err() {
                parent.pages.copy(DATA).or_fail("a second try that succeeds")?;
            }
        }
        ensure_eq!(parent.run(), Stop::SystemCall);
        if let Ok(pages) = child {
            let mut child = Program { pages, registers: started };
            ensure_eq!(child.word(DATA)?, 0);
            ensure_eq!(child.run(), page_fault(DATA, Access::Write, true));
        }
        Ok(())
    })?;
    // For the parent a level-4 table, three pages, and tables of levels 3, 2 and 1 for low and high memory; for the child the
    // same without the pages; and a copy.
    ensure_eq!(requests, (1 + 3 + 6) + (1 + 6) + 1);
    Ok(())
}
