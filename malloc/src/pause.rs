//! To wait a little, where there is nobody who would wake a sleeper.

use crate::errno;

/// The length of a pause, in nanoseconds; the kernel makes it somewhat longer.
const NANOSECONDS: libc::c_long = 50_000;

/// Lets others run.
pub(crate) fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: NANOSECONDS };
    // SAFETY: a time; what is left of it, if a signal comes, is not asked for.
    errno::unchanged(|| unsafe { libc::nanosleep(&raw const time, core::ptr::null_mut()) });
}
