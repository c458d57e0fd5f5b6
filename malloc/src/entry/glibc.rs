//! glibc's settings and statistics, as far as brkalloc has them, and its aliases.

use core::ffi::{c_int, c_void};

use super::{aligned, c};
use crate::engine::{self, Setting};
use crate::start;

/// glibc's `mallopt`. Sets thresholds; accepts settings of parts that brkalloc does not have,
/// without effect. Returns 0 for an unknown setting or an invalid value.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallopt(setting: c_int, value: c_int) -> c_int {
    let Ok(bytes) = usize::try_from(value) else {
        // In glibc, -1 is the largest threshold.
        return c_int::from(value == -1 && set(setting, usize::MAX));
    };
    c_int::from(set(setting, bytes))
}

fn set(setting: c_int, bytes: usize) -> bool {
    match setting {
        libc::M_MMAP_THRESHOLD => engine::set(Setting::map_threshold(bytes)),
        libc::M_MMAP_MAX if bytes == 0 => engine::set(Setting::map_threshold(usize::MAX)),
        libc::M_TRIM_THRESHOLD => engine::set(Setting::trim(bytes)),
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

/// glibc's `malloc_trim`. Gives free memory back, but for `keep` bytes at the break. Returns 1 if
/// there was any.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_trim(keep: usize) -> c_int {
    c_int::from(engine::trim(keep))
}

/// glibc's `mallinfo2`.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallinfo2() -> libc::mallinfo2 {
    let usage = engine::usage();
    libc::mallinfo2 {
        arena: usage.granted,
        ordblks: usage.free_cells,
        smblks: 0,
        hblks: usage.mapped_blocks,
        hblkhd: usage.mapped,
        usmblks: 0,
        fsmblks: 0,
        uordblks: usage.live,
        fordblks: usage.free,
        keepcost: 0,
    }
}

/// glibc's `mallinfo`. Its fields saturate at `INT_MAX`.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallinfo() -> libc::mallinfo {
    let usage = engine::usage();
    let short = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    libc::mallinfo {
        arena: short(usage.granted),
        ordblks: short(usage.free_cells),
        smblks: 0,
        hblks: short(usage.mapped_blocks),
        hblkhd: short(usage.mapped),
        usmblks: 0,
        fsmblks: 0,
        uordblks: short(usage.live),
        fordblks: short(usage.free),
        keepcost: 0,
    }
}

/// glibc's `malloc_stats`. Prints a line on the standard error output.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_stats() {
    start::print_statistics();
}

/// Defines glibc's aliases of its functions: a caller of one must not get a block of glibc's heap,
/// which our `free` does not know.
macro_rules! aliases {
    ($(
        $(#[$doc:meta])*
        $name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)? = $function:path;
    )*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The clauses of the function that it names.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $answer)? {
            // SAFETY: this function's own clause.
            unsafe { $function($($argument),*) }
        }
    )*};
}

aliases! {
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
    __posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int =
        aligned::posix_memalign;
}
