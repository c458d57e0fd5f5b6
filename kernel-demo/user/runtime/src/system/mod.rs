//! System calls as functions.
//!
//! ```text
//!   io        write  read                                     memory    brk  mmap  munmap  mprotect  mremap
//!   process   exit  fork  execve  wait4  getpid  sched_yield            view      proc_view  proc_trace  frames_free
//!             getrusage  kill  setpgid  pause                           terminal  ioctl
//!   thread    clone  exit  gettid  futex  arch_prctl
//! ```
//!
//! Rules of this folder: each function is one system call, but for those whose text says otherwise.
//! Addresses are plain numbers where a wrong one is an error that the kernel reports, and pointers
//! where there is something behind them.

pub mod io;
pub mod memory;
pub mod process;
pub mod terminal;
pub mod thread;
pub mod view;

pub use syscalls::Errno;

/// A system call of any number, with arguments of zero: to see what the kernel says to one that it
/// does not have.
///
/// # Errors
///
/// `ENOSYS`, if the kernel has none of that number.
///
/// # Safety
///
/// If there is one, it does not change what others rely on.
pub unsafe fn unknown(number: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    Errno::from_ret(unsafe { raw(number, [0; 6]) })
}

/// A system call of any number, with any arguments. Returns what is in the result register.
///
/// # Safety
///
/// It does not change what others rely on.
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> usize {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller's promise.
    unsafe { syscalls::raw::syscall6(number, a, b, c, d, e, f) }
}
