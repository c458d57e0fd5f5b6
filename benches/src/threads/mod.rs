//! Many threads, one heap: operations a second over all threads, and the most memory that the
//! process had.
//!
//! ```text
//!   churn     each thread replaces random blocks of its own                    what is local
//!   remote    pairs of threads: one allocates, the other frees                 what is another's
//!   ring      each thread frees what the one before has allocated
//!   larson    threads replace blocks, end, and leave them to a successor       what outlives its thread
//!   xmalloc   each thread allocates a batch, and frees whoever's comes by
//!   exits     threads begin, allocate, and end; others free half of it
//! ```
//!
//! Each measurement is a process of its own; threads are placed by the system.

mod contender;
mod load;
mod spsc;

use std::ptr::NonNull;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::{Failure, Job, Outcome, run_in_child};
use crate::memory::{self, Pages};

/// Who is measured.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// `brkalloc::ArenaHeap`, a slot a thread.
    Arenas,
    /// `brkalloc::Heap` without a lock: what one thread could have.
    Heap,
    /// `brkalloc::Heap` behind a spin lock.
    Locked,
    /// talc behind a spin lock.
    Talc,
    /// rlsf behind a mutex of the standard library.
    Rlsf,
    /// The C library's `malloc`.
    Glibc,
    /// mimalloc.
    Mimalloc,
    /// jemalloc.
    Jemalloc,
}

/// What the threads do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Replace one of 4096 blocks of up to 256 bytes.
    ChurnSmall,
    /// The same with up to 4 KiB.
    ChurnMedium,
    /// One thread allocates up to 256 bytes, another frees.
    Remote,
    /// Each frees what the one before has allocated.
    Ring,
    /// Replace one of 1000 blocks of up to 512 bytes; after 20,000 of these, leave them to another
    /// thread.
    Larson,
    /// Allocate 64 blocks of up to 512 bytes; free another's 64.
    Xmalloc,
    /// Begin, allocate 200 blocks of up to 1 KiB, free half of them, end.
    Exits,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Millions of blocks that were allocated and freed, a second.
    pub rate: f64,
    /// The most memory that the process had, in KiB, less what it had before.
    pub peak: u64,
}

impl Who {
    /// All that this build has, for so many threads.
    #[must_use]
    pub fn all(threads: usize) -> Vec<Self> {
        let all = <Self as clap::ValueEnum>::value_variants().iter().copied();
        let is_built = |who: &Self| {
            cfg!(feature = "libraries") || !matches!(who, Self::Mimalloc | Self::Jemalloc)
        };
        all.filter(is_built).filter(|&who| who != Self::Heap || threads == 1).collect()
    }
}

impl Load {
    /// All.
    #[must_use]
    pub fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// Whether it takes two threads at least.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::ChurnSmall | Self::ChurnMedium)
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(clap::ValueEnum::to_possible_value(self).expect("no name is skipped").get_name())
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(clap::ValueEnum::to_possible_value(self).expect("no name is skipped").get_name())
    }
}

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 20;

/// Addresses for who has no break of its own; pages appear on first touch.
const REGION: usize = 8 << 30;

/// Measures once, in a child.
///
/// # Errors
///
/// Why there is no figure.
pub fn once(who: Who, load: Load, threads: usize, budget: Duration) -> Outcome<Figure> {
    run_in_child(&Job::Threads { who, load, threads, budget: budget.as_millis() as u64 }, LIMIT)
}

/// Measures in this process.
pub(crate) fn here(who: Who, load: Load, threads: usize, budget: Duration) -> Outcome<Figure> {
    let region = memory::region(REGION, Pages::OnTouch)
        .map_err(|error| Failure::Crashed(error.to_string()))?;
    let rate =
        |region: NonNull<[u8]>| contender::with(who, region, load::Run { load, threads, budget });
    let before = peak();
    let rate = rate(region);
    Ok(Figure { rate, peak: peak().saturating_sub(before) })
}

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
