//! Error numbers of system calls: Linux's names, numbers and texts.

use core::fmt;

use crate::words::OutOfFrames;

/// Declares [`Errno`], with the name and the text of each number.
macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)+) => {
        /// Why a system call failed. A call that returns one has changed nothing, unless it says
        /// otherwise.
        #[allow(clippy::upper_case_acronyms, reason = "Linux's names")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Errno {
            $($(#[$doc])* $name = $number,)+
        }

        impl Errno {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name, `ENOMEM` for example.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What `strerror` says about it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

errors! {
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
    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
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

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_are_returned_negative() {
        assert!(Errno::ALL.is_sorted_by(|a, b| a.number() < b.number()));
        assert_eq!(Errno::ENOMEM.to_result().cast_signed(), -12);
        assert_eq!(
            format!("-1 {} ({})", Errno::ENOMEM, Errno::ENOMEM.text()),
            "-1 ENOMEM (Cannot allocate memory)"
        );
    }

    /// The host's own table is the oracle.
    #[test]
    #[cfg(target_os = "linux")]
    fn texts_are_those_of_the_host() {
        for errno in Errno::ALL {
            let host = std::io::Error::from_raw_os_error(errno.number().into()).to_string();
            assert_eq!(host, format!("{} (os error {})", errno.text(), errno.number()));
        }
    }
}
