//! Every exception arrives here.
//!
//! ```text
//!   processor ─► entry of the vector ─► from ring 3? ── yes ──────────────► `leave`: the program's `run` returns
//!                                           no: saves the registers ─► dispatch
//!                                                                            │
//!      page fault, served by the memory manager ──────────────► return, the instruction runs again
//!      debug trap, of somebody who is single-stepped ─────────► return, after their handler
//!      breakpoint, interrupt ─────────────────────────────────► return, counted or acknowledged
//!      anything else, caught (`catch`) ───────────────────────► return to the catcher, with a report
//!      anything else ─────────────────────────────────────────► report, and the end of the machine
//! ```
//!
//! A handler returns by popping the registers it saved, so whoever changes the saved ones decides
//! where it returns to.

use core::arch::naked_asm;

use spin::Once;
use x86_64::registers::control::Cr2;
use x86_64::structures::idt::{Entry, EntryOptions, InterruptDescriptorTable, PageFaultErrorCode};
use x86_64::{PrivilegeLevel, VirtAddr};

use super::trap_frame::TrapFrame;
use super::{catch, gdt, timer, user_entry};
use crate::address_space::Cause;
use crate::cpu::{apic, request};
use crate::memory::report::Exception;
use crate::memory::{self, Access, FaultReport, Neighbours, PageFault};

const DEBUG: u64 = 1;
const BREAKPOINT: u64 = 3;
const DOUBLE_FAULT: u64 = 8;
/// Vectors from here on are interrupts.
pub(super) const FIRST_INTERRUPT: u64 = 32;
pub(super) const PAGE_FAULT: u64 = 14;

/// The register with the base of GS.
const GS_BASE: u32 = 0xC000_0101;

/// Handlers of exceptions in the kernel that this room does not serve: the boot installs them.
pub struct Handlers {
    /// A breakpoint was met.
    pub breakpoint: fn(),
    /// An instruction was executed with the trap flag set. `false` if nobody has set it.
    pub debug: fn() -> bool,
    /// A tick of the timer has come while the kernel runs.
    pub tick: fn(),
    /// A fault was neither served nor caught.
    pub fatal: fn(&FaultReport) -> !,
}

static HANDLERS: Once<&'static Handlers> = Once::new();

/// What entries end in, with vector and error code pushed: a program is left, the kernel goes on.
#[unsafe(naked)]
extern "C" fn common_entry() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3",
        "jnz {leave}",
        "jmp {kernel_entry}",
        leave = sym user_entry::leave,
        kernel_entry = sym kernel_entry,
    )
}

/// Takes GS from a program, if it is the program's: an exception that ends in the kernel may have
/// interrupted ring 3, or the instructions of ring 0 on the way between the two. The base itself
/// tells: the kernel's is in the higher half, and no program can set its own.
#[unsafe(naked)]
extern "C" fn fatal_entry() {
    naked_asm!(
        "push rax", "push rcx", "push rdx",
        "mov ecx, {gs_base}",
        "rdmsr",
        "test edx, edx",
        "js 2f",
        "swapgs",
        "2:",
        "pop rdx", "pop rcx", "pop rax",
        "jmp {kernel_entry}",
        gs_base = const GS_BASE,
        kernel_entry = sym kernel_entry,
    )
}

/// Saves the registers, calls [`dispatch`] with them, restores them, returns.
#[unsafe(naked)]
extern "C" fn kernel_entry() {
    naked_asm!(
        "push rax", "push rbx", "push rcx", "push rdx", "push rsi", "push rdi", "push rbp",
        "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14", "push r15",
        "cld",
        "mov rdi, rsp",
        // The processor aligned the stack to 16 bytes and 22 words were pushed since: aligned
        // again.
        "call {dispatch}",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rbp", "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rbx", "pop rax",
        "add rsp, 16",
        "iretq",
        dispatch = sym dispatch,
    )
}

/// The entry of one vector: pushes an error code where the processor does not, and the vector.
/// Fatal ones, which come on a stack of their own, end in the kernel wherever they come from.
macro_rules! entry {
    ($vector:literal, $error_code:literal, $next:path) => {{
        #[unsafe(naked)]
        extern "C" fn entry() {
            naked_asm!($error_code, "push {vector}", "jmp {next}", vector = const $vector, next = sym $next)
        }
        VirtAddr::from_ptr(entry as *const ())
    }};
    ($vector:literal) => { entry!($vector, "push 0", common_entry) };
    ($vector:literal with error code) => { entry!($vector, "", common_entry) };
    (fatal $vector:literal) => { entry!($vector, "push 0", fatal_entry) };
    (fatal $vector:literal with error code) => { entry!($vector, "", fatal_entry) };
}

/// Points an entry of the table at a handler.
fn set<F>(entry: &mut Entry<F>, handler: VirtAddr) -> &mut EntryOptions {
    // SAFETY: the handler is an entry made by the macro above for that vector.
    unsafe { entry.set_handler_addr(handler) }
}

/// As [`set`], on the stack of that index: these exceptions may come when the stack pointer is the
/// program's, or leads nowhere.
fn set_fatal<F>(entry: &mut Entry<F>, handler: VirtAddr, stack: u16) {
    // SAFETY: the stack is there, and its handler does not return to what was interrupted.
    unsafe { set(entry, handler).set_stack_index(stack) };
}

