//! What a heap takes for the calls of a real program: instructions, time, memory.
//!
//! ```text
//!   trace ──► a fresh heap: first pass ──► instructions (callgrind), peak of the break
//!                           later passes ─► nanoseconds
//! ```
//!
//! Instructions are those of the heap's own functions; the loop that calls them is not counted, nor
//! is what the program does with its blocks.

use std::alloc::Layout;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Failure, Job, Outcome, counts, median, process};
use crate::memory::{self, Pages};
use crate::subject::{self, Kind, Subject};
use crate::trace::{self, Act, Trace};
use crate::watched::take_most_granted;
use crate::workload::{Script, Workload as _};

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 120;

/// Where a trace comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// One of the project's own.
    Stored(trace::Name),
    /// A file.
    File(PathBuf),
}

impl Origin {
    /// Returns the traces at `paths`; the stored ones if there is no path.
    ///
    /// # Errors
    ///
    /// As for [`trace::file::find`].
    pub fn of(paths: &[PathBuf]) -> std::io::Result<Vec<Self>> {
        Ok(match paths {
            [] => trace::Name::ALL.map(Self::Stored).to_vec(),
            paths => trace::file::find(paths)?.into_iter().map(Self::File).collect(),
        })
    }

    /// Reads the trace.
    ///
    /// # Errors
    ///
    /// There is no such file, or it is no trace.
    pub fn load(&self) -> Result<Trace, trace::Error> {
        match self {
            Self::Stored(name) => Trace::load(*name),
            Self::File(path) => trace::file::read(path),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stored(name) => name.fmt(f),
            Self::File(path) => f.pad(&trace::file::name_of(Path::new(path))),
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// The calls and the peak of the heap.
    Peak,
    /// Nanoseconds a call, over so many milliseconds.
    Time(u64),
    /// Instructions; the child runs under callgrind.
    Instructions,
}

/// What a trace asks for, and the memory that a heap takes for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Calls of the trace.
    pub calls: usize,
    /// Largest sum of the sizes of live blocks, in bytes.
    pub live: usize,
    /// Zeroed bytes a call: a measure of the `memset` in it.
    pub zeroed: f64,
    /// Most memory of the heap, in bytes: what its break granted; of a peer, the highest byte that
    /// it returned, in pages.
    pub heap: usize,
}

/// What one subject takes for one trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Instructions a call.
    pub instructions: Outcome<f64>,
    /// Nanoseconds a call.
    pub time: Outcome<f64>,
    /// Memory.
    pub peak: Outcome<Peak>,
}

/// Measures, by children. Without `count` there are no instructions.
#[must_use]
pub fn once(subject: subject::Name, origin: &Origin, budget: Duration, count: bool) -> Figures {
    let job = |aspect| Job::Trace { subject, origin: origin.clone(), aspect };
    let instructions = || {
        let (calls, messages): (usize, String) =
            process::run_under(&VALGRIND, &job(Aspect::Instructions), LIMIT)?;
        let count = counts::parse_event(&messages, "Ir").ok_or_else(|| {
            Failure::Crashed(format!("callgrind's output has no counts: {messages}"))
        })?;
        Ok(count / calls as f64)
    };
    Figures {
        instructions: if count { instructions() } else { Err(Failure::Unsupported) },
        time: process::run(&job(Aspect::Time(budget.as_millis() as u64)), LIMIT),
        peak: process::run(&job(Aspect::Peak), LIMIT),
    }
}

/// How a child is started whose instructions are counted: those of [`Counted`].
const VALGRIND: [&str; 5] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
    "--collect-atstart=no",
    "--toggle-collect=*traces*counted_*",
];

/// Measures in this process. The result is JSON, for each aspect has its own type.
pub(super) fn here(
    subject: subject::Name,
    origin: &Origin,
    aspect: Aspect,
) -> serde_json::Result<String> {
    let replay = || -> Outcome<Replay> {
        let trace = origin.load().map_err(Failure::because)?;
        let is_timed = matches!(aspect, Aspect::Time(_));
        let pages = if is_timed { Pages::Present } else { Pages::OnTouch };
        let len = trace.peak_live() * 2 + (64 << 20);
        Ok(Replay { trace, region: memory::region(len, pages).map_err(Failure::because)? })
    };
    match aspect {
        Aspect::Peak => serde_json::to_string(&replay().and_then(|replay| replay.peak(subject))),
        Aspect::Time(budget) => {
            let time = |replay| subject.visit(Time(replay, Duration::from_millis(budget)));
            serde_json::to_string(&replay().and_then(time))
        }
        Aspect::Instructions => {
            serde_json::to_string(&replay().and_then(|replay| subject.visit(Count(replay))))
        }
    }
}

