//! Runs code so that a fault in it comes back as a value instead of ending the kernel.
//!
//! ```text
//!   catch_fault ─► enter: saves the callee's registers, notes stack and landing ─► closure
//!        ▲                                                                          │ fault
//!        └───────── landing: restores the registers ◄── return of the handler ◄── redirect
//! ```
//!
//! A handler returns to wherever the saved registers say. To land in the catcher it is enough to
//! change two of them, and this works from the double-fault handler on its own stack just as well.

use core::arch::naked_asm;
use core::sync::atomic::Ordering;

use super::trap_frame::TrapFrame;
use crate::cpu;
use crate::memory::FaultReport;

/// Flags register with nothing set but the bit that always is: interrupts stay disabled, strings
/// run upwards.
const PLAIN_FLAGS: u64 = 2;

/// One `catch_fault` in progress.
///
/// # Invariants
///
/// While it is the innermost one of its CPU, `stack` is the stack pointer in `enter` at the call of
/// the closure, and `landing` the address of the instruction after that call.
#[repr(C)]
struct Catcher {
    stack: u64,
    landing: u64,
    report: Option<FaultReport>,
}

/// Runs the closure. If a fault in it cannot be served, everything the closure had going on is
/// abandoned, and the report of the fault is returned.
///
/// Faults are caught from wherever they can be reported: page faults, stack overflows (run the
/// closure on a stack of its own with [`on_stack`](crate::testing::on_stack), *around* this call),
/// and all other exceptions but breakpoints. Panics are not.
///
/// # Errors
///
/// The report of the fault.
///
/// # Safety
///
/// The frames between this call and the fault are dropped without their destructors, as by
/// `longjmp`. What they owned is leaked, locks that they held stay locked. The caller answers for
/// it that nothing relies on those destructors.
pub unsafe fn catch_fault<R>(closure: impl FnOnce() -> R) -> Result<R, FaultReport> {
    let mut call = Thunk { closure: Some(closure), result: None };
    let mut catcher = Catcher { stack: 0, landing: 0, report: None };
    let catcher_ptr = &raw mut catcher;
    let innermost = &cpu::this().catcher;
    let outer = innermost.swap(catcher_ptr.cast(), Ordering::Relaxed);
    // SAFETY: `run` is called with a pointer to the `Thunk` of its own type.
    unsafe { enter(Thunk::run_erased(&call), (&raw mut call).cast(), catcher_ptr) };
    innermost.store(outer, Ordering::Relaxed);
    match (catcher.report, call.result) {
        (Some(report), _) => Err(report),
        (None, result) => Ok(result.expect("the closure has run to its end")),
    }
}

/// Lets the handler of a fault return to the innermost catcher. `false` if there is none.
pub(super) fn redirect(frame: &mut TrapFrame, report: &FaultReport) -> bool {
    let innermost = cpu::this().catcher.load(Ordering::Relaxed).cast::<Catcher>();
    // SAFETY: the pointer is null, or that of a `catch_fault` in progress on this CPU, which is
    // suspended in `enter`.
    let Some(catcher) = (unsafe { innermost.as_mut() }) else { return false };
    catcher.report = Some(*report);
    frame.rip = catcher.landing;
    frame.rsp = catcher.stack;
    frame.rflags = PLAIN_FLAGS;
    true
}

/// A closure on its way through assembly code, which knows no types.
pub(crate) struct Thunk<F, R> {
    pub(crate) closure: Option<F>,
    pub(crate) result: Option<R>,
}

impl<F: FnOnce() -> R, R> Thunk<F, R> {
    /// The function that runs a `Thunk` of this type, given a pointer to it.
    pub(crate) fn run_erased(&self) -> unsafe extern "C" fn(*mut ()) {
        /// Runs the closure and keeps its result.
        ///
        /// # Safety
        ///
        /// `call` points to a `Thunk<F, R>` that nobody else uses.
        unsafe extern "C" fn run<F: FnOnce() -> R, R>(call: *mut ()) {
            // SAFETY: the caller says so.
            let call = unsafe { &mut *call.cast::<Thunk<F, R>>() };
            if let Some(closure) = call.closure.take() {
                call.result = Some(closure());
            }
        }
        run::<F, R>
    }
}

/// Calls `function(argument)`, with all that is needed to come back noted in `catcher`.
///
/// # Safety
///
/// The function may be called with the argument; the catcher is valid and not used by others.
#[unsafe(naked)]
unsafe extern "C" fn enter(
    function: unsafe extern "C" fn(*mut ()),
    argument: *mut (),
    catcher: *mut Catcher,
) {
    naked_asm!(
        "push rbp; push rbx; push r12; push r13; push r14; push r15",
        "sub rsp, 8",
        "mov [rdx], rsp",
        "lea rax, [rip + 2f]",
        "mov [rdx + 8], rax",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "2:",
        "add rsp, 8",
        "pop r15; pop r14; pop r13; pop r12; pop rbx; pop rbp",
        "ret",
    )
}
