//! What a child process is asked to do.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::to_string;

use super::{bounds, counts, tightness, time, traces};
use crate::{memory, subject, threads, workload};

/// One measurement of one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Nanoseconds an operation.
    Time {
        /// Who.
        subject: subject::Name,
        /// What.
        workload: workload::Name,
        /// For how long, in milliseconds.
        budget: u64,
    },
    /// Two passes, for callgrind to count the second.
    Count {
        /// Who.
        subject: subject::Name,
        /// What.
        workload: workload::Name,
    },
    /// Instructions, time and memory that a heap takes for a program's calls.
    Trace {
        /// Who.
        subject: subject::Name,
        /// Name of the program.
        origin: traces::Origin,
        /// Which figure.
        aspect: traces::Aspect,
    },
    /// How much of a heap is payload.
    Tightness {
        /// Who.
        subject: subject::Name,
        /// What is asked.
        question: tightness::Question,
    },
    /// Instructions of single operations.
    Bounds {
        /// Who.
        subject: subject::Name,
        /// In a heap of how many cells.
        cells: usize,
    },
    /// Instructions of the common path, or of the first refused request.
    Single {
        /// Who.
        subject: subject::Name,
        /// Which operation.
        single: bounds::single::Single,
    },
    /// Operations a second of many threads.
    Threads {
        /// Who.
        who: threads::Who,
        /// What.
        load: threads::Load,
        /// How many threads.
        threads: usize,
        /// For how long, in milliseconds.
        budget: u64,
    },
}

impl Job {
    /// Does the job in this process and returns its figures, as JSON. The process is killed after
    /// `seconds`.
    ///
    /// # Errors
    ///
    /// The figures cannot be written as JSON.
    pub fn run(&self, seconds: u32) -> serde_json::Result<String> {
        // SAFETY: asks for a signal, whose default is to end this process.
        unsafe { libc::alarm(seconds) };
        memory::small_pages_only();
        if !matches!(self, Self::Threads { .. }) {
            memory::pin_to_one_core();
        }
        match *self {
            Self::Time { subject, workload, budget } => {
                to_string(&time::here(subject, workload, Duration::from_millis(budget)))
            }
            Self::Count { subject, workload } => to_string(&counts::here(subject, workload)),
            Self::Trace { subject, ref origin, aspect } => traces::here(subject, origin, aspect),
            Self::Tightness { subject, question } => to_string(&tightness::here(subject, question)),
            Self::Bounds { subject, cells } => to_string(&bounds::here(subject, cells)),
            Self::Single { subject, single } => to_string(&bounds::single::here(subject, single)),
            Self::Threads { who, load, threads, budget } => {
                to_string(&threads::here(who, load, threads, Duration::from_millis(budget)))
            }
        }
    }
}
