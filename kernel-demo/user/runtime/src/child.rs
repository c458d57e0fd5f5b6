//! Code that runs in a process of its own, whose end is looked at.

use crate::claim::Verdict;
use crate::system::Errno;
use crate::system::process::{self, Ending, Fork};

/// Runs `run` in a child and waits for its end. An `Err` of `run` is the child's exit status.
///
/// # Errors
///
/// There can be no child.
pub fn in_child(run: impl FnOnce() -> Verdict) -> Result<Ending, Errno> {
    in_child_watched(run, |_| {})
}

/// The same; `meanwhile` runs here, beside the child, before it is waited for, and gets its number.
///
/// # Errors
///
/// There can be no child.
pub fn in_child_watched(
    run: impl FnOnce() -> Verdict,
    meanwhile: impl FnOnce(usize),
) -> Result<Ending, Errno> {
    match process::fork()? {
        Fork::Child => process::exit(run().map_or_else(|untrue| untrue.status(), |()| 0)),
        Fork::Parent { child } => {
            meanwhile(child);
            process::wait_for(child)
        }
    }
}
