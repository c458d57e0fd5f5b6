//! What a case does when it takes the kernel down, for the report on that.
use core::fmt::Debug;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What is being done: a pointer to a value on the stack of [`during`], or null.
static INNERMOST: AtomicPtr<&'static dyn Debug> = AtomicPtr::new(ptr::null_mut());

/// Runs a part of a case. If the kernel ends in it, the report says `what` it was. (It is printed
/// only then.)
pub fn during<R>(what: &dyn Debug, part: impl FnOnce() -> R) -> R {
    // Not exchanged: some processors cannot, and one caller at a time runs a case.
    let outer = INNERMOST.load(Ordering::Relaxed);
    INNERMOST.store((&raw const what).cast_mut().cast(), Ordering::Relaxed);
    let result = part();
    INNERMOST.store(outer, Ordering::Relaxed);
    result
}

/// Another case begins. The one before may have left a `during` through a catcher of faults.
pub(super) fn clear() {
    INNERMOST.store(ptr::null_mut(), Ordering::Relaxed);
}

/// What was being done when the kernel ended, if a case said so.
///
/// # Safety
///
/// The case that ran does not run on, so that what it was doing stays where it is.
pub unsafe fn last() -> Option<&'static dyn Debug> {
    // SAFETY: null, or a value on the stack of a `during` that does not return: nothing unwinds,
    // and the caller says so.
    unsafe { INNERMOST.load(Ordering::Relaxed).as_ref() }.copied()
}
