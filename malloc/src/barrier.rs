//! A barrier: every thread of the process fences, without its help (`membarrier`).

use core::sync::atomic::{AtomicBool, Ordering};

use crate::errno;

/// Returns when each running thread of the process has executed a full fence.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;

/// Registers the process for the other command. A child of a fork is registered, too.
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

/// The process is registered.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Registers the process. With one thread that takes a system call and no waiting.
pub(crate) fn start() {
    REGISTERED.store(call(REGISTER_PRIVATE_EXPEDITED), Ordering::Relaxed);
}

/// Makes every thread of the process fence. Returns `false` if the system cannot do it.
pub(crate) fn run() -> bool {
    REGISTERED.load(Ordering::Relaxed) && call(PRIVATE_EXPEDITED)
}

fn call(command: libc::c_int) -> bool {
    // SAFETY: `membarrier` reads and writes no memory of the process.
    errno::preserving(|| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0)
}
