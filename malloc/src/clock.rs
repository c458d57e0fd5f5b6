//! A clock that is read without a system call, and a short sleep for a thread that polls.

use crate::errno;

/// Length of a pause, in nanoseconds; the kernel adds its timer slack.
const NANOSECONDS: libc::c_long = 50_000;

/// Returns the milliseconds of a monotonic clock. Its step is some milliseconds.
pub(crate) fn milliseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1000).wrapping_add(time.tv_nsec as u64 / 1_000_000)
}

/// Sleeps for a pause.
pub(crate) fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: NANOSECONDS };
    // SAFETY: `time` is valid, and null asks for no remaining time.
    errno::preserving(|| unsafe { libc::nanosleep(&raw const time, core::ptr::null_mut()) });
}