/// Loads the table of handlers, the same on each CPU. The fatal ones switch to the stack that
/// [`gdt`] set up.
pub fn load(handlers: &'static Handlers) {
    HANDLERS.call_once(|| handlers);
    static TABLE: Once<InterruptDescriptorTable> = Once::new();
    let table = TABLE.call_once(|| {
        let mut table = InterruptDescriptorTable::new();
        set(&mut table.divide_error, entry!(0));
        set(&mut table.debug, entry!(1));
        set_fatal(&mut table.non_maskable_interrupt, entry!(fatal 2), gdt::NMI_IST);
        set(&mut table.breakpoint, entry!(3)).set_privilege_level(PrivilegeLevel::Ring3);
        set(&mut table.overflow, entry!(4));
        set(&mut table.bound_range_exceeded, entry!(5));
        set(&mut table.invalid_opcode, entry!(6));
        set(&mut table.device_not_available, entry!(7));
        set_fatal(&mut table.double_fault, entry!(fatal 8 with error code), gdt::DOUBLE_FAULT_IST);
        set(&mut table.invalid_tss, entry!(10 with error code));
        set(&mut table.segment_not_present, entry!(11 with error code));
        set(&mut table.stack_segment_fault, entry!(12 with error code));
        set(&mut table.general_protection_fault, entry!(13 with error code));
        set(&mut table.page_fault, entry!(14 with error code));
        set(&mut table.x87_floating_point, entry!(16));
        set(&mut table.alignment_check, entry!(17 with error code));
        set_fatal(&mut table.machine_check, entry!(fatal 18), gdt::MACHINE_CHECK_IST);
        set(&mut table.simd_floating_point, entry!(19));
        set(&mut table[timer::VECTOR as u8], entry!(32));
        set(&mut table[request::VECTOR], entry!(33));
        set(&mut table[apic::SPURIOUS], entry!(255));
        table
    });
    table.load();
}

/// Decides what becomes of an exception. `frame` holds the interrupted code's registers; what they
/// are when this returns is what the processor goes on with.
extern "C" fn dispatch(frame: &mut TrapFrame) {
    let handlers = || HANDLERS.get().expect("exceptions arrive here once there are handlers");
    let report = match frame.vector {
        BREAKPOINT => return (handlers().breakpoint)(),
        DEBUG if (handlers().debug)() => return,
        FIRST_INTERRUPT.. => {
            interrupt(frame.vector);
            if frame.vector == timer::VECTOR {
                (handlers().tick)();
            }
            return;
        }
        PAGE_FAULT => match page_fault(frame) {
            Ok(()) => return,
            Err(report) => report,
        },
        DOUBLE_FAULT => double_fault(frame),
        _ => report(frame, (Cause::Exception, None), None),
    };
    // A fatal one that interrupts ring 3 finds the program's page tables, on which no catcher can
    // go on.
    let from_ring_3 = frame.cs & 3 != 0;
    if from_ring_3 || !catch::redirect(frame, &report) {
        (handlers().fatal)(&report);
    }
}

/// Takes an interrupt: answers a request.
pub(super) fn interrupt(vector: u64) {
    if vector == u64::from(request::VECTOR) {
        request::answer();
    }
    // The controller does not wait for the end of a spurious interrupt.
    if vector != u64::from(apic::SPURIOUS) {
        apic::end_of_interrupt();
    }
}

/// The report of an exception; of a page fault with what was touched, and what lies there.
fn report(
    frame: &TrapFrame,
    (cause, place): (Cause, Option<Neighbours>),
    fault: Option<PageFault>,
) -> FaultReport {
    FaultReport {
        exception: Exception(frame.vector as u8),
        cause,
        address: fault.map(|fault| fault.address),
        access: fault.map(|fault| fault.access),
        place,
        error_code: frame.error_code,
        registers: frame.registers(),
    }
}

/// Asks the memory manager to serve the fault.
fn page_fault(frame: &TrapFrame) -> Result<(), FaultReport> {
    let fault = latest_page_fault(frame.error_code);
    memory::serve(&fault).map_err(|reason| report(frame, reason, Some(fault)))
}

/// Whether a page fault is what an access of ring 3 found: a page that is missing, or forbids it.
/// The processor can also fault for an access of its own, or for page tables that make no sense.
/// Permission for the program mends neither, and the fault would come again for ever. QEMU has such
/// a one: `iretq` in ring 3 reads the stack as ring 0 would, which SMAP forbids.
pub(super) fn is_access_of_ring_3(error_code: u64) -> bool {
    let code = PageFaultErrorCode::from_bits_truncate(error_code);
    code.contains(PageFaultErrorCode::USER_MODE)
        && !code.contains(PageFaultErrorCode::MALFORMED_TABLE)
}

/// The page fault that came with this error code, if none came since.
pub(super) fn latest_page_fault(error_code: u64) -> PageFault {
    let code = PageFaultErrorCode::from_bits_truncate(error_code);
    let access = if code.contains(PageFaultErrorCode::INSTRUCTION_FETCH) {
        Access::Execute
    } else if code.contains(PageFaultErrorCode::CAUSED_BY_WRITE) {
        Access::Write
    } else {
        Access::Read
    };
    PageFault { address: Cr2::read_raw(), access }
}

/// A double fault comes from a page fault that could not be delivered, for want of a stack to push
/// onto.
fn double_fault(frame: &TrapFrame) -> FaultReport {
    let address = Cr2::read_raw();
    let fault = PageFault { address, access: Access::Write };
    report(frame, memory::judge(&fault), Some(fault))
}
