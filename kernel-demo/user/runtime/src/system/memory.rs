//! The address space: the break, and mappings.

use core::ptr::{self, NonNull};

use bitflags::bitflags;
use linux_raw_sys::general as linux;
use syscalls::{Sysno, syscall};

use super::Errno;

bitflags! {
    /// What may be done with a page. None of these: nothing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Protection: u32 {
        /// Its bytes can be read.
        const READ = linux::PROT_READ;
        /// They can be written.
        const WRITE = linux::PROT_WRITE;
        /// They can be executed.
        const EXECUTE = linux::PROT_EXEC;
    }
}

bitflags! {
    /// What sort of mapping is asked for, and where.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapFlags: u32 {
        /// Writes are this process's own.
        const PRIVATE = linux::MAP_PRIVATE;
        /// Children made later have the same pages.
        const SHARED = linux::MAP_SHARED;
        /// There is no file behind it: zeroed pages.
        const ANONYMOUS = linux::MAP_ANONYMOUS;
        /// Exactly at the address; what is there goes.
        const FIXED = linux::MAP_FIXED;
        /// Exactly at the address, if nothing is there.
        const FIXED_NOREPLACE = linux::MAP_FIXED_NOREPLACE;
    }
}

bitflags! {
    /// How a mapping may be resized.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RemapFlags: u32 {
        /// It may move.
        const MAY_MOVE = linux::MREMAP_MAYMOVE;
        /// It must move, to the address given.
        const FIXED = linux::MREMAP_FIXED;
    }
}

/// Moves the break to `to` and returns where it then stands: `to`, or, if the kernel refuses, where
/// it stood.
///
/// # Safety
///
/// Nobody uses what lies between `to` and a higher break.
pub unsafe fn brk(to: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { syscalls::raw::syscall1(Sysno::brk as usize, to) }
}

/// Maps `len` bytes. `hint` is an address, or 0 for any.
///
/// # Errors
///
/// `EINVAL`, `ENOMEM`, `EBADF`, `EEXIST`, `EACCES`, as in mmap(2).
///
/// # Safety
///
/// With [`FIXED`](MapFlags::FIXED), nobody uses what lies there.
pub unsafe fn mmap(
    hint: usize,
    len: usize,
    protection: Protection,
    flags: MapFlags,
    file: i32,
    offset: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::mmap, hint, len, protection.bits(), flags.bits(), file, offset) }
}

/// Maps `len` zeroed bytes where the kernel finds room.
///
/// # Errors
///
/// `EINVAL`, `ENOMEM`.
pub fn map_anonymous(
    len: usize,
    protection: Protection,
    flags: MapFlags,
) -> Result<NonNull<u8>, Errno> {
    let flags = (flags | MapFlags::ANONYMOUS) & !(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
    // SAFETY: a place that nothing else has.
    let start = unsafe { mmap(0, len, protection, flags, -1, 0) }?;
    NonNull::new(ptr::with_exposed_provenance_mut(start)).ok_or(Errno::ENOMEM)
}

/// Unmaps every page in a range, mapped or not.
///
/// # Errors
///
/// `EINVAL`.
///
/// # Safety
///
/// Nobody uses what lies there.
pub unsafe fn munmap(start: usize, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::munmap, start, len) }.map(drop)
}

/// Changes what may be done with the pages of a range.
///
/// # Errors
///
/// `EINVAL`, `ENOMEM`, `EACCES`.
///
/// # Safety
///
/// Nobody uses what lies there in a way that is then forbidden.
pub unsafe fn mprotect(start: usize, len: usize, protection: Protection) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::mprotect, start, len, protection.bits()) }.map(drop)
}

/// Resizes or moves a mapping and returns where it is then.
///
/// # Errors
///
/// `EINVAL`, `ENOMEM`, `EFAULT`.
///
/// # Safety
///
/// What is cut off or moved away, or lies where it is moved to, is not used any more.
pub unsafe fn mremap(
    start: usize,
    len: usize,
    new_len: usize,
    flags: RemapFlags,
    to: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { syscall!(Sysno::mremap, start, len, new_len, flags.bits(), to) }
}

/// Resizes a mapping, which may move. Returns where it is then.
///
/// # Errors
///
/// `EINVAL`, `ENOMEM`, `EFAULT`. The mapping is as it was.
///
/// # Safety
///
/// It is one mapping, and after `Ok` only its new place is used.
pub unsafe fn resize_mapping(
    start: NonNull<u8>,
    len: usize,
    new_len: usize,
) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the caller's promise.
    let moved = unsafe { mremap(start.addr().get(), len, new_len, RemapFlags::MAY_MOVE, 0) }?;
    NonNull::new(ptr::with_exposed_provenance_mut(moved)).ok_or(Errno::ENOMEM)
}
