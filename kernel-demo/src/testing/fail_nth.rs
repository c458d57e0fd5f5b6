//! Fault injection: every frame request of a workload fails once.

use super::check::fail;
use super::run::Balance;
use super::{CaseResult, Failed};
use crate::{ensure_eq, memory};

/// More failing runs than any workload should need.
const MOST_RUNS: usize = 10_000;

/// Runs the workload with its first frame refused, then with its second, and so on until a run
/// needs no more frames than came before. Frames that are asked for at once are refused at once.
/// After each run, all frames must be back. Returns how many frames were refused.
///
/// The workload passes when it copes: it meets at most one failure, must not take it for success,
/// and must clean up.
///
/// # Errors
///
/// A run failed, or leaked, or there is no end to the requests.
pub fn fail_nth(mut workload: impl FnMut() -> CaseResult) -> Result<usize, Failed> {
    let mut n = 1;
    for _ in 0..MOST_RUNS {
        let before = Balance::now();
        memory::with(|memory| memory.frames().fail_nth(Some(n)));
        let result = workload();
        let (pending, refused_with_it) = memory::with(|memory| {
            let frames = memory.frames();
            let was = (frames.failure_pending(), frames.refused_with_it());
            frames.fail_nth(None);
            was
        });
        result?;
        ensure_eq!(Balance::now(), before);
        if pending {
            return Ok(n - 1);
        }
        n += 1 + refused_with_it;
    }
    Err(fail(format_args!("at most {MOST_RUNS} frame requests"), format_args!("more")))
}
