//! The instructions that enter ring 3 and leave it.

use core::arch::naked_asm;
use core::mem::offset_of;

use x86_64::registers::rflags::RFlags;

use super::gdt;
use crate::cpu::Cpu;
use crate::memory::Registers;

/// The vector that [`system_call`] returns. No exception or interrupt has it.
pub(super) const SYSTEM_CALL: u64 = 256;

/// Flags that are the program's business.
const PROGRAMS_FLAGS: RFlags = RFlags::CARRY_FLAG
    .union(RFlags::PARITY_FLAG)
    .union(RFlags::AUXILIARY_CARRY_FLAG)
    .union(RFlags::ZERO_FLAG)
    .union(RFlags::SIGN_FLAG)
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::OVERFLOW_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::ID);

/// Flags that are always set in ring 3: interrupts are enabled, and one bit that has no meaning.
const ALWAYS: u64 = RFlags::INTERRUPT_FLAG.bits() | 2;

/// The model-specific register with the base of FS.
const FS_BASE: u32 = 0xC000_0100;

/// What [`enter`] leaves on the kernel's stack, from low to high.
#[repr(C)]
struct Entered {
    registers: *mut Registers,
    callers: [u64; 6],
}

/// What [`system_call`] finds above its stack pointer, when it has pushed `rax`.
#[repr(C)]
struct Called {
    _rax: u64,
    entered: Entered,
}

/// What [`leave`] finds above its stack pointer, when it has pushed `rax`: what the entry and the
/// processor pushed, and what [`enter`] left.
#[repr(C)]
struct Interrupted {
    _rax: u64,
    _vector: u64,
    _error: u64,
    _rip: u64,
    _cs: u64,
    _rflags: u64,
    _rsp: u64,
    ss: u64,
    entered: Entered,
}

/// Numbers that [`leave`] and [`system_call`] tell `run`. The error code is that of an exception.
#[repr(C)]
pub(super) struct Left {
    pub(super) vector: u64,
    pub(super) error: u64,
}

/// An assembly function with the places of the program's registers, and of what the kernel keeps
/// for each CPU, behind GS.
macro_rules! with_registers {
    ($($line:expr),+ ; $($operand:tt)+) => {
        naked_asm!(
            $($line),+,
            rax = const offset_of!(Registers, rax), rbx = const offset_of!(Registers, rbx),
            rcx = const offset_of!(Registers, rcx), rdx = const offset_of!(Registers, rdx),
            rsi = const offset_of!(Registers, rsi), rdi = const offset_of!(Registers, rdi),
            rbp = const offset_of!(Registers, rbp), rsp = const offset_of!(Registers, rsp),
            r8 = const offset_of!(Registers, r8), r9 = const offset_of!(Registers, r9),
            r10 = const offset_of!(Registers, r10), r11 = const offset_of!(Registers, r11),
            r12 = const offset_of!(Registers, r12), r13 = const offset_of!(Registers, r13),
            r14 = const offset_of!(Registers, r14), r15 = const offset_of!(Registers, r15),
            rip = const offset_of!(Registers, rip),
            rflags = const offset_of!(Registers, rflags),
            process_root = const offset_of!(Cpu, root),
            $($operand)+
        )
    };
}

/// Says which page tables are about to be used, clears the selectors that a program can set, loads
/// all registers of the program but `rcx`, `rsp`, `rip` and `rflags`, then its page tables, whose
/// root is in `rcx`: with them the place that the registers came from is out of reach. GS is the
/// program's then.
macro_rules! load_registers {
    () => {
        "mov gs:[{process_root}], rcx
        swapgs
        xor eax, eax
        mov ds, eax; mov es, eax; mov gs, eax
        mov rax, [rdi + {rax}]; mov rbx, [rdi + {rbx}]; mov rdx, [rdi + {rdx}]
        mov rsi, [rdi + {rsi}]; mov rbp, [rdi + {rbp}]; mov r8, [rdi + {r8}]
        mov r9, [rdi + {r9}]; mov r10, [rdi + {r10}]; mov r11, [rdi + {r11}]
        mov r12, [rdi + {r12}]; mov r13, [rdi + {r13}]; mov r14, [rdi + {r14}]
        mov r15, [rdi + {r15}]; mov rdi, [rdi + {rdi}]
        mov cr3, rcx"
    };
}

