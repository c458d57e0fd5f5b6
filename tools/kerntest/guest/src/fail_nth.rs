//! Fault injection: every request of a workload is refused once.

use super::check::fail;
use super::{Balance, CaseResult, Failed, ensure_eq};

/// Maximum number of runs of a workload.
const MOST_RUNS: usize = 10_000;

/// A source of something that can refuse it on demand: frames, blocks, handles.
pub trait Refusal {
    /// Refuses the `n`th request from now on, from 1 on, or none.
    fn fail_nth(&mut self, n: Option<usize>);

    /// Whether the refusal that was asked for has not come.
    fn is_pending(&mut self) -> bool;

    /// How many requests were refused together with the `n`th, because they belong to it.
    fn refused_with_it(&mut self) -> usize {
        0
    }

    /// What is spoken for now.
    fn balance(&mut self) -> Balance;
}

/// Runs the workload with its first request refused, then with its second, and so on until a run
/// makes no more requests than came before. Requests that are made at once are refused at once.
/// After each run, the balance must be what it was. Returns how many requests were refused.
///
/// The workload passes when it copes: it meets at most one failure, must not take it for success,
/// and must clean up.
///
/// # Errors
///
/// A run failed, or leaked, or there is no end to the requests.
pub fn fail_nth(
    source: &mut impl Refusal,
    mut workload: impl FnMut() -> CaseResult,
) -> Result<usize, Failed> {
    let mut n = 1;
    for _ in 0..MOST_RUNS {
        let before = source.balance();
        source.fail_nth(Some(n));
        let result = workload();
        let (is_pending, with_it) = (source.is_pending(), source.refused_with_it());
        source.fail_nth(None);
        result?;
        ensure_eq!(source.balance(), before);
        if is_pending {
            return Ok(n - 1);
        }
        n += 1 + with_it;
    }
    Err(fail(format_args!("at most {MOST_RUNS} requests"), format_args!("more")))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::Count;

    /// Hands out numbers.
    #[derive(Default)]
    struct Source {
        until: Cell<Option<usize>>,
        used: Cell<usize>,
    }

    impl Source {
        fn take(&self) -> Option<()> {
            let until = self.until.get();
            self.until.set(until.map(|until| until.saturating_sub(1)));
            if until == Some(1) {
                return None;
            }
            self.used.set(self.used.get() + 1);
            Some(())
        }
    }

    impl Refusal for &Source {
        fn fail_nth(&mut self, n: Option<usize>) {
            self.until.set(n);
        }

        fn is_pending(&mut self) -> bool {
            self.until.get().is_some_and(|until| until > 0)
        }

        fn balance(&mut self) -> Balance {
            Balance::new(&[Count { leaks: "x", what: "x", number: self.used.get() }])
        }
    }

    #[test]
    fn each_request_is_refused_once() {
        let source = Source::default();
        let refused = fail_nth(&mut &source, || {
            let taken = (0..3).take_while(|_| source.take().is_some()).count();
            source.used.set(source.used.get() - taken);
            Ok(())
        });
        assert_eq!(refused.unwrap(), 3);
    }

    #[test]
    fn a_run_that_keeps_something_fails() {
        let source = Source::default();
        let result = fail_nth(&mut &source, || {
            // The second request's failure is met without giving the first back.
            if source.take().is_some() && source.take().is_some() {
                source.used.set(source.used.get() - 2);
            }
            Ok(())
        });
        assert!(result.is_err());
    }
}
