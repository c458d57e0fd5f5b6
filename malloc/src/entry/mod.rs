//! The functions that programs call. Each is a line or two: what an odd argument means, and then
//! the engine.
//!
//! | file | |
//! |---|---|
//! | `c.rs` | C's own, and `malloc_usable_size` |
//! | `aligned.rs` | those that take an alignment |
//! | `cxx.rs` | C++'s operators `new` and `delete` |
//! | `glibc.rs` | settings and statistics; second names |

mod aligned;
mod c;
mod cxx;
mod glibc;

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::errno;

/// What C calls a block, or the lack of one, which leaves a reason in `errno`.
#[inline(always)]
fn block_or_errno(block: Option<NonNull<u8>>) -> *mut c_void {
    match block {
        Some(block) => block.as_ptr().cast(),
        None => no_memory(),
    }
}

#[cold]
fn no_memory() -> *mut c_void {
    errno::set(libc::ENOMEM);
    ptr::null_mut()
}

/// A block that a caller hands in; `None`: null.
#[inline(always)]
fn block_of(pointer: *mut c_void) -> Option<NonNull<u8>> {
    let block = NonNull::new(pointer.cast::<u8>())?;
    if !block.addr().get().is_multiple_of(crate::request::ALIGN) {
        not_ours(block);
    }
    Some(block)
}

#[cold]
fn not_ours(block: NonNull<u8>) -> ! {
    crate::report::die(format_args!(
        "{block:p} was handed in, which is no block: none is aligned so"
    ))
}
