//! The two system calls that Linux does not have: a look at this process, and at the machine.

use super::Errno;

/// Above all numbers that Linux has.
const PROC_VIEW: usize = 1000;
const FRAMES_FREE: usize = 1001;

/// A text about this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Its regions, one a line.
    Maps,
    /// Its regions, with what of each is in memory.
    Smaps,
    /// Its sums.
    Status,
}

/// Writes the text and returns how long it is.
///
/// # Errors
///
/// `ERANGE` if there is no room for all of it; `ENOSYS` on Linux.
pub fn proc_view(view: View, text: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into what is borrowed for writing.
    Errno::from_ret(unsafe {
        syscalls::raw::syscall3(
            PROC_VIEW,
            view as usize,
            text.as_mut_ptr().expose_provenance(),
            text.len(),
        )
    })
}

/// How many frames of the machine nobody has.
///
/// # Errors
///
/// `ENOSYS` on Linux.
pub fn frames_free() -> Result<usize, Errno> {
    // SAFETY: it looks at nothing of ours.
    Errno::from_ret(unsafe { syscalls::raw::syscall0(FRAMES_FREE) })
}
