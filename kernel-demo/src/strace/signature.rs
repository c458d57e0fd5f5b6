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

/// Linux's constants, and a table of their names.
macro_rules! names {
    ($(#[$about:meta])* $table:ident: $($name:ident = $number:literal),+) => {
        $(#[$about])*
        pub const $table: &Names = &[$(($number, stringify!($name))),+];
        $(
            #[expect(missing_docs, reason = "the name is Linux's")]
            pub const $name: u64 = $number;
        )+
    };
}

names!(
    /// Permissions, for `mmap` and `mprotect`.
    PROTECTION: PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4
);
names!(
    /// Flags of `mmap`.
    MAP_FLAGS: MAP_SHARED = 0x01, MAP_PRIVATE = 0x02, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
    MAP_NORESERVE = 0x4000, MAP_FIXED_NOREPLACE = 0x10_0000
);
names!(
    /// Options of `wait4`.
    WAIT_OPTIONS: WNOHANG = 1
);
names!(
    /// Flags of `clone`.
    CLONE_FLAGS: CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800,
    CLONE_THREAD = 0x1_0000, CLONE_SYSVSEM = 0x4_0000, CLONE_SETTLS = 0x8_0000,
    CLONE_PARENT_SETTID = 0x10_0000, CLONE_CHILD_CLEARTID = 0x20_0000,
    CLONE_CHILD_SETTID = 0x100_0000
);
names!(
    /// Operations of `futex`.
    FUTEX_OPERATIONS: FUTEX_WAIT = 0, FUTEX_WAKE = 1,
    FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129
);
names!(
    /// Codes of `arch_prctl`.
    ARCH_CODES: ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003
);
names!(
    /// Processes that `getrusage` counts.
    WHO: RUSAGE_SELF = 0, RUSAGE_CHILDREN = 0xFFFF_FFFF
);
names!(
    /// Requests of `ioctl`.
    REQUESTS: TCGETS = 0x5401, TCSETS = 0x5402, TIOCGPGRP = 0x540F, TIOCSPGRP = 0x5410
);

/// Signals that `kill` sends.
pub const SIGNALS: &Names = &[(2, "SIGINT"), (9, "SIGKILL"), (15, "SIGTERM")];
