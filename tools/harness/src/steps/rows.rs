//! Two rows of steps at a time: a compiler that is alone with one file, and an emulated machine,
//! leave processors idle; two rows do not.
//!
//! ```text
//!   rows     0 ────────────  2 ─────  4 ──      whoever is done takes the next one,
//!            1 ──────────────────────  3 ───    so the longest ones come first
//!   shown    0, then 1, 2, 3, 4: the first that is not done writes to the terminal, the others wait
//! ```

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::screen::Output;

/// Does `work` with each row and its index, two at a time, in order. Returns what came of them, in
/// the same order.
pub(super) fn work_off<R: Sync, T: Send>(
    rows: &[R],
    work: impl Fn(usize, &R) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = rows.get(index) else {
                return done;
            };
            done.push((index, work(index, row)));
        }
    };
    let mut done = thread::scope(|scope| {
        let other = scope.spawn(worker);
        let mut done = worker();
        done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done
    });
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Where each row writes to; see the picture above.
pub(super) struct Outputs {
    rows: Vec<Output>,
    done: Mutex<Vec<bool>>,
}

impl Outputs {
    /// Those of so many rows, of which none is done.
    pub(super) fn new(rows: usize) -> Self {
        let outputs = Self {
            rows: (0..rows).map(|_| Output::kept()).collect(),
            done: Mutex::new(vec![false; rows]),
        };
        outputs.rows.iter().take(1).for_each(Output::release);
        outputs
    }

    /// That of one row.
    pub(super) fn of(&self, row: usize) -> &Output {
        &self.rows[row]
    }

    /// The row is done: if no one before it is being shown, the terminal is for the next one.
    pub(super) fn done(&self, row: usize) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done[row] = true;
        let shown = first_open(&done);
        self.rows.iter().take(shown + 1).for_each(Output::release);
    }
}

/// The first row that is not done.
fn first_open(done: &[bool]) -> usize {
    done.iter().take_while(|done| **done).count()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn whoever_is_done_takes_the_next_row_and_the_results_are_in_order() {
        // The row 0 ends only when 1 and 2 have: another worker has done both.
        let (sender, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let results = work_off(&["a", "b", "c"], |index, &row| {
            match index {
                0 => assert_eq!(
                    [(); 2].map(|()| receiver.lock().unwrap().recv().unwrap()),
                    ["b", "c"]
                ),
                _ => sender.send(row).unwrap(),
            }
            (index, row)
        });
        assert_eq!(results, [(0, "a"), (1, "b"), (2, "c")]);
        assert_eq!(work_off(&[], |_, &(): &()| ()), []);
    }

    #[test]
    fn the_terminal_is_for_the_first_row_that_is_not_done() {
        let outputs = Outputs::new(3);
        let waits = || [0, 1, 2].map(|row| outputs.of(row).waits());
        assert_eq!(waits(), [false, true, true]);
        outputs.done(1);
        assert_eq!(waits(), [false, true, true]);
        outputs.done(0);
        assert_eq!(waits(), [false, false, false]);
        outputs.done(2);
        Outputs::new(0);
    }
}
