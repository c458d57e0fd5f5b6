//! Memory from the operating system for the heaps under test.

use std::io;
use std::ptr::NonNull;

/// Whether the pages of a region are there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// All of them: what is timed takes no page fault.
    Present,
    /// Each on its first touch: for regions of which little is used.
    OnTouch,
}

/// A private, zeroed region, aligned to 2 MiB, in pages of 4 KiB, never given back.
///
/// # Errors
///
/// What `mmap` answers.
pub fn region(len: usize, pages: Pages) -> io::Result<NonNull<[u8]>> {
    const ALIGN: usize = 2 << 20;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the system's choice touches nobody's memory.
    let mapped = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len + ALIGN,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let base = mapped.cast::<u8>();
    let base = base.wrapping_add(base.addr().next_multiple_of(ALIGN) - base.addr());
    if pages == Pages::Present {
        // SAFETY: inside the mapping made above.
        let verdict = unsafe { libc::madvise(base.cast(), len, libc::MADV_POPULATE_WRITE) };
        if verdict != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let base = NonNull::new(base).expect("the system maps nothing at address 0");
    Ok(NonNull::slice_from_raw_parts(base, len))
}

/// Keeps huge pages away from this process, for whom a library's own mappings would get them on
/// some machines and not on others.
pub fn small_pages_only() {
    // SAFETY: sets a flag of this process. On a system without the flag there is nothing to be
    // done.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Keeps this process on one core: the last of those it may use, which is the least likely to serve
/// interrupts.
pub fn pin_to_one_core() {
    // SAFETY: a set of CPUs is plain bits, of which none set is a valid value.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a set of the size given.
    unsafe { libc::sched_getaffinity(0, size_of_val(&allowed), &raw mut allowed) };
    // SAFETY: reads a bit of the set.
    let last = (0..libc::CPU_SETSIZE as usize)
        .rev()
        .find(|&cpu| unsafe { libc::CPU_ISSET(cpu, &allowed) });
    let Some(last) = last else { return };
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `last` is below the size of the set.
    unsafe { libc::CPU_SET(last, &mut one) };
    // SAFETY: the pointer is to a set of the size given. If it is refused, figures are less steady,
    // and no less right.
    unsafe { libc::sched_setaffinity(0, size_of_val(&one), &raw const one) };
}
