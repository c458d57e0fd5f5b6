//! Ring 3, as a function call: [`run`] enters a program and returns when it stops for the kernel.
//!
//! ```text
//!   run ─► enter: saves the callee's registers, loads the program's ── iretq, sysretq ─► program in ring 3
//!    ▲                                                                                      │
//!    ├── Stop ◄── system_call: saves the program's registers ◄───────────────── syscall ────┤
//!    │                                                                                      │
//!    └── Stop ◄── leave: likewise ◄── entries of `trap` ◄─────────────── exception, timer ──┘
//! ```
//!
//! The program's registers are where the caller of `run` says, the kernel's on its stack, below
//! which the processor pushes (`rsp0` of the task state segment). So no process needs a stack in
//! the kernel, and the code around `run` is an ordinary loop.
//!
//! While ring 3 runs, the processor is on the process's page tables, which have of the kernel its
//! image and its stacks ([`IN_EVERY_PROCESS`](crate::memory::layout::IN_EVERY_PROCESS)). `enter`
//! changes to them last, `leave` back first. All other code of the kernel runs on the kernel's own
//! tables, and with it each fault that it serves for itself: nothing that the kernel maps or unmaps
//! has to be told to a process. The price is two loads of CR3 for each stop.
//!
//! What a program cannot do: disable interrupts or gain ports (`rflags` is cut down to what is a
//! program's); make the kernel return to an address that is not canonical (`run` refuses to go
//! there); leave AC, DF, TF or NT set for the kernel (cleared on the way in); use registers of the
//! floating-point and vector units, which nobody saves (each use is an exception); leave a selector
//! in `ds`, `es`, `fs` or `gs` for another program (cleared on the way out).

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU64;

