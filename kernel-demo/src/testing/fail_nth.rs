//! Fault injection: every frame request of a workload fails once.

use super::check::fail;
use super::run::Balance;
use super::{CaseResult, Failed};
use crate::{ensure_eq, memory};

/// More failing runs than any workload should need.
const MOST_RUNS: usize = 10_000;

/// Runs the workload with its first frame request failing, then with its second failing, and so on
/// until a run needs no more requests than came before. After each run, all frames must be back.
/// Returns how many requests were made to fail.
///
/// The workload passes when it copes: it meets at most one failure, must not take it for success,
/// and must clean up.
///
/// # Errors
///
/// A run failed, or leaked, or there is no end to the requests.
pub fn fail_nth(mut workload: impl FnMut() -> CaseResult) -> Result<usize, Failed> {
    for n in 1..=MOST_RUNS {
        let before = Balance::now();
        memory::with(|memory| memory.frames().fail_nth(Some(n)));
        let result = workload();
        let pending = memory::with(|memory| {
            let pending = memory.frames().failure_pending();
            memory.frames().fail_nth(None);
            pending
        });
        result?;
        ensure_eq!(Balance::now(), before);
        if pending {
            return Ok(n - 1);
        }
    }
    Err(fail(format_args!("at most {MOST_RUNS} frame requests"), format_args!("more")))
}
