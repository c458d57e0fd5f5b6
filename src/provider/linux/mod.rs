//! The memory and the threads of Linux, for programs with std (feature `linux`).
//!
//! ```text
//!   LinuxBreak    a reserve of addresses, whose end moves                 brk.rs
//!   LinuxMap      mmap, munmap and mremap for large blocks                map.rs
//!   LinuxThreads  a slot for each thread, which is free when it ends      threads.rs
//! ```

mod brk;
mod map;
mod threads;

pub use brk::LinuxBreak;
pub use map::LinuxMap;
pub use threads::LinuxThreads;

use core::ptr::{self, NonNull};

/// Returns the page size, in bytes.
fn page() -> usize {
    // SAFETY: `sysconf` has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    #[cfg(test)]
    let page = page * tests::PAGES.get();
    usize::try_from(page).unwrap_or(4096)
}

/// Maps `len` bytes at addresses that the kernel chooses.
fn map(len: usize, access: libc::c_int, flags: libc::c_int) -> Option<NonNull<u8>> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: without `MAP_FIXED` the kernel chooses unused addresses.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

#[cfg(test)]
mod tests;
