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
    /// Address of the path of a program, which ends with a zero.
    Path,
    /// Bits with names, and the name of none, as in `PROT_READ|PROT_WRITE`.
    Flags(&'static Names, &'static str),
    /// A 32-bit number with a name, as in `FUTEX_WAIT`.
    Choice(&'static Names),
    /// Address where the call stores how a child ended.
    StatusOut,
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

/// Numbers or bits, and their names.
pub type Names = [(u64, &'static str)];

/// Of `mmap` and `mprotect`.
pub const PROTECTION: &Names = &[(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];
/// Of `mmap`.
pub const MAP_FLAGS: &Names = &[
    (0x01, "MAP_SHARED"),
    (0x02, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x4000, "MAP_NORESERVE"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];
/// Of `wait4`.
pub const WAIT_OPTIONS: &Names = &[(1, "WNOHANG")];
/// Of `clone`.
pub const CLONE_FLAGS: &Names = &[
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1_0000, "CLONE_THREAD"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
];
/// Of `futex`.
pub const FUTEX_OPERATIONS: &Names = &[
    (0, "FUTEX_WAIT"),
    (1, "FUTEX_WAKE"),
    (128, "FUTEX_WAIT_PRIVATE"),
    (129, "FUTEX_WAKE_PRIVATE"),
];
/// Of `arch_prctl`.
pub const ARCH_CODES: &Names = &[(0x1002, "ARCH_SET_FS"), (0x1003, "ARCH_GET_FS")];
/// Of `getrusage`.
pub const WHO: &Names = &[(0, "RUSAGE_SELF"), (0xFFFF_FFFF, "RUSAGE_CHILDREN")];

/// Of `ioctl`.
pub const REQUESTS: &Names =
    &[(0x5401, "TCGETS"), (0x5402, "TCSETS"), (0x540F, "TIOCGPGRP"), (0x5410, "TIOCSPGRP")];
/// Of `kill`.
pub const SIGNALS: &Names = &[(2, "SIGINT"), (9, "SIGKILL"), (15, "SIGTERM")];

use Argument::{Address, Choice, Flags, Int, Path, Size, StatusOut, TextIn, TextOut, UsageOut};

const PROT: Argument = Flags(PROTECTION, "PROT_NONE");

/// `read(fd, buf, count)`
pub const READ: Signature = call(0, "read", &[Int, TextOut, Size], Int);
/// `write(fd, buf, count)`
pub const WRITE: Signature = call(1, "write", &[Int, TextIn, Size], Int);
/// `mmap(addr, length, prot, flags, fd, offset)`
pub const MMAP: Signature =
    call(9, "mmap", &[Address, Size, PROT, Flags(MAP_FLAGS, "0"), Int, Size], Address);
/// `mprotect(addr, length, prot)`
pub const MPROTECT: Signature = call(10, "mprotect", &[Address, Size, PROT], Int);
/// `munmap(addr, length)`
pub const MUNMAP: Signature = call(11, "munmap", &[Address, Size], Int);
/// `brk(addr)`
pub const BRK: Signature = call(12, "brk", &[Address], Address);
/// `ioctl(fd, request, arg)`
pub const IOCTL: Signature = call(16, "ioctl", &[Int, Choice(REQUESTS), Address], Int);
/// `sched_yield()`
pub const SCHED_YIELD: Signature = call(24, "sched_yield", &[], Int);
/// `pause()`
pub const PAUSE: Signature = call(34, "pause", &[], Int);
/// `getpid()`
pub const GETPID: Signature = call(39, "getpid", &[], Int);
/// `clone(flags, stack, parent_tid, child_tid, tls)`
pub const CLONE: Signature =
    call(56, "clone", &[Flags(CLONE_FLAGS, "0"), Address, Address, Address, Address], Int);
/// `fork()`
pub const FORK: Signature = call(57, "fork", &[], Int);
/// `execve(path, argv, envp)`
pub const EXECVE: Signature = call(59, "execve", &[Path, Address, Address], Int);
/// `exit(status)`
pub const EXIT: Signature = call(60, "exit", &[Int], Int);
/// `wait4(pid, wstatus, options, rusage)`
pub const WAIT4: Signature =
    call(61, "wait4", &[Int, StatusOut, Flags(WAIT_OPTIONS, "0"), UsageOut], Int);
/// `kill(pid, signal)`
pub const KILL: Signature = call(62, "kill", &[Int, Choice(SIGNALS)], Int);
/// `getrusage(who, usage)`
pub const GETRUSAGE: Signature = call(98, "getrusage", &[Choice(WHO), UsageOut], Int);
/// `setpgid(pid, pgid)`
pub const SETPGID: Signature = call(109, "setpgid", &[Int, Int], Int);
/// `arch_prctl(code, addr)`
pub const ARCH_PRCTL: Signature = call(158, "arch_prctl", &[Choice(ARCH_CODES), Address], Int);
/// `gettid()`
pub const GETTID: Signature = call(186, "gettid", &[], Int);
/// `futex(uaddr, futex_op, val, timeout)`
pub const FUTEX: Signature =
    call(202, "futex", &[Address, Choice(FUTEX_OPERATIONS), Int, Address], Int);
/// `set_tid_address(tidptr)`
pub const SET_TID_ADDRESS: Signature = call(218, "set_tid_address", &[Address], Int);
/// `exit_group(status)`
pub const EXIT_GROUP: Signature = call(231, "exit_group", &[Int], Int);
/// `process_vm_readv(pid, to, 1, from, 1, 0)`
pub const PROCESS_VM_READV: Signature =
    call(310, "process_vm_readv", &[Int, Address, Size, Address, Size, Size], Size);
/// `proc_view(kind, buf, size, pid, address)`: the text of a view of a process (0: the caller), or
/// of the machine. Not Linux's; there it is a file.
pub const PROC_VIEW: Signature = call(1000, "proc_view", &[Int, TextOut, Size, Int, Address], Int);
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
