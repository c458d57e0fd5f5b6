//! A break over memory of its own that refuses, moves underfoot, grants more than asked, or will
//! not shrink.
//!
//! ```text
//!       SPARE                     what the break moves in                    SPARE
//!   ┌───────────┬─────────┬─────────┬──────────┬──────────────────────────┬───────────┐
//!   │  foreign  │ granted │ foreign │ granted  │                          │  foreign  │     all that is foreign can become a region
//!   └───────────┴─────────┴─────────┴──────────┴──────────────────────────┴───────────┘     that is added to the heap
//!             origin                         used                       origin + len
//! ```

use core::iter;
use core::ops::Range;
use core::ptr::NonNull;

use brkalloc::{Break, BreakError};

use super::platform::Memory;
use super::prelude::*;

/// Somebody else's memory below and above what the break moves in.
const SPARE: usize = 4096;

/// The alignment of where the break begins, if it is not skewed.
const ALIGN: usize = 1 << 16;

/// The break of most cases, whose grants contain anything.
pub type TestBreak = BadBreak<false>;

/// One that promises zeros.
pub type ZeroedBreak = BadBreak<true>;

/// A break with every bad habit, on request.
///
/// # Invariants
///
/// All places are offsets from the start of `memory`.
///
/// * the break is at `used`, `origin ≤ used ≤ limit`
/// * `foreign` are disjoint ascending ranges below `used`: somebody else's, or handed over to the
///   heap (`added`); the rest is granted
/// * `above` are the same from `limit` on
pub struct BadBreak<const ZEROED: bool> {
    memory: Memory,
    skew: usize,
    limit: usize,
    used: usize,
    foreign: Vec<Range<usize>>,
    above: Vec<Range<usize>>,
    added: Vec<Range<usize>>,
    /// The step that the heap is told to like.
    pub granule: usize,
    /// Every grant is longer than asked by this much, as far as there is room.
    pub surplus: usize,
    /// `grow` fails.
    pub refuse_grow: bool,
    /// `shrink` fails.
    pub refuse_shrink: bool,
    /// How often the break was asked to move up, and how often it refused.
    pub asked: usize,
    pub refused: usize,
}

/// Which part of somebody else's memory is handed over to the heap.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Whole,
    Lower,
    Upper,
    Middle,
}

impl<const ZEROED: bool> BadBreak<ZEROED> {
    /// A break over `len` bytes that start `skew` bytes above an address that is a multiple of 64
    /// KiB.
    pub fn new(len: usize, skew: usize) -> Self {
        let (origin, limit) = (ALIGN, ALIGN + len);
        let mut memory = Memory::new(limit + SPARE, skew);
        memory.grant(0..origin, false).expect("memory for somebody else");
        let (below, above) = (origin - SPARE..origin, limit..limit + SPARE);
        memory.give_to_others(below.clone());
        memory.give_to_others(above.clone());
        Self {
            memory,
            skew,
            limit,
            used: origin,
            foreign: iter::once(below).collect(),
            above: iter::once(above).collect(),
            added: Vec::new(),
            granule: 4096,
            surplus: 0,
            refuse_grow: false,
            refuse_shrink: false,
            asked: 0,
            refused: 0,
        }
    }

    /// Returns a break over as much memory, of which nothing is granted, with the same habits.
    /// `None` if foreign code has moved this one, or memory was handed over: then none is alike.
    pub fn fresh(&self) -> Option<Self> {
        let is_alone = self.foreign.len() == 1 && self.above.len() == 1 && self.added.is_empty();
        let (granule, surplus) = (self.granule, self.surplus);
        is_alone.then(|| Self { granule, surplus, ..Self::new(self.len(), self.skew) })
    }

    /// Returns how many bytes the break can grant.
    pub fn len(&self) -> usize {
        self.limit - ALIGN
    }

    /// Somebody else moves the break up by `by` bytes (or as far as there is room) and uses what
    /// they got.
    pub fn foreign_up(&mut self, by: usize) {
        let by = by.min(self.limit - self.used);
        if by == 0 {
            return;
        }
        let range = self.used..self.used + by;
        self.memory.grant(range.clone(), false).expect("memory for somebody else");
        self.memory.give_to_others(range.clone());
        self.foreign.push(range);
        self.used += by;
    }

    /// Whoever moved the break up last moves it down again, if it is still theirs to move.
    pub fn foreign_undo(&mut self) {
        if let Some(last) = self.foreign.pop_if(|last| last.end == self.used && last.start >= ALIGN)
        {
            self.memory.take_back(last.clone());
            self.used = last.start;
        }
    }

    /// Somebody moves the break down by `by` bytes, whoever's memory that is.
    pub fn foreign_down(&mut self, by: usize) {
        self.memory.take_back(self.used - by..self.used);
        self.used -= by;
        self.foreign.retain(|range| range.start < self.used);
        if let Some(last) = self.foreign.last_mut() {
            last.end = last.end.min(self.used);
            self.memory.give_to_others(last.clone());
        }
    }

