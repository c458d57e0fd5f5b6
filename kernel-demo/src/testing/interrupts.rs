//! What a case sees of interrupts that come while the kernel runs.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::Lock;

/// Function for ticks.
static ON_TICK: Lock<Option<fn()>> = Lock::new(None);

static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);

/// Has the function called at each tick that comes while the kernel runs, on any CPU; `None` as at
/// first: nothing is done.
pub fn on_tick(handler: Option<fn()>) {
    *ON_TICK.lock() = handler;
}

/// A tick has come while the kernel runs.
pub(crate) fn tick() {
    // The handler runs while the lock is free: on another CPU it may run as well.
    let handler = *ON_TICK.lock();
    if let Some(handler) = handler {
        handler();
    }
}

/// Breakpoints met since boot. A breakpoint does nothing but count.
pub fn breakpoints() -> u64 {
    BREAKPOINTS.load(Ordering::Relaxed)
}

/// A breakpoint was met.
pub(crate) fn breakpoint() {
    BREAKPOINTS.fetch_add(1, Ordering::Relaxed);
}
