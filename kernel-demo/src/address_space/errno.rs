//! Error numbers of system calls: Linux's names, numbers and texts.

use core::fmt;

use crate::words::OutOfFrames;

/// Why a system call failed. A call that returns one has changed nothing, unless it says otherwise.
#[allow(clippy::upper_case_acronyms, reason = "Linux's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Errno {
    /// Not allowed, whoever asks.
    EPERM = 1,
    /// No such program.
    ENOENT = 2,
    /// No such process.
    ESRCH = 3,
    /// A process in the background reads from the terminal.
    EIO = 5,
    /// Too many or too long arguments.
    E2BIG = 7,
    /// The image is not a program that can run here.
    ENOEXEC = 8,
    /// Not an open file.
    EBADF = 9,
    /// There is no child to wait for.
    ECHILD = 10,
    /// Try later.
    EAGAIN = 11,
    /// Out of memory, of addresses, or of room in a list; or a range with a hole.
    ENOMEM = 12,
    /// The permissions forbid it.
    EACCES = 13,
    /// A pointer to what the process may not touch.
    EFAULT = 14,
    /// Something is there already.
    EEXIST = 17,
    /// An argument makes no sense.
    EINVAL = 22,
    /// Not a terminal, or nothing that one does.
    ENOTTY = 25,
    /// A number that is too large for what it stands for.
    ERANGE = 34,
    /// No such system call.
    ENOSYS = 38,
    /// The call has done a part of its work, and is made again. No program sees it.
    ERESTART = 85,
}

impl Errno {
    /// All of them, in the order of their numbers, with what `strerror` says.
    const TEXTS: [(Self, &'static str); 18] = [
        (Self::EPERM, "Operation not permitted"),
        (Self::ENOENT, "No such file or directory"),
        (Self::ESRCH, "No such process"),
        (Self::EIO, "Input/output error"),
        (Self::E2BIG, "Argument list too long"),
        (Self::ENOEXEC, "Exec format error"),
        (Self::EBADF, "Bad file descriptor"),
        (Self::ECHILD, "No child processes"),
        (Self::EAGAIN, "Resource temporarily unavailable"),
        (Self::ENOMEM, "Cannot allocate memory"),
        (Self::EACCES, "Permission denied"),
        (Self::EFAULT, "Bad address"),
        (Self::EEXIST, "File exists"),
        (Self::EINVAL, "Invalid argument"),
        (Self::ENOTTY, "Inappropriate ioctl for device"),
        (Self::ERANGE, "Numerical result out of range"),
        (Self::ENOSYS, "Function not implemented"),
        (Self::ERESTART, "Interrupted system call should be restarted"),
    ];

    /// Text that `strerror` has for it.
    pub fn text(self) -> &'static str {
        Self::TEXTS.iter().find(|(errno, _)| *errno == self).map_or("", |(_, text)| text)
    }

    /// The error that a system call has returned with this result.
    pub fn from_result(result: u64) -> Option<Self> {
        Self::TEXTS.iter().map(|(errno, _)| *errno).find(|errno| errno.to_result() == result)
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
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_are_returned_negative() {
        assert!(Errno::TEXTS.is_sorted_by(|a, b| (a.0 as u8) < b.0 as u8));
        assert_eq!(Errno::from_result(-12_i64 as u64), Some(Errno::ENOMEM));
        assert_eq!(Errno::from_result(12), None);
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
        for (errno, text) in Errno::TEXTS {
            let host = std::io::Error::from_raw_os_error(errno as i32).to_string();
            assert_eq!(host, format!("{text} (os error {})", errno as i32));
        }
    }
}
