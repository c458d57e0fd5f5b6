//! C++'s operators.
//!
//! ```text
//!   operator new ──► malloc ──(null)──► the C++ library's operator: new handlers, bad_alloc, null
//! ```
//!
//! `new` is `malloc`, without the C++ library in between. Without memory the call is passed on by a
//! jump: an exception of the C++ library then unwinds through no frame of ours.
//!
//! A program may replace some of the operators: the C++ library's other ones then call these. So in
//! a program that has any of its own, every call is passed on.

use core::arch::naked_asm;
use core::ffi::{CStr, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::dl::find;
use super::{aligned, block_of, block_or_errno, pointer_to};
use crate::engine::{self, Call, Family};
use crate::request;

/// Operators from which the C++ library's other ones follow.
const REPLACEABLE: [&CStr; 8] = [
    c"_Znwm",
    c"_Znam",
    c"_ZdlPv",
    c"_ZdaPv",
    c"_ZnwmSt11align_val_t",
    c"_ZnamSt11align_val_t",
    c"_ZdlPvSt11align_val_t",
    c"_ZdaPvSt11align_val_t",
];

/// Files of the C++ libraries.
const CXX_LIBRARIES: [&[u8]; 2] = [b"libstdc++", b"libc++"];

/// Whether every call is passed on.
static PASSED_ON: AtomicBool = AtomicBool::new(false);

/// Looks whose operators the process has. The loader calls this before any operator.
pub(crate) fn start(is_checked: bool) {
    let here = Origin::of(start as *const c_void).base;
    let is_ours = |name: &CStr| {
        // SAFETY: `name` is a C string. This library has the function, if no other does.
        Origin::of(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }).base == here
    };
    if !REPLACEABLE.iter().all(|name| is_ours(name)) || is_checked && library_has_its_own() {
        PASSED_ON.store(true, Ordering::Relaxed);
    }
}

/// Returns whether a library has operators of its own, which its own calls may reach: others may
/// `delete` what these `new` answer, and to the checked heap that is `malloc`'s. No matter if the
/// library has a `malloc` of its own, too.
fn library_has_its_own() -> bool {
    let next = |name: &CStr| {
        // SAFETY: `name` is a C string.
        let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        if function.is_null() {
            // The program does not ask for this error.
            // SAFETY: `dlerror` has no preconditions.
            unsafe { libc::dlerror() };
            return None;
        }
        Some(Origin::of(function))
    };
    let Some(operators) = next(c"_Znwm") else { return false };
    let is_cxx = CXX_LIBRARIES.iter().any(|name| operators.is_named(name));
    !is_cxx && next(c"malloc").is_none_or(|malloc| malloc.base != operators.base)
}

/// The program or library that has a function.
struct Origin {
    base: *mut c_void,
    file: Option<&'static CStr>,
}

impl Origin {
    fn of(function: *const c_void) -> Self {
        let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: `info` is writable, and zero is a valid `Dl_info`. The loader's name of a library
        // that was there at the start is never freed.
        unsafe {
            libc::dladdr(function, info.as_mut_ptr());
            let info = info.assume_init();
            let file = (!info.dli_fname.is_null()).then(|| CStr::from_ptr(info.dli_fname));
            Self { base: info.dli_fbase, file }
        }
    }

    /// Returns whether the file's name, without its folder, begins so.
    fn is_named(&self, start: &[u8]) -> bool {
        let path = self.file.map_or(&[][..], CStr::to_bytes);
        path.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.starts_with(start))
    }
}

/// Defines operators `new` by their mangled names: the C function that serves each, and the name of
/// a function that returns the C++ library's operator, for the case that the former returns null,
/// or that calls are passed on.
macro_rules! operators_new {
    ($($(#[$doc:meta])* $name:ident = $function:path, $next:ident;)*) => {$(
        extern "C" fn $next() -> *mut c_void {
            static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
            find(&NEXT, c_name!($name))
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
                "cmp byte ptr [rip + {passed_on}], 0",
                "jne 2f",
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
                passed_on = sym PASSED_ON,
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
            /// # Safety
            ///
            /// The clauses of the C++ library's operator.
            #[cold]
            unsafe extern "C" fn pass_on(block: *mut c_void $(, $more: $type)*) {
                static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
                let next = find(&NEXT, c_name!($name));
                // SAFETY: the C++ library's operator of this name, and the caller's clauses.
                unsafe {
                    mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void $(, $type)*)>(
                        next,
                    )(block $(, $more)*);
                }
            }
            if PASSED_ON.load(Ordering::Relaxed) {
                // SAFETY: this function's own clause.
                return unsafe { pass_on(block $(, $more)*) };
            }
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
    _ZdlPvm(size: usize) = delete_slow;
    /// `operator delete[](void*, size_t)`
    _ZdaPvm(size: usize) = delete_array_slow;
    /// `operator delete(void*, nothrow_t const&)`
    _ZdlPvRKSt9nothrow_t(nothrow: *const c_void) = delete_slow;
    /// `operator delete[](void*, nothrow_t const&)`
    _ZdaPvRKSt9nothrow_t(nothrow: *const c_void) = delete_array_slow;
    /// `operator delete(void*, align_val_t)`
    _ZdlPvSt11align_val_t(align: usize) = delete_aligned_slow;
    /// `operator delete[](void*, align_val_t)`
    _ZdaPvSt11align_val_t(align: usize) = delete_array_aligned_slow;
    /// `operator delete(void*, size_t, align_val_t)`
    _ZdlPvmSt11align_val_t(size: usize, align: usize) = delete_aligned_slow;
    /// `operator delete[](void*, size_t, align_val_t)`
    _ZdaPvmSt11align_val_t(size: usize, align: usize) = delete_array_aligned_slow;
    /// `operator delete(void*, align_val_t, nothrow_t const&)`
    _ZdlPvSt11align_val_tRKSt9nothrow_t(align: usize, nothrow: *const c_void) = delete_aligned_slow;
    /// `operator delete[](void*, align_val_t, nothrow_t const&)`
    _ZdaPvSt11align_val_tRKSt9nothrow_t(align: usize, nothrow: *const c_void) = delete_array_aligned_slow;
}