/// A trace, and the memory to replay it in.
struct Replay {
    trace: Trace,
    region: NonNull<[u8]>,
}

impl Replay {
    fn peak(self, subject: subject::Name) -> Outcome<Peak> {
        if subject.kind() == Kind::Library {
            return Err(Failure::Unsupported);
        }
        let ops = self.trace.ops();
        let zeroed = ops.iter().filter(|op| op.act == Act::AllocateZeroed);
        let zeroed: usize = zeroed.map(|op| op.size as usize).sum();
        let mut peak = Peak {
            calls: ops.len(),
            live: self.trace.peak_live(),
            zeroed: zeroed as f64 / ops.len() as f64,
            heap: 0,
        };
        peak.heap = match subject {
            subject::Name::Heap => {
                Top(self).of::<subject::Watched>()?;
                take_most_granted()
            }
            _ => subject.visit(Top(self))?,
        };
        Ok(peak)
    }
}

/// A subject that is told the alignment at compile time: 8 bytes, as in a program that knows the
/// types of its blocks, and that of every block of the slot form.
pub(super) struct Words<S>(pub S);

/// The layout of that size, aligned to 8 bytes; the alignment was 8 before, which the compiler
/// could not know.
#[inline(always)]
fn words(layout: Layout) -> Layout {
    // SAFETY: 8 is the layout's alignment.
    unsafe { Layout::from_size_align_unchecked(layout.size(), 8) }
}

// SAFETY: what the subject inside guarantees. All layouts are aligned to 8 bytes, as `Trace` says
// of those that this subject is used for.
unsafe impl<S: Subject> Subject for Words<S> {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { S::new(region) })
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.allocate(words(layout)) }
    }

    #[inline(always)]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.allocate_zeroed(words(layout)) }
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(block, words(layout)) };
    }

    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.reallocate(block, words(layout), new_size) }
    }
}

/// The highest byte that a subject returns, in pages.
struct Top(Replay);

impl Top {
    fn of<S: Subject>(self) -> Outcome<usize> {
        const PAGE: usize = 4096;
        // SAFETY: a fresh region, used by nobody else, never given back.
        let mut subject = unsafe { S::new(self.0.region) };
        let start = self.0.region.addr().get();
        let mut top = start;
        Script::replay(&self.0.trace)
            .pass_with(&mut subject, |block| top = top.max(block.end()))?;
        Ok((top - start).next_multiple_of(PAGE))
    }
}

impl subject::Visitor for Top {
    type Output = Outcome<usize>;

    fn visit<S: Subject>(self) -> Self::Output {
        self.of::<S>()
    }
}

/// Passes until the budget is over; the median, after one that does not count.
struct Time(Replay, Duration);

impl subject::Visitor for Time {
    type Output = Outcome<f64>;

    fn visit<S: Subject>(self) -> Self::Output {
        if self.0.trace.has_align(8) { self.of::<Words<S>>() } else { self.of::<S>() }
    }
}

impl Time {
    fn of<S: Subject>(self) -> Outcome<f64> {
        let Self(Replay { trace, region }, budget) = self;
        // SAFETY: a fresh region, used by nobody else, never given back.
        let mut subject = unsafe { S::new(region) };
        let mut script = Script::replay(&trace);
        let mut timed = || -> Outcome<f64> {
            let start = Instant::now();
            script.pass(&mut subject)?;
            Ok(start.elapsed().as_nanos() as f64 / trace.ops().len() as f64)
        };
        timed()?;
        let (start, mut figures) = (Instant::now(), Vec::new());
        while figures.is_empty() || start.elapsed() < budget {
            figures.push(timed()?);
        }
        Ok(median(&figures).expect("one pass at least"))
    }
}

/// One pass on a fresh heap, each call in a function that callgrind knows; the number of calls.
struct Count(Replay);

impl subject::Visitor for Count {
    type Output = Outcome<usize>;

    fn visit<S: Subject>(self) -> Self::Output {
        if self.0.trace.has_align(8) { self.of::<Words<S>>() } else { self.of::<S>() }
    }
}

