//! Processes: their beginning and end, and what they used.

use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr;

use linux_raw_sys::general::rusage;
use syscalls::{Sysno, syscall};

use super::Errno;

/// Do not wait: say if nobody has ended yet.
const WNOHANG: usize = linux_raw_sys::general::WNOHANG as usize;

/// Any child.
const ANY: isize = -1;

/// Who one is after a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The new process.
    Child,
    /// The one that called.
    Parent {
        /// The number of the new one.
        child: usize,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal: the kernel stopped it.
    Killed(u8),
}

impl Ending {
    /// Ended by a segmentation fault.
    pub const SEGMENTATION_FAULT: Self = Self::Killed(11);

    /// Ended by itself, and nothing was wrong.
    pub const WELL: Self = Self::Exited(0);

    /// Reads a wait status.
    const fn of_status(status: u32) -> Self {
        match status & 0x7F {
            0 => Self::Exited((status >> 8) as u8),
            signal => Self::Killed(signal as u8),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Killed(2) => f.write_str("interrupted"),
            Self::Killed(9) => f.write_str("killed"),
            Self::Killed(11) => f.write_str("segmentation fault"),
            Self::Killed(15) => f.write_str("terminated"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// What a process used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Page faults that were served.
    pub faults: usize,
    /// The most memory that it ever had, in KiB.
    pub peak_kib: usize,
}

/// Ends this process, with all its threads.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: nothing comes after it.
        let _ = unsafe { syscall!(Sysno::exit_group, status) };
    }
}

/// Makes a child that is a copy of this process.
///
/// # Errors
///
/// `EAGAIN`, `ENOMEM`.
pub fn fork() -> Result<Fork, Errno> {
    // SAFETY: a program forks while it has one thread, so the child has all that there was; or its
    // child uses nothing that other threads had.
    let child = unsafe { syscall!(Sysno::fork) }?;
    Ok(if child == 0 { Fork::Child } else { Fork::Parent { child } })
}

/// Makes another program of this process, and returns only if that cannot be. The first argument is
/// the program's name; there is no environment.
pub fn execve(path: &CStr, arguments: &[&CStr]) -> Errno {
    /// Maximum number of arguments.
    const MOST: usize = 32;
    let mut words = [ptr::null(); MOST + 1];
    if arguments.len() > MOST {
        return Errno::E2BIG;
    }
    words.iter_mut().zip(arguments).for_each(|(word, argument)| *word = argument.as_ptr());
    let none = [ptr::null::<u8>()];
    // SAFETY: the path and the lists end as they should; nothing of ours is left if it succeeds.
    let answer = unsafe { syscall!(Sysno::execve, path.as_ptr(), words.as_ptr(), none.as_ptr()) };
    answer.expect_err("a program that goes on is not this one")
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// None: asks whether there is such a process.
    None = 0,
    /// Ctrl-C.
    Interrupt = 2,
    /// Ends a process, whatever it does.
    Kill = 9,
    /// Ends a process.
    Terminate = 15,
}

/// Sends a signal to a process, or, if the number is negative, to a group.
///
/// # Errors
///
/// `ESRCH` if there is none of that number.
pub fn kill(whom: isize, signal: Signal) -> Result<(), Errno> {
    // SAFETY: it changes nothing of ours, unless it ends us.
    unsafe { syscall!(Sysno::kill, whom, signal as usize) }.map(drop)
}

/// Puts a process (0: this one) into a group (0: one of its own number).
///
/// # Errors
///
/// `ESRCH` if it is neither this one nor a child; `EPERM` if there is no such group.
pub fn setpgid(process: usize, group: usize) -> Result<(), Errno> {
    // SAFETY: it looks at nothing of ours.
    unsafe { syscall!(Sysno::setpgid, process, group) }.map(drop)
}

/// Waits for the signal that ends this process.
pub fn pause() -> ! {
    loop {
        // SAFETY: it looks at nothing of ours.
        let _ = unsafe { syscall!(Sysno::pause) };
    }
}

/// Waits for the end of a child.
///
/// # Errors
///
/// `ECHILD`: there is no such child.
pub fn wait_for(child: usize) -> Result<Ending, Errno> {
    wait4(child as isize, 0).map(|(_, ending)| ending)
}

/// Waits for the end of any child; returns its number as well.
///
/// # Errors
///
/// `ECHILD`: there is no child.
pub fn wait() -> Result<(usize, Ending), Errno> {
    wait4(ANY, 0)
}

/// The same, but does not wait: `None` if no child has ended.
///
/// # Errors
///
/// `ECHILD`: there is no child.
pub fn wait_not() -> Result<Option<(usize, Ending)>, Errno> {
    wait4(ANY, WNOHANG).map(|(child, ending)| (child != 0).then_some((child, ending)))
}

fn wait4(child: isize, options: usize) -> Result<(usize, Ending), Errno> {
    let mut status = 0_u32;
    // SAFETY: the status is borrowed for writing.
    let ended = unsafe { wait4_to(child, (&raw mut status).expose_provenance(), options) }?;
    Ok((ended, Ending::of_status(status)))
}

/// The system call itself: the status goes to any address, or nowhere if that is 0.
///
/// # Errors
///
/// `ECHILD`; `EFAULT` if the process could not write there itself.
///
/// # Safety
///
/// Four bytes there may be overwritten.
pub unsafe fn wait4_to(child: isize, status: usize, options: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::wait4, child, status, options, ptr::null::<rusage>()) }
}

/// The number of this process.
#[must_use]
pub fn getpid() -> usize {
    // SAFETY: it looks at nothing of ours.
    unsafe { syscalls::raw::syscall0(Sysno::getpid as usize) }
}

/// Lets others run.
pub fn sched_yield() {
    // SAFETY: it looks at nothing of ours. It does not fail.
    let _ = unsafe { syscall!(Sysno::sched_yield) };
}

/// What this process used so far.
///
/// # Panics
///
/// If the kernel does not say.
#[must_use]
pub fn usage() -> Usage {
    let mut usage = MaybeUninit::<rusage>::zeroed();
    // SAFETY: borrowed for writing. (0 is this process.)
    unsafe { getrusage_to(0, usage.as_mut_ptr().expose_provenance()) }
        .expect("a process may ask for what it used");
    // SAFETY: numbers, which are numbers whatever was written.
    let usage = unsafe { usage.assume_init() };
    Usage { faults: usage.ru_minflt as usize, peak_kib: usage.ru_maxrss as usize }
}

/// The system call itself, which writes to any address.
///
/// # Errors
///
/// `EINVAL`; `EFAULT` if the process could not write there itself.
///
/// # Safety
///
/// As many bytes there as the answer has may be overwritten.
pub unsafe fn getrusage_to(who: i32, address: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::getrusage, who, address) }.map(drop)
}
