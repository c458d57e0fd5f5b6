//! Code on a stack of its own.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::address_space::Errno;
use crate::arch::catch::Thunk;
use crate::memory;
use crate::memory::kernel::StackBounds;

/// Runs the closure on a stack of its own, with a guard page below it, and takes the stack away
/// afterwards.
///
/// To survive an overflow of that stack, use [`catch_fault`](crate::arch::catch_fault) *inside* the
/// closure; outside, the stack would be lost with the abandoned frames.
///
/// # Errors
///
/// There is no stack to be had. The closure has not run.
pub fn on_stack<R>(closure: impl FnOnce(StackBounds) -> R) -> Result<R, Errno> {
    let bounds = memory::with(|memory| memory.add_stack("borrowed stack"))?;
    let mut call = Thunk { closure: Some(|| closure(bounds)), result: None };
    // SAFETY: the stack is fresh, and `run` is called with a pointer to the `Thunk` of its own
    // type.
    unsafe { call_on(call.run_erased(), (&raw mut call).cast(), bounds.top) };
    // SAFETY: the closure has returned; its result was moved here.
    memory::with(|memory| unsafe { memory.remove_stack(bounds) });
    Ok(call.result.expect("the closure has run to its end"))
}

/// Calls `function(argument)` on the stack that ends at `top`, and comes back to the present one.
///
/// # Safety
///
/// The function may be called with the argument; the stack is mapped and not in use; `top` is a
/// multiple of 16.
#[unsafe(naked)]
unsafe extern "C" fn call_on(function: unsafe extern "C" fn(*mut ()), argument: *mut (), top: u64) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdx",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
    )
}
