//! Page faults and frames that a piece of code costs.

use runtime::system::process;

use crate::machine;

/// What there was when something began.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    begun: Sample,
}

/// What it cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Page faults of this process that were served.
    pub faults: usize,
    /// Frames that are free no more, whoever took them; `None` on Linux.
    pub frames: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    faults: usize,
    frames: Option<usize>,
}

impl Sample {
    /// To take one costs nothing the second time: it is at the same place of the stack, whoever
    /// calls.
    #[inline(never)]
    fn take() -> Self {
        let frames = machine::frames_free();
        Self { faults: process::usage().faults, frames }
    }
}

impl Meter {
    /// Begins to count.
    #[inline(always)]
    #[must_use]
    pub fn start() -> Self {
        Sample::take();
        Self { begun: Sample::take() }
    }

    /// What it was since then.
    #[inline(always)]
    #[must_use]
    pub fn read(self) -> Cost {
        let now = Sample::take();
        let frames =
            self.begun.frames.zip(now.frames).map(|(before, now)| before.saturating_sub(now));
        Cost { faults: now.faults - self.begun.faults, frames }
    }
}
