//! Work for all CPUs: a closure that each of them runs.

use core::hint::spin_loop;
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use x86_64::instructions::interrupts;

use super::{online, request};

/// What each CPU does.
type Work<'a> = &'a (dyn Fn() + Sync);

/// What there is to do, null if nothing is.
static WORK: AtomicPtr<Work<'static>> = AtomicPtr::new(ptr::null_mut());

/// How often there was something to do.
static ROUND: AtomicUsize = AtomicUsize::new(0);

/// CPUs that have not done it yet.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Runs the closure on all CPUs at once, with interrupts disabled, and waits until each has
/// returned. Called by the first CPU; the others wait for this when they do nothing else.
///
/// # Panics
///
/// In a closure that it runs.
pub fn on_all(work: Work<'_>) {
    if online() > 1 {
        assert!(WORK.load(Ordering::Relaxed).is_null(), "the CPUs have work already");
        // SAFETY: only the lifetime changes; every CPU has returned from the closure before this
        // function returns.
        let work = unsafe { mem::transmute::<Work<'_>, Work<'static>>(work) };
        LEFT.store(online() - 1, Ordering::Relaxed);
        WORK.store((&raw const work).cast_mut(), Ordering::Relaxed);
        ROUND.fetch_add(1, Ordering::Release);
        request::barrier();
        work();
        while LEFT.load(Ordering::Acquire) > 0 {
            request::answer();
            spin_loop();
        }
        WORK.store(ptr::null_mut(), Ordering::Relaxed);
    } else {
        work();
    }
}

/// Does the work that comes, for good: what a CPU does that was started.
pub fn forever() -> ! {
    let mut done = 0;
    loop {
        while ROUND.load(Ordering::Acquire) == done {
            wait_for_interrupt();
        }
        done += 1;
        // SAFETY: the work stays until this CPU has said that it has returned.
        unsafe { (*WORK.load(Ordering::Relaxed))() };
        LEFT.fetch_sub(1, Ordering::Release);
    }
}

/// Waits for an interrupt and takes it, with interrupts enabled meanwhile: a tick, or a request of
/// another CPU.
pub fn wait_for_interrupt() {
    interrupts::enable_and_hlt();
    interrupts::disable();
}
