//! C++'s operators.
//!
//! ```text
//!   operator new ──► malloc ──(null)──► the C++ library's operator: new handlers, bad_alloc, null
//! ```
//!
//! `new` is `malloc`, without the C++ library in between. Without memory the call is passed on by a
//! jump: an exception of the C++ library then unwinds through no frame of ours.

use core::arch::naked_asm;
use core::ffi::{CStr, c_void};

use super::{aligned, c};
use crate::report;

/// Returns the function of this name in the libraries after this one.
fn next(name: &CStr) -> *mut c_void {
    // SAFETY: `name` is a C string. `dlsym` allocates only to report that the name is not found.
    let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if function.is_null() {
        report::die(format_args!("no memory, and no C++ library has {name:?}"));
    }
    function
}

/// Defines operators `new` by their mangled names: the C function that serves each, and the name of
/// a function that returns the C++ library's operator, for the case that the former returns null.
macro_rules! operators_new {
    ($($(#[$doc:meta])* $name:ident = $function:path, $next:ident;)*) => {$(
        extern "C" fn $next() -> *mut c_void {
            const NAME: &str = concat!(stringify!($name), "\0");
            const NEXT: &CStr = match CStr::from_bytes_with_nul(NAME.as_bytes()) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            };
            next(NEXT)
        }

        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// None: any arguments are valid.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        #[allow(non_snake_case, reason = "the name is C++'s")]
        pub unsafe extern "C" fn $name(_size: usize, _second: usize, _third: usize) -> *mut c_void {
            naked_asm!(
                "push rdi",
                "push rsi",
                "push rdx",
                "call {function}",
                "test rax, rax",
                "jz 2f",
                "add rsp, 24",
                "ret",
                "2:",
                "call {next}",
                "pop rdx",
                "pop rsi",
                "pop rdi",
                "jmp rax",
                function = sym $function,
                next = sym $next,
            )
        }
    )*};
}

/// `aligned_alloc` with the arguments in C++'s order.
unsafe extern "C" fn new_aligned(size: usize, align: usize) -> *mut c_void {
    // SAFETY: any arguments are valid.
    unsafe { aligned::aligned_alloc(align, size) }
}

operators_new! {
    /// `operator new(size_t)`
    _Znwm = c::malloc, next_new;
    /// `operator new[](size_t)`
    _Znam = c::malloc, next_new_array;
    /// `operator new(size_t, nothrow_t const&)`
    _ZnwmRKSt9nothrow_t = c::malloc, next_new_nothrow;
    /// `operator new[](size_t, nothrow_t const&)`
    _ZnamRKSt9nothrow_t = c::malloc, next_new_array_nothrow;
    /// `operator new(size_t, align_val_t)`
    _ZnwmSt11align_val_t = new_aligned, next_new_aligned;
    /// `operator new[](size_t, align_val_t)`
    _ZnamSt11align_val_t = new_aligned, next_new_array_aligned;
    /// `operator new(size_t, align_val_t, nothrow_t const&)`
    _ZnwmSt11align_val_tRKSt9nothrow_t = new_aligned, next_new_aligned_nothrow;
    /// `operator new[](size_t, align_val_t, nothrow_t const&)`
    _ZnamSt11align_val_tRKSt9nothrow_t = new_aligned, next_new_array_aligned_nothrow;
}

/// Defines operators `delete`. The heap knows size and alignment.
macro_rules! operators_delete {
    ($($(#[$doc:meta])* $name:ident($($more:ident: $type:ty),*);)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The clauses of `free`.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the name is C++'s")]
        pub unsafe extern "C" fn $name(block: *mut c_void $(, $more: $type)*) {
            // SAFETY: this function's own clause.
            unsafe { c::free(block) };
        }
    )*};
}

operators_delete! {
    /// `operator delete(void*)`
    _ZdlPv();
    /// `operator delete[](void*)`
    _ZdaPv();
    /// `operator delete(void*, size_t)`
    _ZdlPvm(_size: usize);
    /// `operator delete[](void*, size_t)`
    _ZdaPvm(_size: usize);
    /// `operator delete(void*, nothrow_t const&)`
    _ZdlPvRKSt9nothrow_t(_nothrow: *const c_void);
    /// `operator delete[](void*, nothrow_t const&)`
    _ZdaPvRKSt9nothrow_t(_nothrow: *const c_void);
    /// `operator delete(void*, align_val_t)`
    _ZdlPvSt11align_val_t(_align: usize);
    /// `operator delete[](void*, align_val_t)`
    _ZdaPvSt11align_val_t(_align: usize);
    /// `operator delete(void*, size_t, align_val_t)`
    _ZdlPvmSt11align_val_t(_size: usize, _align: usize);
    /// `operator delete[](void*, size_t, align_val_t)`
    _ZdaPvmSt11align_val_t(_size: usize, _align: usize);
    /// `operator delete(void*, align_val_t, nothrow_t const&)`
    _ZdlPvSt11align_val_tRKSt9nothrow_t(_align: usize, _nothrow: *const c_void);
    /// `operator delete[](void*, align_val_t, nothrow_t const&)`
    _ZdaPvSt11align_val_tRKSt9nothrow_t(_align: usize, _nothrow: *const c_void);
}
