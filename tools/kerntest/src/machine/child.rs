//! Children of this process: the processor time that they take is counted for the thread that waits
//! for them.

use std::cell::Cell;
use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use wait4::Wait4;

thread_local! {
    static SPENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Returns the processor time, the system's part included, of all programs that this thread has
/// waited for, and of those that they waited for.
pub fn spent() -> Duration {
    SPENT.get()
}

/// Waits for a child to end.
///
/// # Errors
///
/// The system's.
pub fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let used = child.wait4()?;
    SPENT.set(SPENT.get() + used.rusage.utime + used.rusage.stime);
    Ok(used.status)
}
