//! How long a program may make no progress, on a clock that stands still while other programs have
//! the processors.
//!
//! A limit is meant for a program that hangs, be it asleep or in a loop. On a machine with more to
//! do than it has processors for, one that does not hang is as silent for as long: what it then
//! waits for is its turn, and Linux counts that.

use std::fs;
use std::time::{Duration, Instant};

/// Maximum time in limits, waits included: several threads that wait at once are counted one by
/// one.
const MOST: u32 = 10;

/// A limit, and how much of it is used up.
#[derive(Debug)]
pub(super) struct Deadline {
    limit: Duration,
    begin: Instant,
    used: Duration,
    seen: Instant,
    waited: Duration,
}

impl Deadline {
    /// All of it, for a program that has waited so long for a processor until now.
    pub fn new(limit: Duration, now: Instant, waited: Duration) -> Self {
        Self { limit, begin: now, used: Duration::ZERO, seen: now, waited }
    }

    /// The limit.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns how much of it is used up.
    pub fn used(&self) -> Duration {
        self.used
    }

    /// Uses up what has passed since the last call, but for what the program waited: `waited` is
    /// all that it ever did. Returns whether anything is left.
    pub fn lasts(&mut self, now: Instant, waited: Duration) -> bool {
        let passed = now.saturating_duration_since(self.seen);
        // A wait is counted when it is over, so it may have begun before the last call. A thread
        // that ends takes its count along.
        self.used = (self.used + passed).saturating_sub(waited.saturating_sub(self.waited));
        (self.seen, self.waited) = (now, waited);
        self.used < self.limit && now.saturating_duration_since(self.begin) < MOST * self.limit
    }
}

/// How long the threads of the process `pid` have been ready to run without a processor, all
/// together; nothing where Linux does not count it.
///
/// Source: the second figure of `schedstat`, nanoseconds spent in a run queue (Linux,
/// Documentation/scheduler/sched-stats.rst).
pub(super) fn waited(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    texts.filter_map(|text| text.split(' ').nth(1)?.parse().ok()).map(Duration::from_nanos).sum()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_lasts_for_the_limit() {
        let begin = Instant::now();
        let mut deadline = Deadline::new(3 * SECOND, begin, Duration::ZERO);
        let lasts =
            [1, 2, 3, 4].map(|second| deadline.lasts(begin + second * SECOND, Duration::ZERO));
        assert_eq!((lasts, deadline.limit()), ([true, true, false, false], 3 * SECOND));
    }

    #[test]
    fn what_is_waited_for_a_processor_does_not_count() {
        let begin = Instant::now();
        let mut deadline = Deadline::new(3 * SECOND, begin, 7 * SECOND);
        // Of ten seconds it waits for nine, then for none of two.
        assert!(deadline.lasts(begin + 10 * SECOND, 16 * SECOND));
        assert!(!deadline.lasts(begin + 12 * SECOND, 16 * SECOND));
    }

    #[test]
    fn a_wait_that_is_counted_late_does_not_count_either() {
        let begin = Instant::now();
        let mut deadline = Deadline::new(3 * SECOND, begin, Duration::ZERO);
        assert!(deadline.lasts(begin + 2 * SECOND, Duration::ZERO));
        assert!(deadline.lasts(begin + 4 * SECOND, 4 * SECOND), "nothing is used up");
        assert!(deadline.lasts(begin + 6 * SECOND, 4 * SECOND));
        assert!(!deadline.lasts(begin + 7 * SECOND, 4 * SECOND));
    }

    #[test]
    fn threads_that_wait_together_or_end_give_no_time_back() {
        let begin = Instant::now();
        let mut deadline = Deadline::new(3 * SECOND, begin, 7 * SECOND);
        assert!(
            deadline.lasts(begin + SECOND, 17 * SECOND),
            "nothing is used up, and nothing is gained"
        );
        assert!(deadline.lasts(begin + 3 * SECOND, Duration::ZERO));
        assert!(!deadline.lasts(begin + 4 * SECOND, Duration::ZERO));
    }

    #[test]
    fn it_ends_even_if_threads_wait_all_the_time() {
        let begin = Instant::now();
        let mut deadline = Deadline::new(3 * SECOND, begin, Duration::ZERO);
        let ends =
            (1..).find(|&second| !deadline.lasts(begin + second * SECOND, 2 * second * SECOND));
        assert_eq!(ends, Some(30));
    }

    /// Programs that keep a processor busy, until this is dropped.
    struct Busy(Vec<Child>);

    impl Busy {
        fn new(number: usize) -> Self {
            let start = |_| {
                Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell")
            };
            Self((0..number).map(start).collect())
        }
    }

    impl Drop for Busy {
        fn drop(&mut self) {
            for child in &mut self.0 {
                child.kill().and_then(|()| child.wait()).expect("it runs until now");
            }
        }
    }

    #[test]
    fn linux_counts_how_long_a_program_waits() {
        let processors = thread::available_parallelism().expect("a number").get();
        let busy = Busy::new(3 * processors);
        let begin = Instant::now();
        while waited(busy.0[0].id()).is_zero() {
            assert!(begin.elapsed() < 60 * SECOND, "three programs a processor, and none waits");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(waited(u32::MAX), Duration::ZERO, "there is no such process");
    }
}
