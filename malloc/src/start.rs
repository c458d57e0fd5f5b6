//! What happens around `main`, and around `fork`.
//!
//! ```text
//!   first call of anything   the mode is chosen (engine): before any constructor, if somebody allocates there
//!   our constructor          fork handlers; what the environment says of the trace is not passed on to children
//!   fork                     every lock is held while the process is copied, so that the child finds the heap whole, and the arenas
//!   our destructor           statistics, the last records of the trace; the heap serves on, for whoever comes later
//! ```

use core::sync::atomic::{AtomicBool, Ordering};

use crate::options::Options;
use crate::{engine, report};

static PRINTS_STATS: AtomicBool = AtomicBool::new(false);

/// Called by the loader, as the constructor of a library is.
extern "C" fn begin() {
    engine::start();
    if Options::read().stats {
        PRINTS_STATS.store(true, Ordering::Relaxed);
        report::keep_errors_open();
    }
    // SAFETY: three functions that are there as long as the library. Ours come first in the child
    // and last before the fork, but for those of libraries whose constructors came before this
    // one.
    unsafe {
        libc::pthread_atfork(
            Some(before_fork),
            Some(after_fork_in_parent),
            Some(after_fork_in_child),
        )
    };
    // Two processes must not write to one file.
    // SAFETY: a string; only the loader runs yet.
    unsafe { libc::unsetenv(engine::TRACE_VARIABLE.as_ptr()) };
}

/// Called by the loader when the process exits.
extern "C" fn end() {
    engine::finish();
    if PRINTS_STATS.load(Ordering::Relaxed) {
        print_statistics();
    }
}

/// Prints how much memory is in use.
pub(crate) fn print_statistics() {
    // SAFETY: never fails.
    let process = unsafe { libc::getpid() };
    engine::describe(|stats| report::line(format_args!("process {process}: {stats}")));
}

extern "C" fn before_fork() {
    engine::hold_for_fork();
}

extern "C" fn after_fork_in_parent() {
    engine::release_in_parent();
}

extern "C" fn after_fork_in_child() {
    engine::release_in_child();
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;