/// Enters ring 3. Returns by way of [`leave`] or [`system_call`].
///
/// `sysretq` takes `rip` from `rcx` and `rflags` from `r11`, so it serves where the program expects
/// just that, behind a system call; otherwise, and with the trap flag set, which `sysretq` would
/// act upon one instruction early, `iretq` does. Of `rflags` a program has its own flags only.
///
/// What it pushes is an [`Entered`].
///
/// # Safety
///
/// `root` is the level-4 table of a process, which maps of the kernel what is in every process.
/// This CPU's segments are its own. `rip` and `fs_base` are canonical.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enter(registers: &mut Registers, root: u64) -> Left {
    with_registers!(
        "push rbp", "push rbx", "push r12", "push r13", "push r14", "push r15",
        "push rdi",
        "mov rdx, gs:[{interrupt_stack}]",
        "mov [rdx], rsp",
        "mov gs:[{kernel_stack}], rsp",
        // To load the selector clears the base on some processors.
        "xor eax, eax",
        "mov fs, eax",
        "mov eax, [rdi + {fs_base}]",
        "mov edx, [rdi + {fs_base} + 4]",
        "mov ecx, {fs_base_register}",
        "wrmsr",
        "mov rcx, rsi",
        "mov rax, [rdi + {rip}]",
        "mov rdx, [rdi + {rflags}]",
        "and edx, {programs_flags}",
        "or edx, {always}",
        "cmp rax, [rdi + {rcx}]",
        "jne 2f",
        "cmp rdx, [rdi + {r11}]",
        "jne 2f",
        "test edx, {trap_flag}",
        "jnz 2f",
        "push qword ptr [rdi + {rsp}]",
        "push rax",
        load_registers!(),
        "pop rcx",
        "pop rsp",
        "sysretq",
        "2:",
        "push {user_data}",
        "push qword ptr [rdi + {rsp}]",
        "push rdx",
        "push {user_code}",
        "push rax",
        "push qword ptr [rdi + {rcx}]",
        load_registers!(),
        "pop rcx",
        "iretq";
        interrupt_stack = const offset_of!(Cpu, interrupt_stack),
        kernel_stack = const offset_of!(Cpu, kernel_stack),
        programs_flags = const PROGRAMS_FLAGS.bits(),
        always = const ALWAYS,
        trap_flag = const RFlags::TRAP_FLAG.bits(),
        fs_base = const offset_of!(Registers, fs_base),
        fs_base_register = const FS_BASE,
        user_code = const gdt::USER_CODE.0,
        user_data = const gdt::USER_DATA.0,
    )
}

/// Saves all registers of the program but `rax`, `rsp`, `rip` and `rflags` where `rax` points.
macro_rules! save_registers {
    () => {
        "mov [rax + {rbx}], rbx; mov [rax + {rcx}], rcx; mov [rax + {rdx}], rdx
        mov [rax + {rsi}], rsi; mov [rax + {rdi}], rdi; mov [rax + {rbp}], rbp
        mov [rax + {r8}], r8; mov [rax + {r9}], r9; mov [rax + {r10}], r10
        mov [rax + {r11}], r11; mov [rax + {r12}], r12; mov [rax + {r13}], r13
        mov [rax + {r14}], r14; mov [rax + {r15}], r15"
    };
}

/// Where `syscall` goes, with the program's `rip` in `rcx` and its `rflags` in `r11`. Saves the
/// program's registers and returns from [`enter`], as [`leave`] does; the flags are the kernel's
/// already (`SFMASK`).
///
/// The stack is what `enter` left there. It is on the page tables of the process, so only the stack
/// and the kernel's image are touched until they are changed.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn system_call() {
    with_registers!(
        "swapgs",
        "mov gs:[{user_stack}], rsp",
        "mov rsp, gs:[{kernel_stack}]",
        "push rax",
        "mov rax, gs:[{kernel_root}]",
        "mov qword ptr gs:[{process_root}], 0",
        "mov cr3, rax",
        "mov rax, [rsp + {registers}]",
        save_registers!(),
        "pop qword ptr [rax + {rax}]",
        "mov [rax + {rip}], rcx",
        "mov [rax + {rflags}], r11",
        "mov rcx, gs:[{user_stack}]",
        "mov [rax + {rsp}], rcx",
        "add rsp, {to_callers}",
        "mov eax, {vector}",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp",
        "ret";
        user_stack = const offset_of!(Cpu, user_stack),
        kernel_stack = const offset_of!(Cpu, kernel_stack),
        kernel_root = const offset_of!(Cpu, kernel_root),
        vector = const SYSTEM_CALL,
        registers = const offset_of!(Called, entered.registers),
        to_callers = const offset_of!(Entered, callers),
    )
}

/// Saves the program's registers and returns from [`enter`], with the vector in `rax` and the error
/// code in `rdx`.
///
/// The stack is an [`Interrupted`] without its first word. It is on the page tables of the process,
/// so only the stack and the CPU's block are touched until they are changed.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leave() {
    with_registers!(
        "swapgs",
        "push rax",
        "mov rax, gs:[{kernel_root}]",
        "mov qword ptr gs:[{process_root}], 0",
        "mov cr3, rax",
        "mov rax, [rsp + {registers}]",
        save_registers!(),
        "pop qword ptr [rax + {rax}]",
        "pop rcx",
        "pop rdx",
        "pop qword ptr [rax + {rip}]",
        "pop rsi",
        "pop qword ptr [rax + {rflags}]",
        "pop qword ptr [rax + {rsp}]",
        "add rsp, {to_callers}",
        "push {plain_flags}",
        "popfq",
        "mov rax, rcx",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp",
        "ret";
        plain_flags = const 2,
        kernel_root = const offset_of!(Cpu, kernel_root),
        registers = const offset_of!(Interrupted, entered.registers),
        to_callers = const offset_of!(Interrupted, entered.callers) - offset_of!(Interrupted, ss),
    )
}
