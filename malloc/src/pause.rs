//! A short sleep, for a thread that polls.

use crate::errno;

/// Length of a pause, in nanoseconds; the kernel adds its timer slack.
const NANOSECONDS: libc::c_long = 50_000;

/// Sleeps for a pause.
pub(crate) fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: NANOSECONDS };
    // SAFETY: `time` is valid, and null asks for no remaining time.
    errno::preserving(|| unsafe { libc::nanosleep(&raw const time, core::ptr::null_mut()) });
}
