//! The functions that programs call. Each interprets its arguments and calls the engine.
//!
//! | file | |
//! |---|---|
//! | `c.rs` | C's functions, and `malloc_usable_size` |
//! | `aligned.rs` | functions with an alignment |
//! | `cxx.rs` | C++'s operators `new` and `delete` |
//! | `glibc.rs` | settings, statistics, aliases |
//! | `dl.rs` | `dlopen` |
//! | `signal.rs` | `sigaction`, `signal` |

/// Defines a function that calls another one, with its own return address, at an offset from the
/// stack pointer, as a further argument in a register. It is called by a jump, so that the address
/// is that of the program's call.
macro_rules! with_caller {
    ($(
        $(#[$doc:meta])*
        $visibility:vis fn $name:ident($($type:ty),*) $(-> $answer:ty)?
            = $function:path, $register:literal, $offset:literal;
    )*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The clauses of the function that it calls.
        #[unsafe(naked)]
        $visibility unsafe extern "C" fn $name($(_: $type),*) $(-> $answer)? {
            core::arch::naked_asm!(
                concat!("mov ", $register, ", [rsp + ", $offset, "]"),
                "jmp {function}",
                function = sym $function,
            )
        }
    )*};
}

/// A name as a C string.
macro_rules! c_name {
    ($name:ident) => {{
        const NAME: &core::ffi::CStr =
            match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes())
            {
                Ok(name) => name,
                Err(_) => unreachable!(),
            };
        NAME
    }};
}

mod aligned;
mod c;
pub(crate) mod cxx;
mod dl;
mod glibc;
mod signal;

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::{errno, provider};

/// Converts a block to C's pointer: null for `None`.
#[inline(always)]
fn pointer_to(block: Option<NonNull<u8>>) -> *mut c_void {
    block.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

/// Converts the engine's answer to C's: null and `ENOMEM` for `None`.
#[inline(always)]
fn block_or_errno(block: Option<NonNull<u8>>) -> *mut c_void {
    match block {
        Some(block) => block.as_ptr().cast(),
        None => no_memory(),
    }
}

#[cold]
fn no_memory() -> *mut c_void {
    provider::forget_refusals();
    errno::set(libc::ENOMEM);
    ptr::null_mut()
}

/// Converts a caller's pointer to a block; null is `None`. A misaligned pointer ends the process.
#[inline(always)]
fn block_of(pointer: *mut c_void) -> Option<NonNull<u8>> {
    let block = NonNull::new(pointer.cast::<u8>())?;
    if !block.addr().get().is_multiple_of(crate::request::ALIGN) {
        misaligned(block);
    }
    Some(block)
}

#[cold]
fn misaligned(block: NonNull<u8>) -> ! {
    crate::report::die(format_args!("{block:p} is not a block: every block is aligned to 16 bytes"))
}
