//! The system calls: numbers, names, and what their arguments are. Numbers and order of arguments
//! are Linux's for x86-64.

/// What an argument, or a result, is. Says how a trace shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A signed 32-bit number: a file descriptor, a process, an exit code.
    Int,
    /// A number of bytes, or any other unsigned number.
    Size,
    /// An address.
    Address,
    /// Address of text that the call reads; its length is the next argument.
    TextIn,
    /// Address of text that the call writes; its length is the result.
    TextOut,
    /// `PROT_READ|…`.
    Protection,
    /// `MAP_PRIVATE|…`.
    MapFlags,
    /// `CLONE_VM|…`.
    CloneFlags,
    /// `FUTEX_WAIT`.
    FutexOperation,
    /// `ARCH_SET_FS`.
    ArchCode,
    /// `WNOHANG`.
    WaitOptions,
    /// Address where the call stores how a child ended.
    StatusOut,
    /// `RUSAGE_SELF`.
    Who,
    /// Address where the call stores what was used.
    UsageOut,
}

/// A system call as its caller sees it.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// What the caller puts into `rax`.
    pub number: u64,
    /// Its name in C.
    pub name: &'static str,
    /// What its arguments are: `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`.
    pub arguments: &'static [Argument],
    /// What comes back.
    pub result: Argument,
}

const fn call(
    number: u64,
    name: &'static str,
    arguments: &'static [Argument],
    result: Argument,
) -> Signature {
    Signature { number, name, arguments, result }
}

use Argument::{
    Address, ArchCode, CloneFlags, FutexOperation, Int, MapFlags, Protection, Size, StatusOut,
    TextIn, TextOut, UsageOut, WaitOptions, Who,
};

/// `read(fd, buf, count)`
pub const READ: Signature = call(0, "read", &[Int, TextOut, Size], Int);
/// `write(fd, buf, count)`
pub const WRITE: Signature = call(1, "write", &[Int, TextIn, Size], Int);
/// `mmap(addr, length, prot, flags, fd, offset)`
pub const MMAP: Signature =
    call(9, "mmap", &[Address, Size, Protection, MapFlags, Int, Size], Address);
/// `mprotect(addr, length, prot)`
pub const MPROTECT: Signature = call(10, "mprotect", &[Address, Size, Protection], Int);
/// `munmap(addr, length)`
pub const MUNMAP: Signature = call(11, "munmap", &[Address, Size], Int);
/// `brk(addr)`
pub const BRK: Signature = call(12, "brk", &[Address], Address);
/// `ioctl(fd, request, arg)`
pub const IOCTL: Signature = call(16, "ioctl", &[Int, Address, Address], Int);
/// `sched_yield()`
pub const SCHED_YIELD: Signature = call(24, "sched_yield", &[], Int);
/// `pause()`
pub const PAUSE: Signature = call(34, "pause", &[], Int);
/// `getpid()`
pub const GETPID: Signature = call(39, "getpid", &[], Int);
/// `clone(flags, stack, parent_tid, child_tid, tls)`
pub const CLONE: Signature =
    call(56, "clone", &[CloneFlags, Address, Address, Address, Address], Int);
/// `fork()`
pub const FORK: Signature = call(57, "fork", &[], Int);
/// `execve(path, argv, envp)`
pub const EXECVE: Signature = call(59, "execve", &[Address, Address, Address], Int);
/// `exit(status)`
pub const EXIT: Signature = call(60, "exit", &[Int], Int);
/// `wait4(pid, wstatus, options, rusage)`
pub const WAIT4: Signature = call(61, "wait4", &[Int, StatusOut, WaitOptions, UsageOut], Int);
/// `kill(pid, signal)`
pub const KILL: Signature = call(62, "kill", &[Int, Int], Int);
/// `getrusage(who, usage)`
pub const GETRUSAGE: Signature = call(98, "getrusage", &[Who, UsageOut], Int);
/// `setpgid(pid, pgid)`
pub const SETPGID: Signature = call(109, "setpgid", &[Int, Int], Int);
/// `arch_prctl(code, addr)`
pub const ARCH_PRCTL: Signature = call(158, "arch_prctl", &[ArchCode, Address], Int);
/// `gettid()`
pub const GETTID: Signature = call(186, "gettid", &[], Int);
/// `futex(uaddr, futex_op, val, timeout)`
pub const FUTEX: Signature = call(202, "futex", &[Address, FutexOperation, Int, Address], Int);
/// `set_tid_address(tidptr)`
pub const SET_TID_ADDRESS: Signature = call(218, "set_tid_address", &[Address], Int);
/// `exit_group(status)`
pub const EXIT_GROUP: Signature = call(231, "exit_group", &[Int], Int);
/// `process_vm_readv(pid, to, 1, from, 1, 0)`
pub const PROCESS_VM_READV: Signature =
    call(310, "process_vm_readv", &[Int, Address, Size, Address, Size, Size], Size);
/// `proc_view(kind, buf, size, pid, address)`: the text of a view of a process (0: the caller), or
/// of the machine. Not Linux's; there it is a file.
pub const PROC_VIEW: Signature = call(1000, "proc_view", &[Int, Address, Size, Int, Address], Int);
/// `frames_free()`: frames of the machine that are free. Not Linux's.
pub const FRAMES_FREE: Signature = call(1001, "frames_free", &[], Size);
/// `proc_trace(pid, level)`: what is written down of a process (0: the caller). Not Linux's.
pub const PROC_TRACE: Signature = call(1002, "proc_trace", &[Int, Int], Int);
/// `heap_register(layout)`: how the cells of the caller's heap are laid out. Not Linux's.
pub const HEAP_REGISTER: Signature = call(1003, "heap_register", &[Address], Int);
/// `heap_layout(pid, layout)`: what a process (0: the caller) has registered. Not Linux's.
pub const HEAP_LAYOUT: Signature = call(1004, "heap_layout", &[Int, Address], Int);
/// `screen(row, text, colour)`: a row of the text screen. Not Linux's.
pub const SCREEN: Signature = call(1005, "screen", &[Int, Address, Int], Int);
