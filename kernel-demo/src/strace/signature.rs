//! System calls as their callers see them; `calls/list.rs` has them all.

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
