//! Threads: their beginning and end, thread-local storage, and words to wait for.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

use linux_raw_sys::general as linux;
use syscalls::{Sysno, syscall};

use super::Errno;

/// `ARCH_SET_FS`: the base of FS is set.
const ARCH_SET_FS: usize = 0x1002;

/// What threads of one process have in common: all of it.
const THREAD: u32 = linux::CLONE_VM
    | linux::CLONE_FS
    | linux::CLONE_FILES
    | linux::CLONE_SIGHAND
    | linux::CLONE_THREAD
    | linux::CLONE_SYSVSEM;

/// Sets the base of FS of the calling thread.
///
/// # Errors
///
/// `EPERM`: the address is not a process's.
///
/// # Safety
///
/// No code of the thread relies on what FS was, and what FS is used for lies there.
pub unsafe fn set_fs(address: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::arch_prctl, ARCH_SET_FS, address) }.map(drop)
}

/// Makes a thread that calls `entry(argument)` on the stack that ends at `stack`, with the base of
/// FS at `fs`. Returns its number, which also stands in `tid` until the thread has ended: then that
/// is 0, and who waits there is woken.
///
/// # Errors
///
/// `EAGAIN`, `ENOMEM`.
///
/// # Safety
///
/// `stack` is a multiple of 16. The stack, `tid` and what is at `fs` stay until `tid` is 0, and
/// nobody else uses the stack.
pub unsafe fn clone(
    entry: extern "C" fn(*mut ()) -> !,
    argument: *mut (),
    stack: *mut u8,
    tid: &AtomicU32,
    fs: *const (),
) -> Result<usize, Errno> {
    let flags =
        THREAD | linux::CLONE_SETTLS | linux::CLONE_PARENT_SETTID | linux::CLONE_CHILD_CLEARTID;
    let result: usize;
    // SAFETY: in the new thread, nothing of this function's stack is used: `rsp` is another, and
    // what is needed is in registers. It never returns.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") Sysno::clone as usize => result,
            in("rdi") flags as usize,
            in("rsi") stack,
            in("rdx") tid.as_ptr(),
            in("r10") tid.as_ptr(),
            in("r8") fs,
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    Errno::from_ret(result)
}

/// Ends the calling thread; the process goes on if it has others.
pub fn exit_thread() -> ! {
    loop {
        // SAFETY: nothing comes after it.
        let _ = unsafe { syscall!(Sysno::exit, 0) };
    }
}

/// The number of the calling thread.
#[must_use]
pub fn gettid() -> usize {
    // SAFETY: it looks at nothing of ours.
    unsafe { syscalls::raw::syscall0(Sysno::gettid as usize) }
}

/// Waits until the thread is woken at the word, if that has this value.
///
/// # Errors
///
/// `EAGAIN`: it has another value.
pub fn futex_wait(word: &AtomicU32, value: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads what is borrowed. (No time limit.)
    unsafe { syscall!(Sysno::futex, word.as_ptr(), linux::FUTEX_WAIT, value, 0) }.map(drop)
}

/// Wakes at most so many threads that wait at the word; returns how many.
pub fn futex_wake(word: &AtomicU32, most: u32) -> usize {
    // SAFETY: nothing is changed but who waits.
    unsafe { syscall!(Sysno::futex, word.as_ptr(), linux::FUTEX_WAKE, most) }.unwrap_or(0)
}
