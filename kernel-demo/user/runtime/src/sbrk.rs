//! `sbrk`: the break of this process, which the kernel knows by its address only.
//!
//! The break is shared by all code of the process (C14): whoever moves it does it here, so that
//! where it stands can be known without a system call. One who moves it by a system call of his own
//! is noticed all the same, before anything of his is touched.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::PAGE;
use crate::system::Errno;
use crate::system::memory::brk;

/// Where the break stood when it was last asked for; 0 if it never was.
static KNOWN: AtomicUsize = AtomicUsize::new(0);

/// Where the break stands, as far as anybody here knows.
pub(crate) fn known() -> *mut u8 {
    let known = KNOWN.load(Ordering::Relaxed);
    ptr::with_exposed_provenance_mut(if known == 0 { ask() } else { known })
}

/// Where the break really stands.
fn ask() -> usize {
    // SAFETY: no break is that low, so nothing moves.
    note(unsafe { brk(0) })
}

fn note(brk: usize) -> usize {
    KNOWN.store(brk, Ordering::Relaxed);
    brk
}

/// Moves the break up by `by` bytes, which read as zero. Returns where they are. `sbrk(0)` asks
/// where the break stands.
///
/// # Errors
///
/// `ENOMEM`: the kernel refused. Nothing has changed.
pub fn sbrk(by: usize) -> Result<NonNull<[u8]>, Errno> {
    let from = ask();
    let to = from.checked_add(by).ok_or(Errno::ENOMEM)?;
    // SAFETY: the break moves up.
    if by > 0 && note(unsafe { brk(to) }) != to {
        return Err(Errno::ENOMEM);
    }
    let start = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(from)).ok_or(Errno::ENOMEM)?;
    // The first bytes may lie in a page that the break was in already, and somebody may have used
    // and given back what comes next.
    let used_page = from.next_multiple_of(PAGE) - from;
    // SAFETY: below the new break, above the old one, so nobody's.
    unsafe { start.write_bytes(0, used_page.min(by)) };
    Ok(NonNull::slice_from_raw_parts(start, by))
}

/// Moves the break down by `by` bytes: `sbrk(-by)`.
///
/// # Errors
///
/// * `EBUSY`: somebody moved the break since it was last asked for. What lies below it may be his.
/// * `EINVAL`: the kernel refused.
///
/// Nothing has changed.
///
/// # Safety
///
/// Nobody uses the `by` bytes below the break any more.
pub unsafe fn unsbrk(by: usize) -> Result<(), Errno> {
    let known = KNOWN.load(Ordering::Relaxed);
    let from = ask();
    if known != 0 && known != from {
        return Err(Errno::EBUSY);
    }
    let to = from.checked_sub(by).filter(|&to| to > 0).ok_or(Errno::EINVAL)?;
    // SAFETY: the caller's promise.
    if note(unsafe { brk(to) }) == to { Ok(()) } else { Err(Errno::EINVAL) }
}