    /// The n-th piece of somebody else's memory (counted round and round), or `part` of it with
    /// `len` bytes, becomes memory for the heap. Says where that begins and how long it is.
    pub fn hand_over(&mut self, n: usize, part: Part, len: usize) -> Option<(*mut u8, usize)> {
        let n = n.checked_rem(self.foreign.len() + self.above.len())?;
        let (list, n) = if n < self.foreign.len() {
            (&mut self.foreign, n)
        } else {
            (&mut self.above, n - self.foreign.len())
        };
        let whole = list[n].clone();
        self.memory.assert_untouched(whole.clone());
        let taken = match part {
            Part::Whole => whole.clone(),
            Part::Lower => whole.start..whole.end.min(whole.start + len),
            Part::Upper => whole.start.max(whole.end.saturating_sub(len))..whole.end,
            Part::Middle => {
                let start = whole.end.min(whole.start + 1 + len / 2);
                start..whole.end.min(start + len)
            }
        };
        let left = [whole.start..taken.start, taken.end..whole.end];
        self.memory.hand_over(taken.clone(), whole.clone());
        for range in &left {
            // What is left of a page is shared with the heap from now on.
            self.memory.give_to_others(range.clone());
        }
        list.splice(n..=n, left.into_iter().filter(|range| !range.is_empty()));
        // SAFETY: inside the memory.
        let start = unsafe { self.memory.base().add(taken.start) };
        let len = taken.len();
        if len > 0 {
            self.added.push(taken);
        }
        Some((start.as_ptr(), len))
    }

    /// The heap did not want what was [handed over](BadBreak::hand_over) last, `len` bytes.
    pub fn take_back(&mut self, len: usize) {
        let Some(last) = self.added.pop_if(|_| len > 0) else { return };
        self.memory.give_to_others(last.clone());
        let list = if last.start < self.limit { &mut self.foreign } else { &mut self.above };
        list.push(last);
        list.sort_by_key(|range| range.start);
    }

    /// Bytes that were handed over.
    pub fn added(&self) -> usize {
        self.added.iter().map(Range::len).sum()
    }

    /// Bytes that the break granted and the heap holds.
    pub fn granted(&self) -> usize {
        let below_break = |range: &&Range<usize>| (ALIGN..self.limit).contains(&range.start);
        let others = self.foreign.iter().chain(&self.added).filter(below_break);
        self.used - ALIGN - others.map(Range::len).sum::<usize>()
    }

    /// How often the break moved up for the heap.
    pub fn grants(&self) -> usize {
        self.asked - self.refused
    }

    /// All that the heap holds, as addresses: pieces that do not touch.
    pub fn pieces(&self) -> Vec<Range<usize>> {
        let (base, end) = (self.memory.base().addr().get(), self.limit + SPARE);
        let not_granted = Some(self.used..self.limit).filter(|range| !range.is_empty());
        let others =
            self.foreign.iter().cloned().chain(not_granted).chain(self.above.iter().cloned());
        let (mut at, mut pieces) = (ALIGN - SPARE, Vec::new());
        for other in others.chain(iter::once(end..end)) {
            if at < other.start {
                pieces.push(base + at..base + other.start);
            }
            at = other.end;
        }
        pieces
    }

    /// Whether a block lies in what the heap holds, and not in anybody else's memory.
    pub fn owns(&self, block: Range<usize>) -> bool {
        self.pieces().iter().any(|piece| piece.start <= block.start && block.end <= piece.end)
    }

    /// Asserts that nobody wrote into anybody else's memory.
    pub fn assert_foreign_untouched(&self) {
        self.foreign
            .iter()
            .chain(&self.above)
            .for_each(|range| self.memory.assert_untouched(range.clone()));
    }
}

// SAFETY: grants are disjoint parts of the memory, which lives as long as this value.
unsafe impl<const PROMISED: bool> Break for BadBreak<PROMISED> {
    const ZEROED: bool = PROMISED;

    fn granule(&self) -> usize {
        self.granule
    }

    fn end(&self) -> *mut u8 {
        self.memory.base().as_ptr().wrapping_add(self.used)
    }

    fn remaining(&self) -> usize {
        self.limit - self.used
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        self.asked += 1;
        if self.refuse_grow || by > self.limit - self.used {
            self.refused += 1;
            return Err(BreakError::OutOfMemory);
        }
        let by = (by + self.surplus).min(self.limit - self.used);
        if let Err(error) = self.memory.grant(self.used..self.used + by, PROMISED) {
            self.refused += 1;
            return Err(error);
        }
        // SAFETY: the break lies inside the memory.
        let start = unsafe { self.memory.base().add(self.used) };
        self.used += by;
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let others =
            self.foreign.iter().chain(&self.added).filter(|range| range.start < self.limit);
        let floor = others.map(|range| range.end).max().unwrap_or(ALIGN);
        assert!(
            by <= self.used - floor,
            "the heap gives back {by} bytes but holds {} below the break",
            self.used - floor
        );
        if self.refuse_shrink {
            return Err(BreakError::Refused);
        }
        self.memory.take_back(self.used - by..self.used);
        self.used -= by;
        Ok(())
    }
}
