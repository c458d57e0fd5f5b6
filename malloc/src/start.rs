//! Constructor, destructor, and fork handlers.
//!
//! ```text
//!   first call of anything   the mode is chosen (engine): before any constructor, if one allocates
//!   constructor              fork handlers; children do not inherit the trace. It runs before
//!                            those of all other libraries (build.rs)
//!   fork                     all locks and idle arenas are held while the process is copied, so
//!                            that the child finds the heap whole
//!   destructor               statistics, the last records of the trace; the heap serves on
//! ```

use core::ffi::{c_char, c_int};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::options::Options;
use crate::{engine, entry, fault, report};

static PRINTS_STATS: AtomicBool = AtomicBool::new(false);

static LISTS_LEAKS: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Constructor of the library, called by the loader.
extern "C" fn begin(_: c_int, _: *mut *mut c_char, environment: *mut *mut c_char) {
    // SAFETY: there is one thread, the loader's. The C library's constructor, which may run later,
    // stores the same value.
    unsafe {
        if environ.is_null() {
            environ = environment;
        }
    }
    if engine::start() {
        fault::start();
    }
    let options = Options::read();
    options.report_oddities();
    entry::cxx::start(options.checked);
    PRINTS_STATS.store(options.stats, Ordering::Relaxed);
    LISTS_LEAKS.store(options.leaks, Ordering::Relaxed);
    if options.stats || options.leaks {
        report::keep_errors_open();
    }
    // SAFETY: three functions of this library, which is not unloaded. Of all handlers ours run last
    // before the fork and first after it, unless another library asks to be initialised first.
    unsafe {
        libc::pthread_atfork(Some(prefork), Some(postfork_parent), Some(postfork_child));
    }
    // Two processes must not write to one file.
    // SAFETY: the name is a C string, and there is one thread, the loader's.
    unsafe { libc::unsetenv(engine::TRACE_VARIABLE.as_ptr()) };
}

/// Destructor of the library, called by the loader when the process exits.
extern "C" fn end() {
    engine::finish(LISTS_LEAKS.load(Ordering::Relaxed));
    if PRINTS_STATS.load(Ordering::Relaxed) {
        print_statistics();
    }
}

/// Prints a line with the memory in use.
fn print_statistics() {
    // SAFETY: `getpid` has no preconditions.
    let process = unsafe { libc::getpid() };
    engine::describe(|stats| report::line(format_args!("process {process}: {stats}")));
}

extern "C" fn prefork() {
    engine::prefork();
}

extern "C" fn postfork_parent() {
    engine::postfork_parent();
}

extern "C" fn postfork_child() {
    fault::postfork_child();
    engine::postfork_child();
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = begin;

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;
