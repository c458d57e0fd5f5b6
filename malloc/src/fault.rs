//! The handler of page faults of a process that samples blocks: it says what the access was, and
//! passes the signal on to the program's handler.
//!
//! ```text
//!   SIGSEGV ─► handle ─► a report, if the address is one of the pool
//!                └─────► the program's action: its handler, or the default one
//!   sigaction, signal ─► the program's action is noted; the kernel keeps ours
//! ```
//!
//! The handler runs with the mask of signals, and on the stack, that the program asked for with its
//! own one. A program that ignores the signal has its way: then there is no report.

use core::ffi::{c_int, c_void};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use crate::{engine, errno, report};

/// Maximum number of reports: an access may fault for ever.
const MOST_REPORTS: usize = 16;

/// Bit of the error code of a page fault: the access was a write.
const WRITE: i64 = 1 << 1;

/// Flag that glibc adds to each action.
const SA_RESTORER: c_int = 0x0400_0000;

unsafe extern "C" {
    /// glibc's `sigaction`, which this library's stands in front of.
    fn __sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
}

/// The kernel has our handler, unless the program ignores the signal.
static IS_ACTIVE: AtomicBool = AtomicBool::new(false);

/// The process for which `PROGRAM` holds: not a child of `vfork`, which shares its memory.
static PROCESS: AtomicI32 = AtomicI32::new(0);

static REPORTS: AtomicUsize = AtomicUsize::new(0);

/// The action of the program for the signal.
struct Action {
    handler: AtomicUsize,
    flags: AtomicI32,
    mask: AtomicU64,
}

static PROGRAM: Action = Action {
    handler: AtomicUsize::new(libc::SIG_DFL),
    flags: AtomicI32::new(0),
    mask: AtomicU64::new(0),
};

impl Action {
    fn store(&self, action: &libc::sigaction) {
        self.handler.store(action.sa_sigaction, Ordering::Relaxed);
        self.flags.store(action.sa_flags, Ordering::Relaxed);
        // SAFETY: a set of signals is longer; the kernel's signals are its first 64 bits.
        let mask = unsafe { (&raw const action.sa_mask).cast::<u64>().read() };
        self.mask.store(mask, Ordering::Relaxed);
    }

    fn load(&self) -> libc::sigaction {
        // SAFETY: zeros are a valid value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = self.handler.load(Ordering::Relaxed);
        action.sa_flags = self.flags.load(Ordering::Relaxed);
        // SAFETY: as in `store`.
        unsafe {
            (&raw mut action.sa_mask).cast::<u64>().write(self.mask.load(Ordering::Relaxed));
        }
        action
    }
}

/// Calls glibc's `sigaction` for the signal.
fn set(new: Option<&libc::sigaction>, old: *mut libc::sigaction) -> c_int {
    // SAFETY: both are valid, or null.
    unsafe { __sigaction(libc::SIGSEGV, new.map_or(ptr::null(), ptr::from_ref), old) }
}

/// Gives the kernel our handler, in place of a handler of the program.
fn install(program: &libc::sigaction) -> c_int {
    if program.sa_sigaction == libc::SIG_IGN {
        return set(Some(program), ptr::null_mut());
    }
    let mut action = *program;
    if program.sa_sigaction == libc::SIG_DFL {
        action.sa_flags = libc::SA_ONSTACK;
    }
    action.sa_flags = (action.sa_flags | libc::SA_SIGINFO) & !libc::SA_RESETHAND;
    action.sa_sigaction = handle as *const () as usize;
    set(Some(&action), ptr::null_mut())
}

/// Begins to handle faults.
pub(crate) fn start() {
    postfork_child();
    let mut program = PROGRAM.load();
    if set(None, &raw mut program) == 0 {
        PROGRAM.store(&program);
        IS_ACTIVE.store(install(&program) == 0, Ordering::Relaxed);
    }
}

/// In the child of a fork.
pub(crate) fn postfork_child() {
    // SAFETY: `getpid` has no preconditions.
    PROCESS.store(unsafe { libc::getpid() }, Ordering::Relaxed);
}

/// Returns whether a change of the action of a signal is for this file to note.
pub(crate) fn is_noted(signal: c_int) -> bool {
    signal == libc::SIGSEGV
        && IS_ACTIVE.load(Ordering::Relaxed)
        // SAFETY: `getpid` has no preconditions.
        && unsafe { libc::getpid() } == PROCESS.load(Ordering::Relaxed)
}

/// `sigaction` for a signal that is [noted](is_noted).
///
/// # Safety
///
/// Both are valid, or null.
pub(crate) unsafe fn sigaction(new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int {
    let before = PROGRAM.load();
    // SAFETY: valid, or null.
    if let Some(new) = unsafe { new.as_ref() } {
        PROGRAM.store(&libc::sigaction { sa_flags: new.sa_flags | SA_RESTORER, ..*new });
        let status = install(new);
        if status != 0 {
            PROGRAM.store(&before);
            return status;
        }
    }
    // SAFETY: valid, or null.
    if let Some(old) = unsafe { old.as_mut() } {
        *old = before;
    }
    0
}

/// glibc's `sigaction`, for any other signal.
///
/// # Safety
///
/// Both are valid, or null.
pub(crate) unsafe fn pass_on(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the clauses are those of this function.
    unsafe { __sigaction(signal, new, old) }
}

/// Handler of the signal.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes valid pointers.
    let (code, address, machine) = unsafe {
        let machine = (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        ((*info).si_code, (*info).si_addr().addr(), machine)
    };
    errno::preserving(|| {
        let is_fault = code > 0;
        if let Some(report) = engine::explain(address).filter(|_| is_fault)
            && REPORTS.fetch_add(1, Ordering::Relaxed) < MOST_REPORTS
        {
            let access =
                if machine.gregs[libc::REG_ERR as usize] & WRITE != 0 { "write" } else { "read" };
            let instruction = machine.gregs[libc::REG_RIP as usize];
            report::short_line(format_args!(
                "{report}; a {access} by the instruction at {instruction:#x}"
            ));
        }
        pass_signal_on(signal, info, context, is_fault);
    });
}

/// Does what the program has asked for.
fn pass_signal_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, is_fault: bool) {
    let program = PROGRAM.load();
    match program.sa_sigaction {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            set(Some(&program), ptr::null_mut());
            if !is_fault {
                // Nothing repeats the signal when the handler returns.
                // SAFETY: sends a signal to this thread, which has it masked.
                unsafe {
                    libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal);
                }
            }
        }
        handler => {
            if program.sa_flags & libc::SA_RESETHAND != 0 {
                PROGRAM.handler.store(libc::SIG_DFL, Ordering::Relaxed);
            }
            let handler: *const () = ptr::with_exposed_provenance(handler);
            // SAFETY: a handler of the program, called with what the kernel passed.
            unsafe {
                if program.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                        mem::transmute(handler);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(c_int) = mem::transmute(handler);
                    handler(signal);
                }
            }
        }
    }
}
