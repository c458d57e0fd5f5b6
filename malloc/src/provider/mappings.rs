//! Mappings, for large blocks (C15).

use core::ffi::c_int;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{Map, MapError};

use super::figures;
use super::refusal::{self, Refusal};
use crate::errno;
use crate::request::PAGE;

/// The last refusal of addresses.
static ADDRESSES: Refusal = Refusal::new();

/// The last refusal of memory behind them.
static MEMORY: Refusal = Refusal::new();

/// Start and end of the mapping that was unmapped last; both 0 if another one has its addresses.
static UNMAPPED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn set_unmapped(range: Range<usize>) {
    UNMAPPED[0].store(range.start, Ordering::Relaxed);
    UNMAPPED[1].store(range.end, Ordering::Relaxed);
}

fn unmapped() -> Range<usize> {
    UNMAPPED[0].load(Ordering::Relaxed)..UNMAPPED[1].load(Ordering::Relaxed)
}

/// Returns whether an address lies in the mapping that was unmapped last.
pub(crate) fn was_unmapped_last(address: usize) -> bool {
    unmapped().contains(&address)
}

/// Returns whether the system refused this much memory lately.
pub(super) fn is_refused(len: usize) -> bool {
    MEMORY.includes(len) || ADDRESSES.includes(len)
}

/// Notes that the system refused this much memory.
pub(super) fn note_refused(len: usize) {
    MEMORY.note(len);
}

/// Provider of mappings: `mmap`, `munmap` and `mremap`.
#[derive(Debug)]
pub(crate) struct Mappings;

// SAFETY: mappings are private, anonymous, readable and writable, and the kernel places none over
// another.
unsafe impl Map for Mappings {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let start = map_anonymous(0, len, access, 0).map_err(|_| MapError::OutOfMemory)?;
        let (from, last) = (start.addr().get(), unmapped());
        if from < last.end && last.start < from + len {
            set_unmapped(0..0);
        }
        figures::MAPPINGS.rise(1);
        figures::MAPPED.rise(len);
        Ok(start)
    }

    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        set_unmapped(start.addr().get()..start.addr().get() + len);
        figures::MAPPINGS.fall(1);
        figures::MAPPED.fall(len);
        // SAFETY: one mapping, no longer used: this method's own clause.
        if unsafe { unmap(start, len) } { Ok(()) } else { Err(MapError::Refused) }
    }

    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError> {
        // SAFETY: one mapping: this method's own clause. The kernel moves it to unused addresses.
        let moved = errno::preserving(|| unsafe {
            libc::mremap(start.as_ptr().cast(), len, new_len, libc::MREMAP_MAYMOVE)
        });
        if moved == libc::MAP_FAILED {
            return Err(MapError::OutOfMemory);
        }
        set_unmapped(0..0);
        figures::MAPPED.fall(len);
        figures::MAPPED.rise(new_len);
        NonNull::new(moved.cast()).ok_or(MapError::OutOfMemory)
    }
}

/// Unmaps memory. Returns `false` if the kernel refuses.
///
/// # Safety
///
/// The caller owns the pages, and does not use them any more.
pub(crate) unsafe fn unmap(start: NonNull<u8>, len: usize) -> bool {
    refusal::forget();
    // SAFETY: this function's own clause.
    errno::preserving(|| unsafe { libc::munmap(start.as_ptr().cast(), len) }) == 0
}

/// Maps `len` bytes of zeroed memory, at `place` if those addresses are free. Without `MAP_FIXED`,
/// asks the kernel only if it has refused no such length lately.
///
/// # Errors
///
/// The error number of `mmap`.
pub(super) fn map_anonymous(
    place: usize,
    len: usize,
    access: c_int,
    more_flags: c_int,
) -> Result<NonNull<u8>, c_int> {
    let has_access = access != libc::PROT_NONE;
    let is_refused = if has_access { is_refused(len) } else { ADDRESSES.includes(len) };
    if more_flags & libc::MAP_FIXED == 0 && is_refused {
        return Err(libc::ENOMEM);
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | more_flags;
    errno::preserving(|| {
        // SAFETY: without `MAP_FIXED` the kernel chooses unused addresses; with it, callers own the
        // addresses.
        let start =
            unsafe { libc::mmap(ptr::without_provenance_mut(place), len, access, flags, -1, 0) };
        if start != libc::MAP_FAILED {
            return NonNull::new(start.cast()).ok_or(libc::ENOMEM);
        }
        let error = errno::get();
        if error != libc::EEXIST {
            if has_access { &MEMORY } else { &ADDRESSES }.note(len);
        }
        Err(error)
    })
}
