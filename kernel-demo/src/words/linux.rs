//! Numbers of Linux's interface to programs: errors of system calls, signals, ends of processes.

use core::fmt;

use super::OutOfFrames;

/// Numbers with names and texts. A number is printed by its name.
macro_rules! numbers {
    (
        $(#[$about:meta])*
        $name:ident: $($(#[$meaning:meta])* $variant:ident = $number:literal, $text:literal;)+
    ) => {
        $(#[$about])*
        #[allow(clippy::upper_case_acronyms, reason = "Linux's names")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$meaning])* $variant = $number,)+
        }

        impl $name {
            /// Text that Linux has for it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The one of this number, if it is one of these.
            pub const fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

numbers! {
    /// Why a system call failed. A call that returns one has changed nothing, unless it says
    /// otherwise. Its text is that of `strerror`.
    Errno:
    /// Not allowed, whoever asks.
    EPERM = 1, "Operation not permitted";
    /// No such program.
    ENOENT = 2, "No such file or directory";
    /// No such process.
    ESRCH = 3, "No such process";
    /// A process in the background reads from the terminal.
    EIO = 5, "Input/output error";
    /// Too many or too long arguments.
    E2BIG = 7, "Argument list too long";
    /// The image is not a program that can run here.
    ENOEXEC = 8, "Exec format error";
    /// Not an open file.
    EBADF = 9, "Bad file descriptor";
    /// There is no child to wait for.
    ECHILD = 10, "No child processes";
    /// Try later.
    EAGAIN = 11, "Resource temporarily unavailable";
    /// Out of memory, of addresses, or of room in a list; or a range with a hole.
    ENOMEM = 12, "Cannot allocate memory";
    /// The permissions forbid it.
    EACCES = 13, "Permission denied";
    /// A pointer to what the process may not touch.
    EFAULT = 14, "Bad address";
    /// Something is there already.
    EEXIST = 17, "File exists";
    /// An argument makes no sense.
    EINVAL = 22, "Invalid argument";
    /// Not a terminal, or nothing that one does.
    ENOTTY = 25, "Inappropriate ioctl for device";
    /// A number that is too large for what it stands for.
    ERANGE = 34, "Numerical result out of range";
    /// No such system call.
    ENOSYS = 38, "Function not implemented";
    /// The call has done a part of its work, and is made again. No program sees it.
    ERESTART = 85, "Interrupted system call should be restarted";
}

impl Errno {
    /// The error that a system call has returned with this result.
    pub const fn from_result(result: u64) -> Option<Self> {
        Self::from_number(result.wrapping_neg())
    }

    /// What a system call returns in its result register: the negative number.
    pub const fn to_result(self) -> u64 {
        (self as u64).wrapping_neg()
    }
}

impl From<OutOfFrames> for Errno {
    fn from(_: OutOfFrames) -> Self {
        Self::ENOMEM
    }
}

numbers! {
    /// Why the kernel ended a process. Its text is what a shell says of one that it has ended.
    Signal:
    /// Ctrl-C on the terminal.
    SIGINT = 2, "Interrupted";
    /// An instruction that does not exist.
    SIGILL = 4, "Illegal instruction";
    /// A breakpoint or a single step, with nobody to debug.
    SIGTRAP = 5, "Trace/breakpoint trap";
    /// A misaligned access, where the processor minds.
    SIGBUS = 7, "Bus error";
    /// Arithmetic that has no result.
    SIGFPE = 8, "Floating point exception";
    /// There is no frame for memory that was granted.
    SIGKILL = 9, "Killed";
    /// An access to memory that is not the process's, or an instruction that is not for it.
    SIGSEGV = 11, "Segmentation fault";
    /// Another process asked for the end.
    SIGTERM = 15, "Terminated";
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It said so, with this code.
    Exited(u8),
    /// The kernel ended it.
    Killed(Signal),
}

impl Status {
    /// The word that `wait4` stores.
    ///
    /// ```text
    ///   exited     code << 8             WIFEXITED, WEXITSTATUS
    ///   killed     number of the signal  WIFSIGNALED, WTERMSIG
    /// ```
    pub const fn word(self) -> u32 {
        match self {
            Self::Exited(code) => (code as u32) << 8,
            Self::Killed(signal) => signal as u32,
        }
    }

    /// What the word says; `None` if it is none of ours.
    pub fn from_word(word: u32) -> Option<Self> {
        let killed_by = Signal::from_number(word.into()).map(Self::Killed);
        killed_by.or_else(|| (word & !0xff00 == 0).then_some(Self::Exited((word >> 8) as u8)))
    }

    /// What a shell has in `$?`.
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_linuxs() {
        assert_eq!(Errno::ENOMEM.to_result(), -12_i64 as u64);
        for number in 0..=u8::MAX.into() {
            let errno = Errno::from_number(number);
            assert!(errno.is_none_or(|errno| errno as u64 == number));
            assert_eq!(Errno::from_result(number.wrapping_neg()), errno);
        }
        assert_eq!(Errno::from_result(12), None);
        assert_eq!(Errno::ENOENT.to_string(), "ENOENT");
    }

    /// The host's own table is the oracle.
    #[test]
    #[cfg(target_os = "linux")]
    fn texts_are_those_of_the_host() {
        for errno in (0..=u8::MAX.into()).filter_map(Errno::from_number) {
            let host = std::io::Error::from_raw_os_error(errno as i32).to_string();
            assert_eq!(host, format!("{} (os error {})", errno.text(), errno as i32));
        }
    }

    #[test]
    fn signals_are_shown_by_name_and_by_text() {
        assert_eq!(Signal::SIGSEGV.to_string(), "SIGSEGV");
        assert_eq!(Signal::SIGSEGV.text(), "Segmentation fault");
    }

    #[test]
    fn the_word_is_linuxs() {
        assert_eq!(Status::Exited(0).word(), 0);
        assert_eq!(Status::Exited(7).word(), 0x700);
        assert_eq!(Status::Killed(Signal::SIGSEGV).word(), 11);
        assert_eq!(
            (Status::Exited(7).shell_code(), Status::Killed(Signal::SIGSEGV).shell_code()),
            (7, 139)
        );
        assert_eq!(Status::Killed(Signal::SIGKILL).shell_code(), 137);
        let killed: Vec<_> = (0..128).filter_map(Signal::from_number).map(Status::Killed).collect();
        assert_eq!(killed.len(), 8);
        for status in [0, 1, 255].map(Status::Exited).into_iter().chain(killed) {
            assert_eq!(Status::from_word(status.word()), Some(status));
        }
        assert_eq!((Status::from_word(1), Status::from_word(0x1_0000)), (None, None));
    }
}