impl Count {
    fn of<S: Subject>(self) -> Outcome<usize> {
        // SAFETY: a fresh region, used by nobody else, never given back.
        let mut subject = Counted(unsafe { S::new(self.0.region) });
        Script::replay(&self.0.trace).pass_with(&mut subject, |_| ())?;
        Ok(self.0.trace.ops().len())
    }
}

/// A subject whose functions, `counted_*`, callgrind can tell from the rest of the program.
struct Counted<S>(S);

// SAFETY: what the subject inside guarantees.
unsafe impl<S: Subject> Subject for Counted<S> {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { S::new(region) })
    }

    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { counted_allocate(&mut self.0, layout) }
    }

    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { counted_allocate_zeroed(&mut self.0, layout) }
    }

    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { counted_deallocate(&mut self.0, block, layout) };
    }

    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { counted_reallocate(&mut self.0, block, layout, new_size) }
    }
}

/// Keeps the compiler from merging a function with others of the same code, of which callgrind
/// would know only one name. No instruction.
macro_rules! unmerged {
    ($name:literal) => {
        // SAFETY: a comment.
        unsafe {
            std::arch::asm!(
                concat!("/* counted: ", $name, " */"),
                options(nomem, nostack, preserves_flags)
            );
        }
    };
}

/// # Safety
///
/// As for [`Subject::allocate`].
#[inline(never)]
pub(super) unsafe fn counted_allocate<S: Subject>(subject: &mut S, layout: Layout) -> *mut u8 {
    unmerged!("allocate");
    // SAFETY: the caller's promise.
    unsafe { subject.allocate(layout) }
}

/// # Safety
///
/// As for [`Subject::allocate_zeroed`].
#[inline(never)]
unsafe fn counted_allocate_zeroed<S: Subject>(subject: &mut S, layout: Layout) -> *mut u8 {
    unmerged!("allocate_zeroed");
    // SAFETY: the caller's promise.
    unsafe { subject.allocate_zeroed(layout) }
}

/// # Safety
///
/// As for [`Subject::deallocate`].
#[inline(never)]
pub(super) unsafe fn counted_deallocate<S: Subject>(
    subject: &mut S,
    block: *mut u8,
    layout: Layout,
) {
    unmerged!("deallocate");
    // SAFETY: the caller's promise.
    unsafe { subject.deallocate(block, layout) };
}

/// # Safety
///
/// As for [`Subject::reallocate`].
#[inline(never)]
unsafe fn counted_reallocate<S: Subject>(
    subject: &mut S,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    unmerged!("reallocate");
    // SAFETY: the caller's promise.
    unsafe { subject.reallocate(block, layout, new_size) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Op;

    fn replay() -> Replay {
        let op = |act, slot, size| Op { act, align_log2: 3, slot, size };
        let ops = vec![
            op(Act::Allocate, 0, 100_000),
            op(Act::AllocateZeroed, 1, 400),
            op(Act::Reallocate, 0, 50_000),
            op(Act::Free, 1, 0),
            op(Act::Free, 0, 0),
        ];
        let region = memory::region(1 << 20, Pages::OnTouch).unwrap();
        Replay { trace: Trace::new(ops, 2).unwrap(), region }
    }

    #[test]
    fn the_peak_is_what_the_break_grants_and_says_how_much_is_zeroed() {
        let peak = replay().peak(subject::Name::Heap).unwrap();
        assert_eq!((peak.calls, peak.live, peak.zeroed), (5, 100_400, 80.0));
        assert!(peak.heap >= peak.live && peak.heap.is_multiple_of(4096), "{peak:?}");
        let talc = replay().peak(subject::Name::Talc).unwrap();
        assert!((100_400..200_000).contains(&talc.heap), "{talc:?}");
        assert_eq!(replay().peak(subject::Name::Glibc), Err(Failure::Unsupported));
    }

    #[test]
    fn calls_are_counted_and_timed_as_they_are() {
        assert_eq!(subject::Name::Heap.visit(Count(replay())), Ok(5));
        assert!(subject::Name::Heap.visit(Time(replay(), Duration::ZERO)).unwrap() > 0.0);
    }

    #[test]
    fn the_stored_traces_stand_in_for_others() {
        assert_eq!(Origin::of(&[]).unwrap().len(), 3);
        assert_eq!(Origin::File("some/vim.bin.xz".into()).to_string(), "vim");
        assert!(Origin::of(&["some/vim.bin.xz".into()]).is_err());
    }
}
