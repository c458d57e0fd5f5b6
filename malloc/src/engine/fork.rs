//! Around a `fork`: the locks, the arenas, and the child that lost the heap.

use core::sync::atomic::Ordering;

use super::{CHECKED, MODE, TORN, is_traced, torn, trace, usual};
use crate::{clock, lock, report, stdio, thread};

/// Takes all locks before a `fork`: stdio's, the trace, the heap, the arenas. This is the order of
/// locking. It waits [`lock::BOUND`] for each of the latter three; the child then loses what could
/// not be held.
///
/// Of a process with one thread it takes nothing and writes nothing, and neither do the functions
/// below: parent and child need a copy each of every page that is written.
pub(crate) fn prefork() {
    if lock::is_single_threaded() {
        // SAFETY: this is the only thread.
        unsafe { usual::prefork() };
        return;
    }
    stdio::prefork();
    if is_traced() {
        lock::TRACE.lock_for_fork();
    }
    let start = clock::milliseconds();
    while lock::HEAP.lock_for_fork() {
        // Without an answer no word is valid, and no arena can be held.
        thread::unregister_vanished();
        // SAFETY: the lock is held.
        let is_done = unsafe { usual::prefork() };
        if is_done || clock::milliseconds().saturating_sub(start) > lock::BOUND {
            return;
        }
        // A thread inside its arena may be waiting for the lock.
        lock::HEAP.unlock_after_fork();
        clock::pause();
    }
}

/// Releases all locks in the parent.
pub(crate) fn postfork_parent() {
    let held = lock::HEAP.hold();
    // SAFETY: the lock is held.
    unsafe { usual::postfork_parent() };
    drop(held);
    lock::HEAP.unlock_after_fork();
    lock::TRACE.unlock_after_fork();
    stdio::postfork_parent();
}

/// Releases all locks in the child, which has one thread and writes no trace: the file is the
/// parent's. If the heap is lost, a new one serves.
pub(crate) fn postfork_child() {
    stdio::postfork_child();
    lock::TRACE.postfork_child();
    if is_traced() {
        trace::stop_in_child();
    }
    if lock::HEAP.postfork_child() {
        // SAFETY: the child has one thread, which called `prefork`.
        unsafe { usual::postfork_child() };
        thread::postfork_child();
    } else {
        thread::leave_arenas();
        torn::start(MODE.swap(TORN, Ordering::Relaxed) == CHECKED);
        report::line(format_args!(
            "child {}: another thread was changing the heap when the process forked; the blocks \
             from before are never reused here",
            // SAFETY: `getpid` has no preconditions.
            unsafe { libc::getpid() }
        ));
    }
}
