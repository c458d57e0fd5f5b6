//! Bytes in and out.

use syscalls::{Sysno, syscall};

use super::Errno;

/// The file that is the standard input.
pub const INPUT: i32 = 0;

/// The file that is the standard output.
pub const OUTPUT: i32 = 1;

/// Writes; returns how many bytes it were.
///
/// # Errors
///
/// `EBADF`, and what else the file answers.
pub fn write(file: i32, bytes: &[u8]) -> Result<usize, Errno> {
    write_from(file, bytes.as_ptr().addr(), bytes.len())
}

/// [`write()`] from any address: the kernel reads there, or says that it cannot.
///
/// # Errors
///
/// As for [`write()`]; `EFAULT` if the process could not read there itself.
pub fn write_from(file: i32, address: usize, len: usize) -> Result<usize, Errno> {
    // SAFETY: the kernel reads what this process may read, and changes nothing of it.
    unsafe { syscall!(Sysno::write, file, address, len) }
}

/// Reads; returns how many bytes it were, 0 at the end.
///
/// # Errors
///
/// `EBADF`, and what else the file answers.
pub fn read(file: i32, bytes: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the bytes are borrowed for writing.
    unsafe { read_to(file, bytes.as_mut_ptr().addr(), bytes.len()) }
}

/// [`read`] to any address: the kernel writes there, or says that it cannot.
///
/// # Errors
///
/// As for [`read`]; `EFAULT` if the process could not write there itself.
///
/// # Safety
///
/// What of the range this process can write to may be overwritten.
pub unsafe fn read_to(file: i32, address: usize, len: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::read, file, address, len) }
}
