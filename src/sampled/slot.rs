//! One slot of the pool: addresses between two guard pages, and the record of the block there.
//!
//! ```text
//!   NEW ─► LIVE ─► FREEING ─► FREED ─► RESTING ─► LIVE …
//!           │         │         └ the pages are open: the pool was in use
//!           │         └ what lies around the block is being verified
//!           └ the pages of the block are open
//! ```
//!
//! Only a caller that has entered the pool changes `NEW`, `FREED` and `RESTING`; the caller that
//! frees the block changes the others. All fields are atomics, because a fault handler reads them
//! at any time: a report about a slot that is changing at that moment may mix two blocks.

use core::iter;
use core::ops::Range;

use crate::atomic::{AtomicU8, AtomicUsize};
use crate::trace::Trace;
use core::sync::atomic::Ordering;

/// State of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// There was no block yet.
    New,
    /// A caller has the block.
    Live,
    /// The block is being freed.
    Freeing,
    /// The block was freed, and its pages are still open.
    Freed,
    /// The block was freed, and its pages are closed.
    Resting,
}

impl State {
    const ALL: [Self; 5] = [Self::New, Self::Live, Self::Freeing, Self::Freed, Self::Resting];
}

/// Trace that a fault handler can read at any time.
#[derive(Debug)]
struct SavedTrace([AtomicUsize; Trace::DEPTH]);

impl SavedTrace {
    const fn unknown() -> Self {
        Self([const { AtomicUsize::new(0) }; Trace::DEPTH])
    }

    fn save(&self, trace: Trace) {
        for (place, address) in self.0.iter().zip(trace.addresses().chain(iter::repeat(0))) {
            place.store(address, Ordering::Relaxed);
        }
    }

    fn load(&self) -> Trace {
        Trace::of(self.0.iter().map(|place| place.load(Ordering::Relaxed)))
    }
}

/// Record of a slot. Zeroed at first.
#[derive(Debug)]
pub(super) struct Slot {
    state: AtomicU8,
    /// Address of the block.
    block: AtomicUsize,
    /// Requested size of the block, in bytes.
    size: AtomicUsize,
    allocated: SavedTrace,
    freed: SavedTrace,
}

impl Slot {
    pub(super) const fn new() -> Self {
        Self {
            state: AtomicU8::new(State::New as u8),
            block: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            allocated: SavedTrace::unknown(),
            freed: SavedTrace::unknown(),
        }
    }

    pub(super) fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Changes the state, if it is the expected one. Returns whether it was.
    pub(super) fn change(&self, from: State, to: State) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Records a new block.
    pub(super) fn begin(&self, block: Range<usize>, allocated: Trace) {
        self.block.store(block.start, Ordering::Relaxed);
        self.size.store(block.len(), Ordering::Relaxed);
        self.allocated.save(allocated);
        self.freed.save(Trace::UNKNOWN);
        self.set_state(State::Live);
    }

    pub(super) fn set_freed_by(&self, trace: Trace) {
        self.freed.save(trace);
    }

    /// Returns the addresses of the block.
    pub(super) fn block(&self) -> Range<usize> {
        let start = self.block.load(Ordering::Relaxed);
        start..start.saturating_add(self.size.load(Ordering::Relaxed))
    }

    /// Returns the addresses of the pages in which the block lies.
    pub(super) fn pages(&self, granule: usize) -> Range<usize> {
        pages_of(self.block(), granule)
    }

    pub(super) fn allocated_by(&self) -> Trace {
        self.allocated.load()
    }

    /// Returns the trace of the call that freed the block; `None` if it is live.
    pub(super) fn freed_by(&self) -> Option<Trace> {
        (!matches!(self.state(), State::New | State::Live)).then(|| self.freed.load())
    }
}

/// Returns the addresses of the pages in which a block lies; a block without bytes lies in one.
pub(super) const fn pages_of(block: Range<usize>, granule: usize) -> Range<usize> {
    let start = block.start & !(granule - 1);
    let last = if block.end > block.start { block.end - 1 } else { block.start };
    start..(last & !(granule - 1)) + granule
}

/// Returns the address of a block in a span of addresses: at its end, where an overflow leaves it,
/// or at its start, where an underflow does. `None` if the span is too short.
pub(super) const fn place(
    span: Range<usize>,
    size: usize,
    align: usize,
    at_end: bool,
) -> Option<usize> {
    let len = if size == 0 { 1 } else { size };
    if len > span.end - span.start {
        return None;
    }
    Some(if at_end { (span.end - len) & !(align - 1) } else { span.start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_touches_one_end_of_its_span_as_far_as_its_alignment_allows() {
        let span = 0x10_0000..0x10_8000;
        for size in [0, 1, 24, 4095, 4096, 4097, 0x8000] {
            for align in [1, 16, 4096] {
                let at_end = place(span.clone(), size, align, true).unwrap();
                assert!(at_end % align == 0 && at_end >= span.start && at_end + size <= span.end);
                assert!(span.end - (at_end + size.max(1)) < align.max(2), "{size} {align}");
                assert_eq!(pages_of(at_end..at_end + size, 4096).end, span.end);
                let at_start = place(span.clone(), size, align, false);
                assert_eq!(at_start, Some(span.start));
                assert_eq!(pages_of(span.start..span.start + size, 4096).start, span.start);
            }
        }
        assert_eq!(place(span, 0x8001, 1, true), None);
    }
}
