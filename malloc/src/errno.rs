//! `errno`, which belongs to the thread.

use core::ffi::c_int;

/// Sets it.
pub(crate) fn set(value: c_int) {
    // SAFETY: takes nothing, and never fails.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the thread's own variable.
    unsafe { place.write(value) };
}

fn get() -> c_int {
    // SAFETY: takes nothing, and never fails.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the thread's own variable.
    unsafe { place.read() }
}

/// Runs `act`, whose failures are nobody's business.
pub(crate) fn unchanged<R>(act: impl FnOnce() -> R) -> R {
    let before = get();
    let answer = act();
    set(before);
    answer
}
