//! How much of a heap is payload.
//!
//! Three questions, to heaps that are given their memory: how full is a heap when a random churn
//! first fails; how small a heap is enough for what a program does, and how high up in a large one
//! does it get; how much does a buffer need that grows step by step.

use std::alloc::Layout;
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use super::{Failure, Job, Outcome, process};
use crate::memory::{self, Pages};
use crate::random::Random;
use crate::subject::{self, Kind, Subject};
use crate::trace::{self, Trace};
use crate::workload::{Block, Script, allocate, free, reallocate, words};

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 20;

const PAGE: usize = 4096;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which part of 8 MiB is payload when a churn of sizes up to 256 bytes first fails?
    PayloadTo256,
    /// The same up to 16 KiB.
    PayloadTo16K,
    /// Which part of so many KiB is payload when a mix of small blocks and few large ones first
    /// fails?
    SmallMemory(u32),
    /// Which part of 4 MiB are blocks of a page, aligned to a page?
    Pages,
    /// How high does the trace get in a heap with room, as a multiple of the peak of its live
    /// bytes?
    HighWater(trace::Name),
    /// How large must a fixed heap be for the trace, as a multiple of the peak of its live bytes?
    Smallest(trace::Name),
    /// A buffer grows by `realloc`, a page a step, to 2 MiB: how high does it get, as a multiple of
    /// its size?
    RatchetRealloc,
    /// The same by `malloc` of the new and `free` of the old, as a multiple of the two together.
    RatchetMove,
}

impl Question {
    /// The small memories, in KiB.
    pub const SMALL_MEMORIES: [u32; 4] = [8, 24, 100, 1024];

    /// All of them, in the report's order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::PayloadTo256, Self::PayloadTo16K];
        all.extend(Self::SMALL_MEMORIES.map(Self::SmallMemory));
        all.push(Self::Pages);
        all.extend(trace::Name::ALL.map(Self::HighWater));
        all.extend(trace::Name::ALL.map(Self::Smallest));
        all.extend([Self::RatchetRealloc, Self::RatchetMove]);
        all
    }

    /// True if more is better.
    #[must_use]
    pub const fn is_share(self) -> bool {
        matches!(self, Self::PayloadTo256 | Self::PayloadTo16K | Self::SmallMemory(_) | Self::Pages)
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::PayloadTo256 => "payload, ≤ 256 B".to_owned(),
            Self::PayloadTo16K => "payload, ≤ 16 KiB".to_owned(),
            Self::SmallMemory(kib) => format!("payload of {kib} KiB"),
            Self::Pages => "pages, of 4 MiB".to_owned(),
            Self::Smallest(trace) => format!("smallest, {trace}"),
            Self::HighWater(trace) => format!("peak, {trace}"),
            Self::RatchetRealloc => "ratchet, realloc".to_owned(),
            Self::RatchetMove => "ratchet, move".to_owned(),
        };
        f.pad(&name)
    }
}

/// The answer of a subject, by a child.
///
/// # Errors
///
/// Why there is none.
pub fn once(subject: subject::Name, question: Question) -> Outcome<f64> {
    if subject.kind() == Kind::Library {
        return Err(Failure::Unsupported);
    }
    process::run(&Job::Tightness { subject, question }, LIMIT)
}

/// The answer, in this process.
pub(super) fn here(subject: subject::Name, question: Question) -> Outcome<f64> {
    let region = memory::region(64 << 20, Pages::OnTouch).map_err(Failure::because)?;
    subject.visit(Ask { question, region })
}

struct Ask {
    question: Question,
    region: NonNull<[u8]>,
}

impl subject::Visitor for Ask {
    type Output = Outcome<f64>;

    fn visit<S: Subject>(self) -> Outcome<f64> {
        let region = self.region;
        let load = |name| Trace::load(name).map_err(Failure::because);
        match self.question {
            Question::PayloadTo256 => Ok(payload::<S>(region, 256)),
            Question::PayloadTo16K => Ok(payload::<S>(region, 16 << 10)),
            Question::SmallMemory(kib) => Ok(small_memory::<S>(region, kib as usize * 1024)),
            Question::Pages => Ok(pages::<S>(region)),
            Question::Smallest(name) => smallest::<S>(region, &load(name)?),
            Question::HighWater(name) => {
                let trace = load(name)?;
                let bytes = high_water::<S>(region, &mut Script::replay(&trace))?;
                Ok(bytes as f64 / trace.peak_live() as f64)
            }
            Question::RatchetRealloc => ratchet::<S>(region, Ratchet::Realloc),
            Question::RatchetMove => ratchet::<S>(region, Ratchet::Move),
        }
    }
}

/// A new subject on the first `len` bytes of the region.
fn on<S: Subject>(region: NonNull<[u8]>, len: usize) -> S {
    let part = NonNull::slice_from_raw_parts(region.cast::<u8>(), len.min(region.len()));
    // SAFETY: the region is never given back, and the subjects that were on it are no longer used.
    unsafe { S::new(part) }
}

/// The bytes up to `top`, in whole pages.
fn above(region: NonNull<[u8]>, top: usize) -> usize {
    (top - region.addr().get()).next_multiple_of(PAGE)
}