use x86_64::VirtAddr;
use x86_64::registers::control::{Cr3, Cr3Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;

use super::{gdt, registers, timer, trap};
use crate::memory::ProcessPages;
use crate::memory::layout::LOWER_HALF_END;
pub use crate::memory::{Registers as UserRegisters, Stop};

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

/// The vector that [`system_call`] returns. No exception or interrupt has it.
const SYSTEM_CALL: u64 = 256;

/// The vector of what the processor raises on a jump to an address that is not canonical.
const GENERAL_PROTECTION: u8 = 13;

/// The kernel's stack pointer while ring 3 runs, the same as `rsp0`: `syscall` changes no stacks.
static KERNEL_STACK: AtomicU64 = AtomicU64::new(0);

/// The program's stack pointer, while [`system_call`] saves its registers.
static USER_STACK: AtomicU64 = AtomicU64::new(0);

/// What [`enter`] leaves on the kernel's stack, from low to high.
#[repr(C)]
struct Entered {
    registers: *mut UserRegisters,
    root: u64,
    _interrupt_stack: *mut u64,
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

/// What [`leave`] and [`system_call`] tell [`run`]. The error code is that of an exception.
#[repr(C)]
struct Left {
    vector: u64,
    error: u64,
}

/// Lets programs run in ring 3, and call the kernel. Called once, when the final segments are
/// loaded.
pub fn init() {
    registers::prepare_for_programs();
    timer::silence();
    let selectors = Star::write(gdt::USER_CODE, gdt::USER_DATA, gdt::KERNEL_CODE, gdt::KERNEL_DATA);
    selectors.expect("the segments are in the order that syscall and sysret want");
    LStar::write(VirtAddr::from_ptr(system_call as *const ()));
    SFMask::write(RFlags::all());
    // SAFETY: what `syscall` needs is set up.
    unsafe { Efer::update(|efer| efer.insert(EferFlags::SYSTEM_CALL_EXTENSIONS)) };
}

/// Runs the program with these registers on these page tables, from `rip` on, until it stops for
/// the kernel. The registers are then as the program left them, and whoever changes them decides
/// how it goes on.
///
/// A timer tick stops the program if the timer is [`Ticking`](timer::Ticking).
pub fn run(registers: &mut UserRegisters, pages: &ProcessPages) -> Stop {
    if registers.rip >= LOWER_HALF_END {
        return Stop::Exception { vector: GENERAL_PROTECTION, error: 0 };
    }
    registers.rflags = registers.rflags & PROGRAMS_FLAGS.bits() | ALWAYS;
    let root = pages.root().start_address().as_u64();
    // SAFETY: `Pages` shares what `enter` needs of the kernel; ring 3 reaches only what is the
    // process's.
    let Left { vector, error } = unsafe { enter(registers, root, gdt::FINAL.interrupt_stack()) };
    match vector {
        SYSTEM_CALL => Stop::SystemCall,
        trap::PAGE_FAULT => Stop::PageFault(trap::latest_page_fault(error)),
        vector @ trap::FIRST_INTERRUPT.. => {
            timer::acknowledge(vector as u8);
            Stop::Timer
        }
        vector => Stop::Exception { vector: vector as u8, error },
    }
}

/// Runs the closure on the page tables of a process, to show what the processor keeps the kernel
/// from there.
///
/// # Safety
///
/// Of the kernel only its image and its stacks are mapped meanwhile: the closure touches nothing
/// else, so no heap, and returns.
pub unsafe fn on_tables_of<R>(pages: &ProcessPages, closure: impl FnOnce() -> R) -> R {
    let (own, flags) = Cr3::read();
    // SAFETY: the tables map the code and the stack of this function where they are now; the
    // closure needs no more.
    unsafe { Cr3::write(pages.root(), Cr3Flags::empty()) };
    let result = closure();
    // SAFETY: the tables of before.
    unsafe { Cr3::write(own, flags) };
    result
}

/// An assembly function with the places of the program's registers.
macro_rules! with_registers {
    ($($line:expr),+ ; $($operand:tt)+) => {
        naked_asm!(
            $($line),+,
            rax = const offset_of!(UserRegisters, rax),
            rbx = const offset_of!(UserRegisters, rbx),
            rcx = const offset_of!(UserRegisters, rcx),
            rdx = const offset_of!(UserRegisters, rdx),
            rsi = const offset_of!(UserRegisters, rsi),
            rdi = const offset_of!(UserRegisters, rdi),
            rbp = const offset_of!(UserRegisters, rbp),
            rsp = const offset_of!(UserRegisters, rsp),
            r8 = const offset_of!(UserRegisters, r8),
            r9 = const offset_of!(UserRegisters, r9),
            r10 = const offset_of!(UserRegisters, r10),
            r11 = const offset_of!(UserRegisters, r11),
            r12 = const offset_of!(UserRegisters, r12),
            r13 = const offset_of!(UserRegisters, r13),
            r14 = const offset_of!(UserRegisters, r14),
            r15 = const offset_of!(UserRegisters, r15),
            rip = const offset_of!(UserRegisters, rip),
            rflags = const offset_of!(UserRegisters, rflags),
            $($operand)+
        )
    };
}

/// Clears the selectors that a program can set, loads all registers of the program but `rcx`, `rsp`,
/// `rip` and `rflags`, then its page tables, whose root is in `rcx`: with them the place that the registers came from is out of reach.
macro_rules! load_registers {
    () => {
        "xor eax, eax
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov rax, [rdi + {rax}]
        mov rbx, [rdi + {rbx}]
        mov rdx, [rdi + {rdx}]
        mov rsi, [rdi + {rsi}]
        mov rbp, [rdi + {rbp}]
        mov r8, [rdi + {r8}]
        mov r9, [rdi + {r9}]
        mov r10, [rdi + {r10}]
        mov r11, [rdi + {r11}]
        mov r12, [rdi + {r12}]
        mov r13, [rdi + {r13}]
        mov r14, [rdi + {r14}]
        mov r15, [rdi + {r15}]
        mov rdi, [rdi + {rdi}]
        mov cr3, rcx"
    };
}

/// Enters ring 3. Returns by way of [`leave`] or [`system_call`].
///
/// `sysretq` takes `rip` from `rcx` and `rflags` from `r11`, so it serves where the program expects
/// just that, behind a system call; otherwise, and with the trap flag set, which `sysretq` would
/// act upon one instruction early, `iretq` does.
///
/// What it pushes is an [`Entered`].
///
/// # Safety
///
/// `root` is the level-4 table of a process, which maps of the kernel what is in every process.
/// `interrupt_stack` leads to `rsp0`. `rip` is canonical, and `rflags` a program's.
#[unsafe(naked)]
unsafe extern "C" fn enter(
    registers: &mut UserRegisters,
    root: u64,
    interrupt_stack: *mut u64,
) -> Left {
    with_registers!(
        "push rbp", "push rbx", "push r12", "push r13", "push r14", "push r15",
        "push rdx",
        "mov rax, cr3",
        "push rax",
        "push rdi",
        "mov [rdx], rsp",
        "mov [rip + {kernel_stack}], rsp",
        "mov rcx, rsi",
        "mov rax, [rdi + {rip}]",
        "mov rdx, [rdi + {rflags}]",
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
        kernel_stack = sym KERNEL_STACK,
        trap_flag = const RFlags::TRAP_FLAG.bits(),
        user_code = const gdt::USER_CODE.0,
        user_data = const gdt::USER_DATA.0,
    )
}

/// Saves all registers of the program but `rax`, `rsp`, `rip` and `rflags` where `rax` points.
macro_rules! save_registers {
    () => {
        "mov [rax + {rbx}], rbx
        mov [rax + {rcx}], rcx
        mov [rax + {rdx}], rdx
        mov [rax + {rsi}], rsi
        mov [rax + {rdi}], rdi
        mov [rax + {rbp}], rbp
        mov [rax + {r8}], r8
        mov [rax + {r9}], r9
        mov [rax + {r10}], r10
        mov [rax + {r11}], r11
        mov [rax + {r12}], r12
        mov [rax + {r13}], r13
        mov [rax + {r14}], r14
        mov [rax + {r15}], r15"
    };
}

/// Where `syscall` goes, with the program's `rip` in `rcx` and its `rflags` in `r11`. Saves the
/// program's registers and returns from [`enter`], as [`leave`] does; the flags are the kernel's
/// already (`SFMASK`).
///
/// The stack is what `enter` left there. It is on the page tables of the process, so only the stack
/// and the kernel's image are touched until they are changed.
#[unsafe(naked)]
unsafe extern "C" fn system_call() {
    with_registers!(
        "mov [rip + {user_stack}], rsp",
        "mov rsp, [rip + {kernel_stack}]",
        "push rax",
        "mov rax, [rsp + {root}]",
        "mov cr3, rax",
        "mov rax, [rsp + {registers}]",
        save_registers!(),
        "pop qword ptr [rax + {rax}]",
        "mov [rax + {rip}], rcx",
        "mov [rax + {rflags}], r11",
        "mov rcx, [rip + {user_stack}]",
        "mov [rax + {rsp}], rcx",
        "add rsp, {to_callers}",
        "mov eax, {vector}",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp",
        "ret";
        user_stack = sym USER_STACK,
        kernel_stack = sym KERNEL_STACK,
        vector = const SYSTEM_CALL,
        root = const offset_of!(Called, entered.root),
        registers = const offset_of!(Called, entered.registers),
        to_callers = const offset_of!(Entered, callers),
    )
}

/// Saves the program's registers and returns from [`enter`], with the vector in `rax` and the error
/// code in `rdx`.
///
/// The stack is an [`Interrupted`] without its first word. It is on the page tables of the process,
/// so only the stack is touched until they are changed.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leave() {
    with_registers!(
        "push rax",
        "mov rax, [rsp + {root}]",
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
        root = const offset_of!(Interrupted, entered.root),
        registers = const offset_of!(Interrupted, entered.registers),
        to_callers = const offset_of!(Interrupted, entered.callers) - offset_of!(Interrupted, ss),
    )
}
