//! glibc's settings and statistics, as far as they mean something here, and its second names.

use core::ffi::{c_int, c_void};

use super::{aligned, c};
use crate::engine::{self, Setting};
use crate::start;

/// glibc's `mallopt`. Thresholds are those of brkalloc; what else there is names parts that
/// brkalloc has not, and is accepted without effect. 0: there is no such setting, or not this value
/// of it.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallopt(setting: c_int, value: c_int) -> c_int {
    let Ok(bytes) = usize::try_from(value) else {
        // glibc takes -1 for the largest threshold.
        return c_int::from(value == -1 && set(setting, usize::MAX));
    };
    c_int::from(set(setting, bytes))
}

fn set(setting: c_int, bytes: usize) -> bool {
    match setting {
        libc::M_MMAP_THRESHOLD => engine::set(Setting::MapThreshold(bytes)),
        libc::M_MMAP_MAX if bytes == 0 => engine::set(Setting::MapThreshold(usize::MAX)),
        libc::M_TRIM_THRESHOLD => engine::set(Setting::TrimThreshold(bytes)),
        libc::M_MMAP_MAX
        | libc::M_TOP_PAD
        | libc::M_MXFAST
        | libc::M_CHECK_ACTION
        | libc::M_PERTURB => {}
        libc::M_ARENA_TEST | libc::M_ARENA_MAX => {}
        _ => return false,
    }
    true
}

/// glibc's `malloc_trim`: gives back what can be, but for `keep` bytes at the break. 1 if there was
/// something.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_trim(keep: usize) -> c_int {
    c_int::from(engine::trim(keep))
}

/// glibc's `mallinfo2`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallinfo2() -> libc::mallinfo2 {
    let usage = engine::usage();
    libc::mallinfo2 {
        arena: usage.granted,
        ordblks: usage.free_cells,
        smblks: usage.cached_blocks,
        hblks: usage.mapped_blocks,
        hblkhd: usage.mapped,
        usmblks: 0,
        fsmblks: usage.cached,
        uordblks: usage.live,
        fordblks: usage.free,
        keepcost: 0,
    }
}

/// glibc's `mallinfo`, whose fields are too short for large heaps: they end at `INT_MAX`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallinfo() -> libc::mallinfo {
    let usage = engine::usage();
    let short = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    libc::mallinfo {
        arena: short(usage.granted),
        ordblks: short(usage.free_cells),
        smblks: short(usage.cached_blocks),
        hblks: short(usage.mapped_blocks),
        hblkhd: short(usage.mapped),
        usmblks: 0,
        fsmblks: short(usage.cached),
        uordblks: short(usage.live),
        fordblks: short(usage.free),
        keepcost: 0,
    }
}

/// glibc's `malloc_stats`: a line on the standard error output.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_stats() {
    start::print_statistics();
}

/// Second names that glibc has for its functions: whoever calls one must not get a block of
/// glibc's, for `free` is ours.
macro_rules! second_names {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)? = $function:path;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// As for the first name.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $answer)? {
            // SAFETY: the caller's promise.
            unsafe { $function($($argument),*) }
        }
    )*};
}

second_names! {
    /// `malloc`
    __libc_malloc(size: usize) -> *mut c_void = c::malloc;
    /// `calloc`
    __libc_calloc(count: usize, size: usize) -> *mut c_void = c::calloc;
    /// `realloc`
    __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void = c::realloc;
    /// `free`
    __libc_free(block: *mut c_void) = c::free;
    /// `memalign`
    __libc_memalign(align: usize, size: usize) -> *mut c_void = aligned::memalign;
    /// `valloc`
    __libc_valloc(size: usize) -> *mut c_void = aligned::valloc;
    /// `pvalloc`
    __libc_pvalloc(size: usize) -> *mut c_void = aligned::pvalloc;
    /// `posix_memalign`
    __posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int = aligned::posix_memalign;
}
