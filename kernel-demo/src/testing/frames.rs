//! The frames that a case takes must be back after it, and can be refused to it.

use kerntest_guest::{self as guest, CaseResult, Count, Failed, Kernel, Refusal};

use super::{Case, Suite};
use crate::arch::qemu::{Exit, option};
use crate::heap::HEAP;
use crate::memory::BreakId;
use crate::{memory, print};

/// Frames that are spoken for. A case must leave them as it found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Frames in use.
    pub used: usize,
    /// Frames reserved.
    pub reserved: usize,
}

impl Balance {
    /// The frames spoken for now, after the kernel's heap has given back what it can. What it keeps
    /// counts as used: each CPU's arena for interrupt handlers touches its pages when one
    /// allocates.
    pub fn now() -> Self {
        HEAP.trim(0);
        memory::with(|memory| {
            let counts = memory.counts();
            let heap = memory.break_info(BreakId::KERNEL_HEAP).map_or(0, |heap| heap.reserved);
            Self { used: counts.used() + heap, reserved: counts.reserved - heap }
        })
    }

    fn counts(self) -> guest::Balance {
        guest::Balance::new(&[
            Count { leaks: "frame", what: "frames not returned", number: self.used },
            Count { leaks: "reservation", what: "frames still reserved", number: self.reserved },
        ])
    }
}

/// This kernel.
struct Demo;

impl Kernel for Demo {
    const PACKAGE: &'static str = env!("CARGO_MANIFEST_DIR");

    fn write(&mut self, text: &str) {
        print!("{text}");
    }

    fn option<'b>(&mut self, key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        option(key, buffer)
    }

    fn balance(&mut self) -> guest::Balance {
        Balance::now().counts()
    }

    fn reset(&mut self) {
        self.fail_nth(None);
    }
}

impl Refusal for Demo {
    fn fail_nth(&mut self, n: Option<usize>) {
        memory::with(|memory| memory.frames().fail_nth(n));
    }

    fn is_pending(&mut self) -> bool {
        memory::with(|memory| memory.frames().failure_pending())
    }

    fn refused_with_it(&mut self) -> usize {
        memory::with(|memory| memory.frames().refused_with_it())
    }

    fn balance(&mut self) -> guest::Balance {
        Balance::now().counts()
    }
}

/// Runs the workload with its first frame refused, then with its second, and so on; see
/// [`kerntest_guest::fail_nth`]. Returns how many frames were refused.
///
/// # Errors
///
/// A run failed, or leaked, or there is no end to the requests.
pub fn fail_nth(workload: impl FnMut() -> CaseResult) -> Result<usize, Failed> {
    guest::fail_nth(&mut Demo, workload)
}

/// Runs the cases that the options select, in order, and returns the verdict.
///
/// # Panics
///
/// When an option makes no sense.
pub fn run(suite: &Suite<'_>) -> Exit {
    let claims = suite.tour.iter().flat_map(|chapter| chapter.claims);
    let steps = claims.flat_map(|claim| claim.steps).map(Case::from);
    guest::run(&mut Demo, &guest::Suite { cases: suite.cases, steps, host_only: suite.host_only })
}
