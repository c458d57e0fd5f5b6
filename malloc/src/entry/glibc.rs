//! glibc's settings and statistics, as far as brkalloc has them, and its aliases.

use core::ffi::{c_int, c_void};
use core::fmt::Write;

use super::{aligned, c};
use crate::engine::{self, Setting};
use crate::provider::figures;
use crate::report::{self, Message};

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

/// glibc's `mallinfo2`. Blocks of slabs count as others: there are no fast bins.
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
        hblks: figures::MAPPINGS.now(),
        hblkhd: figures::MAPPED.now(),
        usmblks: 0,
        fsmblks: 0,
        uordblks: usage.live,
        fordblks: usage.granted.saturating_sub(usage.live),
        keepcost: usage.top,
    }
}

/// glibc's `mallinfo`. Its fields saturate at `INT_MAX`.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mallinfo() -> libc::mallinfo {
    // SAFETY: no preconditions.
    let info = unsafe { mallinfo2() };
    let short = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    libc::mallinfo {
        arena: short(info.arena),
        ordblks: short(info.ordblks),
        smblks: 0,
        hblks: short(info.hblks),
        hblkhd: short(info.hblkhd),
        usmblks: 0,
        fsmblks: 0,
        uordblks: short(info.uordblks),
        fordblks: short(info.fordblks),
        keepcost: short(info.keepcost),
    }
}

/// glibc's `malloc_stats`. Prints its lines on the standard error output; the heap is arena 0.
///
/// # Safety
///
/// None: any arguments are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_stats() {
    let (usage, mapped) = (engine::usage(), figures::MAPPED.now());
    report::text(format_args!(
        "Arena 0:\n\
         system bytes     = {:10}\n\
         in use bytes     = {:10}\n\
         Total (incl. mmap):\n\
         system bytes     = {:10}\n\
         in use bytes     = {:10}\n\
         max mmap regions = {:10}\n\
         max mmap bytes   = {:10}\n",
        usage.granted,
        usage.live,
        usage.granted + mapped,
        usage.live + mapped,
        figures::MAPPINGS.most(),
        figures::MAPPED.most(),
    ));
}

/// glibc's `malloc_info`: its XML, with one heap. Returns `EINVAL` for other options than 0, and -1
/// if the stream cannot be written to.
///
/// # Safety
///
/// `stream` is a stream that is open for writing, unless the options are not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_info(options: c_int, stream: *mut libc::FILE) -> c_int {
    if options != 0 {
        return libc::EINVAL;
    }
    let usage = engine::usage();
    let (free, granted) = (usage.granted.saturating_sub(usage.live), usage.granted);
    let most = figures::BREAK.most().max(granted);
    let mut message: Message = Message::new();
    // `Message` never fails.
    let _ = write!(
        message,
        "<malloc version=\"1\">\n\
         <heap nr=\"0\">\n<sizes>\n</sizes>\n\
         <total type=\"fast\" count=\"0\" size=\"0\"/>\n\
         <total type=\"rest\" count=\"{cells}\" size=\"{free}\"/>\n\
         <system type=\"current\" size=\"{granted}\"/>\n\
         <system type=\"max\" size=\"{most}\"/>\n\
         <aspace type=\"total\" size=\"{granted}\"/>\n\
         <aspace type=\"mprotect\" size=\"{granted}\"/>\n\
         </heap>\n\
         <total type=\"fast\" count=\"0\" size=\"0\"/>\n\
         <total type=\"rest\" count=\"{cells}\" size=\"{free}\"/>\n\
         <total type=\"mmap\" count=\"{}\" size=\"{}\"/>\n\
         <system type=\"current\" size=\"{granted}\"/>\n\
         <system type=\"max\" size=\"{most}\"/>\n\
         <aspace type=\"total\" size=\"{granted}\"/>\n\
         <aspace type=\"mprotect\" size=\"{granted}\"/>\n\
         </malloc>\n",
        figures::MAPPINGS.now(),
        figures::MAPPED.now(),
        cells = usage.free_cells,
    );
    let bytes = message.bytes();
    // SAFETY: the stream is open (this function's clause). It may allocate its buffer: no lock is
    // held.
    let written = unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), stream) };
    if written == bytes.len() { 0 } else { -1 }
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
    /// `free`, for old programs
    cfree(block: *mut c_void) = c::free;
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
