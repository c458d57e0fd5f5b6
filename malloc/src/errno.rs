//! `errno`, a variable of the thread.

use core::ffi::c_int;

/// Sets `errno`.
pub(crate) fn set(value: c_int) {
    // SAFETY: `__errno_location` never fails; it returns the calling thread's own variable.
    unsafe { libc::__errno_location().write(value) };
}

/// Returns `errno`.
pub(crate) fn get() -> c_int {
    // SAFETY: as in `set`.
    unsafe { libc::__errno_location().read() }
}

/// Runs `act` and restores `errno` afterwards.
pub(crate) fn preserving<R>(act: impl FnOnce() -> R) -> R {
    let before = get();
    let answer = act();
    set(before);
    answer
}
