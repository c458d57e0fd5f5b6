//! `dlopen` without `RTLD_DEEPBIND`.
//!
//! A library that is loaded with this flag would find the C library's `free` before ours, and pass
//! our blocks to it: that aborts the process. Without the flag it finds ours. The call is passed on
//! by a jump: the loader looks at the return address to know who calls.

use core::arch::naked_asm;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::report;

/// The C library's `dlopen`, or null.
static DLOPEN: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// The C library's `dlmopen`, or null.
static DLMOPEN: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Returns the function of this name in the libraries after this one, and keeps it.
pub(super) fn find(function: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let mut found = function.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: `name` is a C string.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        if found.is_null() {
            report::die(format_args!("no library has {name:?}"));
        }
        function.store(found, Ordering::Relaxed);
    }
    found
}

extern "C" fn find_dlopen() -> *mut c_void {
    find(&DLOPEN, c"dlopen")
}

extern "C" fn find_dlmopen() -> *mut c_void {
    find(&DLMOPEN, c"dlmopen")
}

/// glibc's `dlopen`, without `RTLD_DEEPBIND`.
///
/// # Safety
///
/// The clauses of glibc's.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn dlopen(_file: *const c_char, _mode: c_int) -> *mut c_void {
    naked_asm!(
        "and esi, {kept}",
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        "call {find}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "jmp rax",
        kept = const !libc::RTLD_DEEPBIND,
        find = sym find_dlopen,
    )
}

/// glibc's `dlmopen`, without `RTLD_DEEPBIND` for the program's own namespace. Other namespaces
/// have a C library, and its allocator, of their own.
///
/// # Safety
///
/// The clauses of glibc's.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn dlmopen(
    _namespace: isize,
    _file: *const c_char,
    _mode: c_int,
) -> *mut c_void {
    naked_asm!(
        "test rdi, rdi",
        "jnz 2f",
        "and edx, {kept}",
        "2:",
        "push rdi",
        "push rsi",
        "push rdx",
        "call {find}",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "jmp rax",
        kept = const !libc::RTLD_DEEPBIND,
        find = sym find_dlmopen,
    )
}