/// Two of three steps allocate, one frees a random block, until there is no room; the mean of three
/// such churns.
fn payload<S: Subject>(region: NonNull<[u8]>, high: usize) -> f64 {
    const HEAP: usize = 8 << 20;
    const CHURNS: u64 = 3;
    let share = |seed| {
        let mut random = Random::new(0x7167_4700 + seed);
        let mut subject = on::<S>(region, HEAP);
        let (mut blocks, mut payload): (Vec<Block>, usize) = (Vec::new(), 0);
        loop {
            if random.below(3) < 2 || blocks.is_empty() {
                let Ok(block) = allocate(&mut subject, words(random.log_uniform(1, high))) else {
                    return payload as f64 / HEAP as f64;
                };
                payload += block.layout().size();
                blocks.push(block);
            } else {
                let block = blocks.swap_remove(random.below(blocks.len()));
                payload -= block.layout().size();
                free(&mut subject, block);
            }
        }
    };
    (0..CHURNS).map(share).sum::<f64>() / CHURNS as f64
}

/// Two of three steps allocate, one frees a random block, until there is no room. One of 16
/// allocations asks for up to a twelfth of the memory, the others for up to 100 bytes, all aligned
/// to 4. The mean of many such runs.
fn small_memory<S: Subject>(region: NonNull<[u8]>, heap: usize) -> f64 {
    const RUNS: u64 = 60;
    let share = |seed| {
        let mut random = Random::new(0x5311_0000 + seed);
        let mut subject = on::<S>(region, heap);
        let (mut blocks, mut payload): (Vec<Block>, usize) = (Vec::new(), 0);
        loop {
            if random.below(3) < 2 || blocks.is_empty() {
                let most = if random.one_in(16) { heap / 12 } else { 100 };
                let size = random.uniform(1, most);
                let layout = Layout::from_size_align(size, 4).expect("far below the limit");
                let Ok(block) = allocate(&mut subject, layout) else {
                    return payload as f64 / heap as f64;
                };
                payload += size;
                blocks.push(block);
            } else {
                let block = blocks.swap_remove(random.below(blocks.len()));
                payload -= block.layout().size();
                free(&mut subject, block);
            }
        }
    };
    (0..RUNS).map(share).sum::<f64>() / RUNS as f64
}

/// Blocks of a page that are aligned to it, as many as there is room for.
fn pages<S: Subject>(region: NonNull<[u8]>) -> f64 {
    const HEAP: usize = 4 << 20;
    let mut subject = on::<S>(region, HEAP);
    let page = Layout::from_size_align(PAGE, PAGE).expect("a power of two");
    let count = std::iter::from_fn(|| allocate(&mut subject, page).ok()).count();
    (count * PAGE) as f64 / HEAP as f64
}

/// How high the trace gets in the whole region, in bytes.
fn high_water<S: Subject>(region: NonNull<[u8]>, script: &mut Script) -> Outcome<usize> {
    let mut top = 0;
    script.pass_with(&mut on::<S>(region, region.len()), |block| top = top.max(block.end()))?;
    Ok(above(region, top))
}

/// The smallest heap in which the trace runs to its end, found by halving, to a page or a fifth of
/// a percent.
fn smallest<S: Subject>(region: NonNull<[u8]>, trace: &Trace) -> Outcome<f64> {
    let mut script = Script::replay(trace);
    let high_water = high_water::<S>(region, &mut script)? / PAGE;
    let mut fits =
        |pages: usize| script.pass_with(&mut on::<S>(region, pages * PAGE), |_| ()).is_ok();
    let mut too_small = trace.peak_live() / PAGE;
    let mut enough = if fits(high_water) { high_water } else { region.len() / PAGE };
    while enough - too_small > (too_small / 500).max(1) {
        let middle = too_small.midpoint(enough);
        if fits(middle) { enough = middle } else { too_small = middle }
    }
    Ok((enough * PAGE) as f64 / trace.peak_live() as f64)
}

/// How a buffer grows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ratchet {
    Realloc,
    Move,
}

/// A buffer grows a page a step to 2 MiB; the highest byte that it had, over the largest sum of
/// bytes that had to be live at a time.
fn ratchet<S: Subject>(region: NonNull<[u8]>, how: Ratchet) -> Outcome<f64> {
    const PAGES: usize = 512;
    let mut subject = on::<S>(region, region.len());
    let mut buffer = allocate(&mut subject, words(PAGE))?;
    let mut top = buffer.end();
    for pages in 2..=PAGES {
        let old = buffer;
        if how == Ratchet::Move {
            buffer = allocate(&mut subject, words(pages * PAGE))?;
            free(&mut subject, old);
        } else {
            buffer = reallocate(&mut subject, old, pages * PAGE)?;
        }
        top = top.max(buffer.end());
    }
    let live = if how == Ratchet::Move { 2 * PAGES - 1 } else { PAGES } * PAGE;
    Ok(above(region, top) as f64 / live as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_grows_alone_needs_its_own_size() {
        let figure = here(subject::Name::Dlmalloc, Question::RatchetRealloc).unwrap();
        assert!((1.0..1.01).contains(&figure), "{figure}");
    }

    #[test]
    fn a_list_a_class_needs_every_step_of_a_buffer() {
        // 2, 3, … 512 pages, classes of up to an eighth more, against 511 + 512 pages.
        let figure = here(subject::Name::Floor, Question::RatchetMove).unwrap();
        assert!(figure > 2.0, "{figure}");
    }

    #[test]
    fn small_memories_and_pages_are_filled() {
        let figure = here(subject::Name::LinkedList, Question::SmallMemory(24)).unwrap();
        assert!((0.6..1.0).contains(&figure), "{figure}");
        let figure = here(subject::Name::Floor, Question::Pages).unwrap();
        assert!((0.4..=1.0).contains(&figure), "{figure}");
    }

    #[test]
    fn payload_is_a_share() {
        let figure = here(subject::Name::Dlmalloc, Question::PayloadTo16K).unwrap();
        assert!((0.9..1.0).contains(&figure), "{figure}");
    }
}
