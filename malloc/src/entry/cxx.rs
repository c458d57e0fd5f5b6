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
use core::ptr::NonNull;

use super::{aligned, block_of, block_or_errno, pointer_to};
use crate::engine::{self, Call, Family};
use crate::{report, request};

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

/// Defines a function that serves an operator `new` of a family: `malloc` with that family.
macro_rules! new_of {
    ($($name:ident, $slow:ident, $missed:ident = $family:ident;)*) => {$(
        extern "C" fn $name(size: usize) -> *mut c_void {
            // SAFETY: any size is valid.
            let otherwise = |size| NonNull::new(unsafe { $slow(size) }.cast());
            pointer_to(engine::allocate_at_hand_or(size, otherwise))
        }

        with_caller! {
            /// The rest. Below the return address lie the operator's three arguments, and then the
            /// operator's return address.
            fn $slow(usize) -> *mut c_void = $missed, "rsi", 32;
        }

        extern "C" fn $missed(size: usize, caller: usize) -> *mut c_void {
            let call = Call { family: Family::$family, caller };
            let layout = request::plain(size);
            block_or_errno(layout.and_then(|layout| engine::allocate_missed(layout, call)))
        }
    )*};
}

new_of! {
    new, new_slow, new_missed = New;
    new_array, new_array_slow, new_array_missed = NewArray;
}

with_caller! {
    /// Serves an operator `new` with an alignment.
    fn new_aligned(usize, usize) -> *mut c_void = new_aligned_from, "rdx", 32;
    /// Serves an operator `new[]` with an alignment.
    fn new_array_aligned(usize, usize) -> *mut c_void = new_array_aligned_from, "rdx", 32;
}

extern "C" fn new_aligned_from(size: usize, align: usize, caller: usize) -> *mut c_void {
    aligned::aligned_of(align, size, Call { family: Family::NewAligned, caller })
}

extern "C" fn new_array_aligned_from(size: usize, align: usize, caller: usize) -> *mut c_void {
    aligned::aligned_of(align, size, Call { family: Family::NewArrayAligned, caller })
}

operators_new! {
    /// `operator new(size_t)`
    _Znwm = new, next_new;
    /// `operator new[](size_t)`
    _Znam = new_array, next_new_array;
    /// `operator new(size_t, nothrow_t const&)`
    _ZnwmRKSt9nothrow_t = new, next_new_nothrow;
    /// `operator new[](size_t, nothrow_t const&)`
    _ZnamRKSt9nothrow_t = new_array, next_new_array_nothrow;
    /// `operator new(size_t, align_val_t)`
    _ZnwmSt11align_val_t = new_aligned, next_new_aligned;
    /// `operator new[](size_t, align_val_t)`
    _ZnamSt11align_val_t = new_array_aligned, next_new_array_aligned;
    /// `operator new(size_t, align_val_t, nothrow_t const&)`
    _ZnwmSt11align_val_tRKSt9nothrow_t = new_aligned, next_new_aligned_nothrow;
    /// `operator new[](size_t, align_val_t, nothrow_t const&)`
    _ZnamSt11align_val_tRKSt9nothrow_t = new_array_aligned, next_new_array_aligned_nothrow;
}

/// Defines operators `delete`. The heap knows size and alignment.
macro_rules! operators_delete {
    ($($(#[$doc:meta])* $name:ident($($more:ident: $type:ty),*) = $slow:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The clauses of `free`.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the name is C++'s")]
        pub unsafe extern "C" fn $name(block: *mut c_void $(, $more: $type)*) {
            // SAFETY: this function's own clause, or the pointer is null.
            unsafe {
                if !engine::deallocate_at_hand(block.cast()) {
                    $slow(block);
                }
            }
        }
    )*};
}

/// Defines the rest of the operators `delete` of a family.
macro_rules! delete_of {
    ($($slow:ident, $missed:ident = $family:ident;)*) => {$(
        with_caller! {
            /// The rest of an operator `delete`.
            fn $slow(*mut c_void) = $missed, "rsi", 0;
        }

        /// # Safety
        ///
        /// The clause of `free`.
        unsafe extern "C" fn $missed(pointer: *mut c_void, caller: usize) {
            if let Some(block) = block_of(pointer) {
                let call = Call { family: Family::$family, caller };
                // SAFETY: `block` is live, and no longer used.
                unsafe { engine::deallocate_missed(block, call) };
            }
        }
    )*};
}

delete_of! {
    delete_slow, delete_missed = New;
    delete_array_slow, delete_array_missed = NewArray;
    delete_aligned_slow, delete_aligned_missed = NewAligned;
    delete_array_aligned_slow, delete_array_aligned_missed = NewArrayAligned;
}

operators_delete! {
    /// `operator delete(void*)`
    _ZdlPv() = delete_slow;
    /// `operator delete[](void*)`
    _ZdaPv() = delete_array_slow;
    /// `operator delete(void*, size_t)`
    _ZdlPvm(_size: usize) = delete_slow;
    /// `operator delete[](void*, size_t)`
    _ZdaPvm(_size: usize) = delete_array_slow;
    /// `operator delete(void*, nothrow_t const&)`
    _ZdlPvRKSt9nothrow_t(_nothrow: *const c_void) = delete_slow;
    /// `operator delete[](void*, nothrow_t const&)`
    _ZdaPvRKSt9nothrow_t(_nothrow: *const c_void) = delete_array_slow;
    /// `operator delete(void*, align_val_t)`
    _ZdlPvSt11align_val_t(_align: usize) = delete_aligned_slow;
    /// `operator delete[](void*, align_val_t)`
    _ZdaPvSt11align_val_t(_align: usize) = delete_array_aligned_slow;
    /// `operator delete(void*, size_t, align_val_t)`
    _ZdlPvmSt11align_val_t(_size: usize, _align: usize) = delete_aligned_slow;
    /// `operator delete[](void*, size_t, align_val_t)`
    _ZdaPvmSt11align_val_t(_size: usize, _align: usize) = delete_array_aligned_slow;
    /// `operator delete(void*, align_val_t, nothrow_t const&)`
    _ZdlPvSt11align_val_tRKSt9nothrow_t(_align: usize, _nothrow: *const c_void) = delete_aligned_slow;
    /// `operator delete[](void*, align_val_t, nothrow_t const&)`
    _ZdaPvSt11align_val_tRKSt9nothrow_t(_align: usize, _nothrow: *const c_void) = delete_array_aligned_slow;
}
