//! What brkalloc's heap needs, given by system calls: the process's break, and its mappings.

use core::ptr::NonNull;

use brkalloc::{Break, BreakError, Map, MapError};

use crate::system::Errno;
use crate::system::memory::{self, MapFlags, Protection};
use crate::{PAGE, sbrk};

/// The break of this process. There is one, whoever names it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessBreak;

// SAFETY: the kernel gives each page between the start of the break and the break on first touch,
// and nobody else uses what was granted here, unless he moves the break without asking anybody.
// `sbrk` answers with what lies between the old and the new break, all of it zero.
unsafe impl Break for ProcessBreak {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    fn end(&self) -> *mut u8 {
        sbrk::known()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        sbrk::sbrk(by).map_err(|_| BreakError::OutOfMemory)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the caller's promise, if the break stands where he was told that it does; else
        // this is an error.
        unsafe { sbrk::unsbrk(by) }.map_err(|_| BreakError::Refused)
    }
}

/// Mappings of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessMap;

// SAFETY: the kernel chooses addresses that nothing else has, gives zeroed pages, and moves a
// mapping with its contents.
unsafe impl Map for ProcessMap {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        memory::map_anonymous(len, Protection::READ | Protection::WRITE, MapFlags::PRIVATE)
            .map_err(of_errno)
    }

    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        // SAFETY: the caller's promise.
        unsafe { memory::munmap(start.addr().get(), len) }.map_err(of_errno)
    }

    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError> {
        // SAFETY: the caller's promise.
        unsafe { memory::resize_mapping(start, len, new_len) }.map_err(of_errno)
    }
}

fn of_errno(errno: Errno) -> MapError {
    match errno {
        Errno::ENOMEM => MapError::OutOfMemory,
        _ => MapError::Refused,
    }
}
