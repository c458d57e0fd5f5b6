//! Functions that set the handler of a signal. If the process samples blocks, the handler of page
//! faults is this library's, which passes the signal on.

use core::ffi::c_int;
use core::mem;
use core::sync::atomic::AtomicPtr;

use super::dl::find;
use crate::fault;

/// POSIX's `sigaction`.
///
/// # Safety
///
/// The clauses of glibc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: this function's own clauses.
    unsafe {
        if fault::is_noted(signal) {
            fault::sigaction(new, old)
        } else {
            fault::pass_on(signal, new, old)
        }
    }
}

type Handler = usize;

/// Sets a handler as `signal` does, for a signal that is noted.
fn set_handler(handler: Handler, flags: c_int, masks_itself: bool) -> Handler {
    // SAFETY: zeros are valid values, and the set of signals is writable.
    unsafe {
        let mut new: libc::sigaction = mem::zeroed();
        let mut old: libc::sigaction = mem::zeroed();
        (new.sa_sigaction, new.sa_flags) = (handler, flags);
        if masks_itself {
            libc::sigaddset(&raw mut new.sa_mask, libc::SIGSEGV);
        }
        let status = fault::sigaction(&raw const new, &raw mut old);
        if status == 0 { old.sa_sigaction } else { libc::SIG_ERR }
    }
}

/// Defines functions like `signal`: by their names, with the flags of the action, and whether the
/// signal is masked while its handler runs.
macro_rules! signal_functions {
    ($($(#[$doc:meta])* $name:ident = $flags:expr, $masks_itself:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The clauses of glibc's.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(signal: c_int, handler: Handler) -> Handler {
            static NEXT: AtomicPtr<libc::c_void> = AtomicPtr::new(core::ptr::null_mut());
            if fault::is_noted(signal) {
                return set_handler(handler, $flags, $masks_itself);
            }
            let next = find(&NEXT, c_name!($name));
            // SAFETY: glibc's function of this name.
            let next: extern "C" fn(c_int, Handler) -> Handler = unsafe { mem::transmute(next) };
            next(signal, handler)
        }
    )*};
}

signal_functions! {
    /// C's `signal`.
    signal = libc::SA_RESTART, true;
    /// BSD's `signal`.
    bsd_signal = libc::SA_RESTART, true;
    /// Another name of `signal`.
    ssignal = libc::SA_RESTART, true;
    /// System V's `signal`.
    sysv_signal = libc::SA_RESETHAND | libc::SA_NODEFER, false;
    /// System V's `signal`, for programs that ask for standards only.
    __sysv_signal = libc::SA_RESETHAND | libc::SA_NODEFER, false;
}
